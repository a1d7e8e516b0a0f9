-- +goose Up
-- When the server was started that this worker knows to have all of its commits.
-- Another one, after a restart, a failover or a restore, may lack some: the worker
-- writes nothing before it has looked.
ALTER TABLE outbox.workers ADD COLUMN server_started timestamptz NOT NULL DEFAULT pg_postmaster_start_time();
