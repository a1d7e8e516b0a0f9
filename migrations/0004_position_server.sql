-- +goose Up
-- When the server was started that vouches for the floor. Another one, after a
-- failover or a restore, may lack commits of which the stream was told.
ALTER TABLE outbox.positions ADD COLUMN server_started timestamptz NOT NULL DEFAULT 'epoch';
