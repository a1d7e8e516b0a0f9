-- +goose Up
-- Looks what is live before it drops anything. The first DROP takes a lock behind
-- which all who write wait, and looking takes seconds where a worker holds something
-- old. Its callers bound how long a DROP waits for whoever reads.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION outbox.drop_partitions(keep interval) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    past text[];
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('syncworker.partitions'));
    WITH old AS (
        SELECT c.relname::text AS partition,
            (to_timestamp(right(c.relname, 6) || ' +00', 'YYYYMM TZH') AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' AS ends
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('outbox.events'::regclass, 'outbox.attempts'::regclass)
            AND c.relname ~ '^(events|attempts)_[0-9]{6}$'),
    live AS MATERIALIZED (
        SELECT least(
            (SELECT min(received_at) FROM outbox.deliveries
             WHERE listed IN ('pending', 'waiting', 'unknown', 'held')),
            (SELECT min(d.received_at) FROM outbox.workers w
             JOIN outbox.deliveries d ON d.id >= w.low_delivery AND d.owner = w.token
             WHERE w.ended_at IS NULL AND d.state NOT IN ('delivered', 'dead', 'cancelled'))) AS since
        WHERE EXISTS (SELECT FROM old WHERE ends <= now() - keep))
    SELECT array_agg(partition ORDER BY partition) INTO past
    FROM old, live
    WHERE ends <= now() - keep AND (live.since IS NULL OR live.since >= ends);
    FOREACH name IN ARRAY coalesce(past, '{}') LOOP
        EXECUTE format('DROP TABLE outbox.%I', name);
        RETURN NEXT name;
    END LOOP;
END $$;
-- +goose StatementEnd
