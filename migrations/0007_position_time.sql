-- +goose Up
-- When the stream stored the message at the floor. A stream that lost its tail gives
-- its sequences to other messages, which this tells from those that were acknowledged.
ALTER TABLE outbox.positions ADD COLUMN floor_time timestamptz;
