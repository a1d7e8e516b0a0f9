-- +goose Up
-- Deliveries other than those of orders and of DM Hub's points may keep what follows in
-- their lane waiting, and some can only be found by what was there before the call.
-- old workers: the constraint takes all that they write, the columns have what they leave out.
ALTER TABLE outbox.deliveries ADD COLUMN blocks boolean NOT NULL DEFAULT false;
ALTER TABLE outbox.deliveries ADD COLUMN mark text;
COMMENT ON COLUMN outbox.deliveries.blocks IS 'outside of orders'' lanes: while it is unclear or held, what follows in its lane waits';
COMMENT ON COLUMN outbox.deliveries.mark IS 'what the vendor had before the call, for the read that looks for its effect; NULL where none is needed';

ALTER TABLE outbox.lanes DROP CONSTRAINT lane_kind;
ALTER TABLE outbox.lanes ADD CONSTRAINT lane_kind
    CHECK (kind IN ('order', 'member', 'coupon', 'device', 'level')) NOT VALID;

-- Calls that were reserved of an app id's daily quota, by the vendor's day.
CREATE TABLE outbox.quotas (
    app  text    NOT NULL, -- the account by whose name the quota goes
    day  date    NOT NULL,
    used integer NOT NULL,
    PRIMARY KEY (app, day),
    CONSTRAINT quota_is_counted CHECK (used >= 0)
);
COMMENT ON TABLE outbox.quotas IS 'calls reserved of an app id''s daily quota; a day is one of the vendor''s';
