-- +goose Up
-- What finance reads. The views run with their owner's rights: the role that
-- reads them has none in schema outbox. They are made to be filtered by order,
-- by uuid, by time or by day, so that a condition reaches an index below them:
-- orders and uuids through outbox.identities, time through events_business_time.

-- A business time (dateOrder, dateRefund or date, else the event's own time) is
-- what a day is made of. A range of pages per entry: it costs next to nothing.
CREATE INDEX events_business_time ON outbox.events
    USING brin ((coalesce(occurred_at, event_time)), received_at) WITH (autosummarize = on);

-- +goose StatementBegin
CREATE FUNCTION finance.is_time_zone(zone text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pg_catalog.pg_timezone_names WHERE name OPERATOR(pg_catalog.=) zone)
$$;
-- +goose StatementEnd

CREATE TABLE finance.settings (
    only_row  boolean PRIMARY KEY DEFAULT true,
    time_zone text    NOT NULL DEFAULT 'Asia/Shanghai',
    -- Makes member_key of no use to whoever guesses mobile numbers.
    salt      text    NOT NULL DEFAULT gen_random_uuid()::text,
    CONSTRAINT settings_one_row CHECK (only_row),
    CONSTRAINT settings_time_zone CHECK (finance.is_time_zone(time_zone))
);
INSERT INTO finance.settings DEFAULT VALUES;
COMMENT ON TABLE finance.settings IS 'One row: how the finance views read. The worker writes finance.time_zone of its config here when it starts.';
COMMENT ON COLUMN finance.settings.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN finance.settings.time_zone IS 'The IANA time zone whose days are finance''s days.';
COMMENT ON COLUMN finance.settings.salt IS 'Secret that member_key is made with. Whoever changes it changes every member_key.';

-- +goose StatementBegin
CREATE FUNCTION finance.today() RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT (now() AT TIME ZONE time_zone)::date FROM finance.settings
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION finance.today() IS 'The day that it is now in finance.time_zone.';

-- +goose StatementBegin
CREATE FUNCTION finance.day_start(day date) RETURNS timestamptz
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT day::timestamp AT TIME ZONE time_zone FROM finance.settings
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION finance.day_start(date) IS 'The moment at which a day of finance.time_zone begins.';

-- A member as "type:value". The vendor's own id stays; of a number of eleven
-- digits or more the first three and the last four characters stay, of anything
-- else the first one.
-- +goose StatementBegin
CREATE FUNCTION finance.mask_member(member text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN member = '' OR member ~ '^id:[0-9]+$' THEN member
        WHEN member ~ '^[^:]*:\+?[0-9]{11,}$' THEN regexp_replace(member, '^([^:]*:...).*(....)$', '\1****\2')
        ELSE regexp_replace(member, '^([^:]*:.?).*$', '\1****')
    END
$$;
CREATE FUNCTION finance.mask_mobiles(free_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(free_text, '(?<![0-9])(1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])', '\1****\2', 'g')
$$;
-- +goose StatementEnd

-- The effects that an order has had at an account, one row each.
CREATE VIEW outbox.order_effects AS
SELECT i.tenant, d.account, i.order_no, e.type, e.amount, d.event_time, d.id,
       EXISTS (
           SELECT FROM outbox.identities t
           JOIN outbox.deliveries td ON td.event_id = t.event_id AND td.account = d.account AND td.state = 'delivered'
           WHERE t.order_no = i.order_no AND t.uuid = i.uuid AND t.kind = 'order.refund_deleted' AND t.tenant = i.tenant
       ) AS taken_back
FROM outbox.identities i
JOIN outbox.events e ON e.id = i.event_id AND e.received_at = i.received_at
JOIN outbox.deliveries d ON d.event_id = i.event_id AND d.state = 'delivered'
WHERE i.order_no <> '';

-- A delivery that no route took, and whose event has got accounts since, is
-- cancelled as 'routed': others stand for it.
--
-- Orders are those whose create is here, and those of which other events are
-- here alone: of these little is known, and a filter on their date or their
-- create's state leaves them out without looking.
CREATE VIEW finance.orders AS
SELECT o.tenant, o.account, o.order_no, o.source, o.store, o.sales_channel, o.date_order,
       coalesce(x.updated_amount, o.amount) AS amount_paid,
       coalesce(x.refunded_total, 0) AS refunded_total,
       CASE WHEN x.cancelled OR x.deleted THEN 0
            ELSE coalesce(x.updated_amount, o.amount) - coalesce(x.refunded_total, 0) END AS net_amount,
       CASE WHEN x.deleted THEN 'deleted' WHEN x.cancelled THEN 'cancelled' ELSE o.known_state END AS order_state,
       o.delivery_state, o.reason, o.vendor_ref, o.delivered_at
FROM (
    SELECT i.tenant, d.account, i.order_no, e.source, e.store, e.sales_channel,
           coalesce(e.occurred_at, e.event_time) AS date_order, e.amount, 'created' AS known_state,
           d.state AS delivery_state, d.reason, d.vendor_ref, d.delivered_at
    FROM outbox.events e
    JOIN outbox.identities i ON i.order_no = e.order_no AND i.uuid = '' AND i.kind = 'order.created'
        AND i.tenant = e.tenant AND i.event_id = e.id AND i.received_at = e.received_at
    JOIN outbox.deliveries d ON d.event_id = i.event_id AND d.reason <> 'routed'
    WHERE e.type = 'order.created'
  UNION ALL
    SELECT DISTINCT i.tenant, d.account, i.order_no, NULL, NULL, NULL, NULL::timestamptz, NULL::numeric, NULL,
           NULL, NULL, NULL, NULL::timestamptz
    FROM outbox.identities i
    JOIN outbox.deliveries d ON d.event_id = i.event_id AND d.reason <> 'routed'
    WHERE i.order_no <> '' AND i.kind <> 'order.created' AND NOT EXISTS (
        SELECT FROM outbox.identities c
        JOIN outbox.events ce ON ce.id = c.event_id AND ce.received_at = c.received_at
        JOIN outbox.deliveries cd ON cd.event_id = c.event_id
        WHERE c.order_no = i.order_no AND c.uuid = '' AND c.kind = 'order.created' AND c.tenant = i.tenant
            AND cd.account = d.account)
) o
LEFT JOIN LATERAL (
    SELECT (array_agg(f.amount ORDER BY f.event_time DESC, f.id DESC)
               FILTER (WHERE f.type = 'order.updated' AND f.amount IS NOT NULL))[1] AS updated_amount,
           sum(f.amount) FILTER (WHERE f.type = 'order.refunded' AND NOT f.taken_back) AS refunded_total,
           bool_or(f.type = 'order.cancelled') AS cancelled,
           bool_or(f.type = 'order.deleted') AS deleted
    FROM outbox.order_effects f
    WHERE f.order_no = o.order_no AND f.tenant = o.tenant AND f.account = o.account
) x ON true;

CREATE VIEW finance.refunds AS
SELECT i.tenant, d.account, i.order_no, i.uuid, e.amount AS refund_total,
       coalesce(e.occurred_at, e.event_time) AS date_refund,
       d.state AS delivery_state, d.reason, d.delivered_at, t.taken_back_at
FROM outbox.events e
JOIN outbox.identities i ON i.order_no = e.order_no AND i.uuid = e.uuid AND i.kind = 'order.refunded'
    AND i.tenant = e.tenant AND i.event_id = e.id AND i.received_at = e.received_at
JOIN outbox.deliveries d ON d.event_id = i.event_id AND d.reason <> 'routed'
LEFT JOIN LATERAL (
    SELECT max(td.delivered_at) AS taken_back_at
    FROM outbox.identities ti
    JOIN outbox.deliveries td ON td.event_id = ti.event_id AND td.account = d.account AND td.state = 'delivered'
    WHERE ti.order_no = i.order_no AND ti.uuid = i.uuid AND ti.kind = 'order.refund_deleted' AND ti.tenant = i.tenant
) t ON true
WHERE e.type = 'order.refunded' AND i.order_no <> '' AND i.uuid <> '';

CREATE VIEW finance.points AS
SELECT i.tenant, d.account, i.uuid, finance.mask_member(e.member) AS member,
       CASE e.type WHEN 'point.incremented' THEN 1 ELSE -1 END AS direction, e.points,
       CASE WHEN d.state = 'delivered'
            THEN coalesce(d.points_applied, CASE WHEN NOT e.decr_to_zero THEN e.points END) END AS points_applied,
       e.pattern, finance.mask_mobiles(e.remark) AS remark, coalesce(e.occurred_at, e.event_time) AS occurred_at,
       d.state AS delivery_state, d.reason, d.delivered_at,
       left(encode(sha256(convert_to((SELECT salt FROM finance.settings) || e.tenant || ' ' || e.member, 'UTF8')), 'hex'), 16)
           AS member_key
FROM outbox.events e
JOIN outbox.identities i ON i.order_no = '' AND i.uuid = e.uuid AND i.kind = 'point'
    AND i.tenant = e.tenant AND i.event_id = e.id AND i.received_at = e.received_at
JOIN outbox.deliveries d ON d.event_id = i.event_id AND d.reason <> 'routed'
WHERE e.type IN ('point.incremented', 'point.decremented');

-- The last attempt comes through an aggregate over one row: a query that
-- doesn't ask for it then doesn't look for it.
CREATE VIEW finance.deliveries AS
SELECT d.id, i.tenant, d.account, e.type, i.order_no, i.uuid, finance.mask_member(e.member) AS member,
       d.state, d.reason, d.calls AS attempts, a.http_status, a.vendor_code, a.vendor_message,
       e.received_at, d.delivered_at,
       CASE WHEN e.type IN ('order.created', 'order.updated', 'order.refunded') THEN e.amount END AS amount, e.points
FROM outbox.events e
JOIN outbox.identities i ON i.order_no = e.order_no AND i.uuid = CASE
            WHEN e.type IN ('order.created', 'order.cancelled', 'order.deleted') THEN '' ELSE e.uuid END
    AND i.kind = CASE WHEN e.type IN ('point.incremented', 'point.decremented') THEN 'point' ELSE e.type END
    AND i.tenant = e.tenant AND i.event_id = e.id AND i.received_at = e.received_at
JOIN outbox.deliveries d ON d.event_id = i.event_id
LEFT JOIN LATERAL (
    SELECT max(l.http_status) AS http_status, max(l.vendor_code) AS vendor_code,
           finance.mask_mobiles(max(l.vendor_message)) AS vendor_message
    FROM outbox.attempts l
    WHERE l.delivery_id = d.id AND l.number = d.calls AND NOT l.late
        AND l.started_at >= d.received_at - interval '1 day'
) a ON true;

-- Every day that an event may fall on, and a range of time that has it: wider by
-- what a change of the clock can move. The few rows that it promises make the
-- planner look up a day's events by their time, not read them all.
-- +goose StatementBegin
CREATE FUNCTION finance.calendar() RETURNS TABLE (day date, starts timestamptz, ends timestamptz, time_zone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog ROWS 100 AS $$
    SELECT g::date,
           g AT TIME ZONE z.time_zone - interval '3 hours',
           (g + interval '1 day') AT TIME ZONE z.time_zone + interval '3 hours',
           z.time_zone
    FROM finance.settings z,
         generate_series(timestamp '1999-12-31', now() AT TIME ZONE 'UTC' + interval '3 days', interval '1 day') g
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION finance.calendar() IS 'The days of finance.time_zone from the first that the contract takes a time on to the last.';

CREATE VIEW finance.daily AS
SELECT c.day, e.tenant, d.account, coalesce(nullif(e.store, ''), s.store, '') AS store,
       count(*) FILTER (WHERE d.state = 'delivered' AND e.type = 'order.created') AS orders,
       coalesce(sum(coalesce(x.updated_amount, e.amount))
           FILTER (WHERE d.state = 'delivered' AND e.type = 'order.created'), 0) AS amount_paid,
       count(*) FILTER (WHERE x.standing) AS refunds,
       coalesce(sum(e.amount) FILTER (WHERE x.standing), 0) AS refund_total,
       coalesce(sum(coalesce(d.points_applied, CASE WHEN NOT e.decr_to_zero THEN e.points END))
           FILTER (WHERE d.state = 'delivered' AND e.type = 'point.incremented'), 0) AS points_in,
       coalesce(sum(coalesce(d.points_applied, CASE WHEN NOT e.decr_to_zero THEN e.points END))
           FILTER (WHERE d.state = 'delivered' AND e.type = 'point.decremented'), 0) AS points_out,
       count(*) FILTER (WHERE d.state NOT IN ('delivered', 'cancelled')) AS undelivered,
       coalesce(sum(e.amount) FILTER (WHERE d.state NOT IN ('delivered', 'cancelled')
           AND e.type IN ('order.created', 'order.refunded')), 0) AS undelivered_amount,
       count(*) FILTER (WHERE x.called_off) AS cancelled,
       coalesce(sum(coalesce(x.updated_amount, e.amount)) FILTER (WHERE x.called_off), 0) AS cancelled_amount
FROM finance.calendar() c
JOIN outbox.events e ON coalesce(e.occurred_at, e.event_time) >= c.starts AND coalesce(e.occurred_at, e.event_time) < c.ends
    AND (coalesce(e.occurred_at, e.event_time) AT TIME ZONE c.time_zone)::date = c.day
JOIN outbox.deliveries d ON d.event_id = e.id
LEFT JOIN LATERAL (
    SELECT (array_agg(f.amount ORDER BY f.event_time DESC, f.id DESC)
               FILTER (WHERE f.type = 'order.updated' AND f.amount IS NOT NULL))[1] AS updated_amount,
           e.type = 'order.created' AND bool_or(f.type IN ('order.cancelled', 'order.deleted')) AS called_off,
           e.type = 'order.refunded' AND NOT bool_or(f.id = d.id AND f.taken_back) AS standing
    FROM outbox.order_effects f
    WHERE f.order_no = e.order_no AND f.tenant = e.tenant AND f.account = d.account
        AND d.state = 'delivered' AND e.type IN ('order.created', 'order.refunded')
) x ON true
LEFT JOIN LATERAL (
    SELECT max(ce.store) AS store
    FROM outbox.identities ci
    JOIN outbox.events ce ON ce.id = ci.event_id AND ce.received_at = ci.received_at
    WHERE e.store = '' AND e.order_no <> '' AND ci.order_no = e.order_no AND ci.uuid = ''
        AND ci.kind = 'order.created' AND ci.tenant = e.tenant
) s ON true
GROUP BY 1, 2, 3, 4;

COMMENT ON VIEW finance.orders IS 'One row per order and account: what was paid, what was given back, and whether the order is at the vendor. An order that goes to two accounts stands twice. An order of which only other events are here has NULL in all that its create would say. Source: outbox.events and outbox.deliveries.';
COMMENT ON COLUMN finance.orders.tenant IS 'Brand or legal entity, from the event.';
COMMENT ON COLUMN finance.orders.account IS 'The vendor account of the config that it goes to; empty where no route takes it.';
COMMENT ON COLUMN finance.orders.order_no IS 'orderNo, as published; unique in the tenant.';
COMMENT ON COLUMN finance.orders.source IS 'Who published the create, such as pos/shanghai-001.';
COMMENT ON COLUMN finance.orders.store IS 'store of the create.';
COMMENT ON COLUMN finance.orders.sales_channel IS 'salesChannel of the create.';
COMMENT ON COLUMN finance.orders.date_order IS 'dateOrder of the create; the event''s time where it has none.';
COMMENT ON COLUMN finance.orders.amount_paid IS 'Money as published: amountPaid of the create, or of the newest delivered update (by event time) that carries one. Stays when the order is cancelled or deleted. NULL: not known here.';
COMMENT ON COLUMN finance.orders.refunded_total IS 'Money: the sum of the delivered refunds that no delivered refund_deleted has taken back; 0 without any.';
COMMENT ON COLUMN finance.orders.net_amount IS 'Money: amount_paid - refunded_total; 0 once the order is cancelled or deleted at the vendor. NULL where amount_paid is. It says nothing of whether the order itself is delivered: see delivery_state.';
COMMENT ON COLUMN finance.orders.order_state IS 'created, or by a delivered event: cancelled, deleted (which wins over cancelled). NULL: the create is not known here.';
COMMENT ON COLUMN finance.orders.delivery_state IS 'State of the create''s delivery: pending, waiting, inflight, unknown, held, delivered, dead, cancelled. NULL: the create is not known here.';
COMMENT ON COLUMN finance.orders.reason IS 'Why the create''s delivery is in its state; empty where that needs none.';
COMMENT ON COLUMN finance.orders.vendor_ref IS 'The vendor''s own reference of the order, its receipt; empty until delivered.';
COMMENT ON COLUMN finance.orders.delivered_at IS 'When the create was known to have taken effect at the vendor; NULL until then.';

COMMENT ON VIEW finance.refunds IS 'One row per refund and account. Source: order.refunded events and their deliveries.';
COMMENT ON COLUMN finance.refunds.tenant IS 'Brand or legal entity, from the event.';
COMMENT ON COLUMN finance.refunds.account IS 'The vendor account that it goes to; empty where no route takes it.';
COMMENT ON COLUMN finance.refunds.order_no IS 'orderNo of the order that it refunds.';
COMMENT ON COLUMN finance.refunds.uuid IS 'The refund''s own uuid, from the publisher.';
COMMENT ON COLUMN finance.refunds.refund_total IS 'Money as published: refundTotal, positive.';
COMMENT ON COLUMN finance.refunds.date_refund IS 'dateRefund; the event''s time where it has none.';
COMMENT ON COLUMN finance.refunds.delivery_state IS 'State of the refund''s delivery; delivered: the refund exists at the vendor, unless it was taken back since.';
COMMENT ON COLUMN finance.refunds.reason IS 'Why the delivery is in its state; empty where that needs none.';
COMMENT ON COLUMN finance.refunds.delivered_at IS 'When the refund was known to have taken effect at the vendor; NULL until then.';
COMMENT ON COLUMN finance.refunds.taken_back_at IS 'When a refund_deleted with this uuid was delivered: from then on the refund counts in no total. NULL: it stands.';

COMMENT ON VIEW finance.points IS 'One row per point event and account. Source: point.incremented and point.decremented events and their deliveries.';
COMMENT ON COLUMN finance.points.tenant IS 'Brand or legal entity, from the event.';
COMMENT ON COLUMN finance.points.account IS 'The vendor account that it goes to; empty where no route takes it.';
COMMENT ON COLUMN finance.points.uuid IS 'The event''s uuid, which the vendor gets too.';
COMMENT ON COLUMN finance.points.member IS 'The member as published, masked: id:16508 stays, mobile:138****0000. Two members may look alike: group by member_key.';
COMMENT ON COLUMN finance.points.direction IS '1 granted, -1 taken.';
COMMENT ON COLUMN finance.points.points IS 'Points as published, positive; direction says which way.';
COMMENT ON COLUMN finance.points.points_applied IS 'Points that the vendor moved, positive: less than points where decrToZero met a lower balance. NULL: not delivered, or not known.';
COMMENT ON COLUMN finance.points.pattern IS 'pattern as published, the vendor''s code of how points were gained or lost; it means different things for the two directions.';
COMMENT ON COLUMN finance.points.remark IS 'remark as published, mobile numbers masked.';
COMMENT ON COLUMN finance.points.occurred_at IS 'date as published; the event''s time where it has none.';
COMMENT ON COLUMN finance.points.delivery_state IS 'State of the delivery; delivered: the points have moved at the vendor.';
COMMENT ON COLUMN finance.points.reason IS 'Why the delivery is in its state; empty where that needs none.';
COMMENT ON COLUMN finance.points.delivered_at IS 'When the points were known to have moved at the vendor; NULL until then.';
COMMENT ON COLUMN finance.points.member_key IS 'The same for all events of one tenant that name the member in the same way, and no way back to the name.';

COMMENT ON VIEW finance.deliveries IS 'One row per event and account, of every type: where it stands and what the vendor said last. Source: outbox.deliveries, outbox.events, outbox.attempts.';
COMMENT ON COLUMN finance.deliveries.id IS 'The delivery''s id: syncworker deliveries show ID.';
COMMENT ON COLUMN finance.deliveries.tenant IS 'Brand or legal entity, from the event.';
COMMENT ON COLUMN finance.deliveries.account IS 'The vendor account that it goes to; empty where no route takes it.';
COMMENT ON COLUMN finance.deliveries.type IS 'The event''s type, such as order.created.';
COMMENT ON COLUMN finance.deliveries.order_no IS 'orderNo; empty for points.';
COMMENT ON COLUMN finance.deliveries.uuid IS 'The event''s uuid; empty for order.created, order.cancelled and order.deleted.';
COMMENT ON COLUMN finance.deliveries.member IS 'The member as published, masked; empty where the event names none.';
COMMENT ON COLUMN finance.deliveries.state IS 'pending, waiting, inflight, unknown, held, delivered, dead or cancelled.';
COMMENT ON COLUMN finance.deliveries.reason IS 'Why it is in its state; empty where that needs none.';
COMMENT ON COLUMN finance.deliveries.attempts IS 'Calls to the vendor for it, reads included.';
COMMENT ON COLUMN finance.deliveries.http_status IS 'HTTP status of the last call; 0: no reply came. NULL: no call, or its answer was never recorded.';
COMMENT ON COLUMN finance.deliveries.vendor_code IS 'The vendor''s error code of the last call; empty: none. NULL as http_status.';
COMMENT ON COLUMN finance.deliveries.vendor_message IS 'The vendor''s message of the last call, or what went wrong on our side; mobile numbers masked. NULL as http_status.';
COMMENT ON COLUMN finance.deliveries.received_at IS 'When the event was committed here.';
COMMENT ON COLUMN finance.deliveries.delivered_at IS 'When the effect was known to exist at the vendor; NULL until then.';
COMMENT ON COLUMN finance.deliveries.amount IS 'Money as published: amountPaid of a create or an update (which replaces, so don''t add it up), refundTotal of a refund; NULL where the event carries none.';
COMMENT ON COLUMN finance.deliveries.points IS 'Points as published, positive; NULL for orders.';

COMMENT ON VIEW finance.daily IS 'One row per day, tenant, account and store: what took effect at the vendor, each event on its own day, and what is not there. Net: amount_paid - cancelled_amount - refund_total.';
COMMENT ON COLUMN finance.daily.day IS 'Day in finance.time_zone of the dateOrder, dateRefund or date of the event; of its time where it has none.';
COMMENT ON COLUMN finance.daily.tenant IS 'Brand or legal entity, from the event.';
COMMENT ON COLUMN finance.daily.account IS 'The vendor account; empty where no route takes the event.';
COMMENT ON COLUMN finance.daily.store IS 'store of the event, else of its order''s create; empty for points, which name no store.';
COMMENT ON COLUMN finance.daily.orders IS 'Creates delivered, those that were cancelled or deleted later included.';
COMMENT ON COLUMN finance.daily.amount_paid IS 'Money: amount_paid of these orders, as in finance.orders.';
COMMENT ON COLUMN finance.daily.refunds IS 'Refunds delivered that no delivered refund_deleted has taken back.';
COMMENT ON COLUMN finance.daily.refund_total IS 'Money: refund_total of these refunds.';
COMMENT ON COLUMN finance.daily.points_in IS 'Points granted: points_applied of delivered increments.';
COMMENT ON COLUMN finance.daily.points_out IS 'Points taken: points_applied of delivered decrements, positive. One whose applied points aren''t known adds nothing.';
COMMENT ON COLUMN finance.daily.undelivered IS 'Deliveries of any type that are not at the vendor, or not known to be: pending, waiting, inflight, unknown, held, dead. Not those that a person cancelled.';
COMMENT ON COLUMN finance.daily.undelivered_amount IS 'Money of the creates and refunds among them, both counted positive; an update''s amount replaces another and isn''t counted.';
COMMENT ON COLUMN finance.daily.cancelled IS 'Of orders, those with a delivered order.cancelled or order.deleted since.';
COMMENT ON COLUMN finance.daily.cancelled_amount IS 'Money: amount_paid of these.';

-- Roles belong to the whole cluster: another database may make this one at the
-- same moment. Only who makes it sets it up, so an administrator's changes stay.
-- +goose StatementBegin
CREATE FUNCTION finance.admit_reader() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'syncworker_finance') THEN
        BEGIN
            CREATE ROLE syncworker_finance LOGIN;
            ALTER ROLE syncworker_finance SET default_transaction_read_only = on;
            ALTER ROLE syncworker_finance SET statement_timeout = '60s';
            ALTER ROLE syncworker_finance SET idle_in_transaction_session_timeout = '60s';
            -- Compiling a query over many partitions takes longer than running it.
            ALTER ROLE syncworker_finance SET jit = off;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'finance has no role to log in with: % may not create roles. As one who may, run: '
                    'CREATE ROLE syncworker_finance LOGIN; '
                    'ALTER ROLE syncworker_finance SET default_transaction_read_only = on; '
                    'ALTER ROLE syncworker_finance SET statement_timeout = ''60s''; '
                    'ALTER ROLE syncworker_finance SET idle_in_transaction_session_timeout = ''60s''; '
                    'ALTER ROLE syncworker_finance SET jit = off; '
                    'and then, as %: SELECT finance.admit_reader();', current_user, current_user;
                RETURN;
        END;
    END IF;
    GRANT USAGE ON SCHEMA finance TO syncworker_finance;
    GRANT SELECT ON finance.orders, finance.refunds, finance.points, finance.deliveries, finance.daily TO syncworker_finance;
    GRANT EXECUTE ON FUNCTION finance.today(), finance.day_start(date), finance.calendar(), finance.mask_member(text), finance.mask_mobiles(text) TO syncworker_finance;
END $$;
-- +goose StatementEnd
COMMENT ON FUNCTION finance.admit_reader() IS 'Makes the role syncworker_finance where it is missing, and gives it the views of this database.';
SELECT finance.admit_reader();
