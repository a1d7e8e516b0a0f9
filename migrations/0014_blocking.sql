-- +goose NO TRANSACTION
-- +goose Up
-- What blocks is loaded apart from what doesn't. A lane with a long queue mostly has none
-- of it, and was read to its end for that with every few that were taken.
SET lock_timeout = 0;
SET client_min_messages = warning; -- that it isn't there yet is nothing to tell
DROP INDEX CONCURRENTLY IF EXISTS outbox.deliveries_blocking;
CREATE INDEX CONCURRENTLY deliveries_blocking ON outbox.deliveries (lane, lane_rank, event_time, id) WHERE owner IS NULL AND blocks;
RESET client_min_messages;
RESET lock_timeout;
