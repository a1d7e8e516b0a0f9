-- +goose Up
-- Drops the partitions whose payloads and attempts are older than `keep` and of
-- which nothing live is left, and returns their names. Identities stay.
-- +goose StatementBegin
CREATE FUNCTION outbox.drop_partitions(keep interval) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    part  record;
    ends  timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('syncworker.partitions'));
    FOR part IN
        SELECT c.relname AS name, to_timestamp(right(c.relname, 6) || ' +00', 'YYYYMM TZH') AS starts
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('outbox.events'::regclass, 'outbox.attempts'::regclass)
            AND c.relname ~ '^(events|attempts)_[0-9]{6}$'
        ORDER BY c.relname
    LOOP
        ends := (part.starts AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
        CONTINUE WHEN ends > now() - keep;
        CONTINUE WHEN EXISTS (
            SELECT FROM outbox.deliveries
            WHERE listed IN ('pending', 'waiting', 'unknown', 'held') AND received_at < ends);
        CONTINUE WHEN EXISTS (
            SELECT FROM outbox.workers w JOIN outbox.deliveries d ON d.id >= w.low_delivery AND d.owner = w.token
            WHERE w.ended_at IS NULL AND d.received_at < ends
                AND d.state NOT IN ('delivered', 'dead', 'cancelled'));
        EXECUTE format('DROP TABLE outbox.%I', part.name);
        RETURN NEXT part.name;
    END LOOP;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION outbox.drop_partitions(interval), outbox.ensure_partitions(timestamptz) FROM PUBLIC;
