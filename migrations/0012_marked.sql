-- +goose NO TRANSACTION
-- +goose Up
-- A read that compares with a mark has to know what else has taken effect in its lane.
SET lock_timeout = 0;
SET client_min_messages = warning; -- that it isn't there yet is nothing to tell
DROP INDEX CONCURRENTLY IF EXISTS outbox.deliveries_marked;
CREATE INDEX CONCURRENTLY deliveries_marked ON outbox.deliveries (lane) WHERE mark IS NOT NULL;
RESET client_min_messages;
RESET lock_timeout;
