-- +goose Up
-- The last doubt (outbox.audit, action 'doubt') for which the stream was read again:
-- what it had delivered by then may have been sent, acknowledged or not.
ALTER TABLE outbox.positions ADD COLUMN doubt_read timestamptz NOT NULL DEFAULT '-infinity';
-- The floor that floor_time belongs to: an older worker writes the floor alone.
ALTER TABLE outbox.positions ADD COLUMN timed_floor bigint NOT NULL DEFAULT 0;
