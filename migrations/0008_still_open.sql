-- +goose Up
-- What still waits for a person, for the metric that counts it. Both tables are
-- written only where something is wrong.
CREATE INDEX conflicts_open ON outbox.conflicts (id) WHERE resolution = '';
CREATE INDEX rejects_open ON outbox.rejects (id) WHERE republished_at IS NULL;
