-- +goose Up
-- A worker counts its commits in as many rows as there are slots, in turns. In one row
-- each commit would leave a version that can't go while somebody reads an older state of
-- the database, such as a backup, and each further one would walk through all of them.
-- old workers: they count in outbox.workers, and compare no token but of those that do.
CREATE TABLE outbox.commits (
    token  bigint   NOT NULL REFERENCES outbox.workers ON DELETE CASCADE,
    slot   smallint NOT NULL,
    number bigint   NOT NULL,
    PRIMARY KEY (token, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE outbox.commits IS 'the last commits of each worker that is alive; outbox.workers has the number of those that have ended';
