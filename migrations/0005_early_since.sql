-- +goose Up
-- When a delivery was first refused for what may still be on its way, such as the
-- points that it takes. It outlives the vendor key, so that a key minted anew
-- doesn't begin the account's early_grace anew.
ALTER TABLE outbox.deliveries ADD COLUMN early_since timestamptz;
