-- +goose Up
CREATE SCHEMA IF NOT EXISTS outbox;
CREATE SCHEMA IF NOT EXISTS finance;

-- A worker is one running process. Its token fences every write that it makes:
-- a delivery names the worker that holds it, and the lease is the worker's, so
-- that keeping a million leases costs one small update a second.
CREATE TABLE outbox.workers (
    token        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    lease_until  timestamptz NOT NULL,
    -- No live delivery that this worker holds has a smaller id: where recovery
    -- starts to look, since deliveries have no index on their owner.
    low_delivery bigint      NOT NULL DEFAULT 0,
    commits      bigint      NOT NULL DEFAULT 0,
    ended_at     timestamptz
);
CREATE INDEX workers_live ON outbox.workers (lease_until) WHERE ended_at IS NULL;

-- How far the stream is known to be committed here: everything up to `floor` was
-- acknowledged, and so committed, before this row was written.
CREATE TABLE outbox.positions (
    stream     text        NOT NULL,
    consumer   text        NOT NULL,
    floor      bigint      NOT NULL,
    -- When the stream was made: a stream made anew counts its sequences anew.
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, consumer)
);

-- Identities stay for good; payloads go with their partition.
CREATE SEQUENCE outbox.event_id;
CREATE TABLE outbox.identities (
    order_no     text        NOT NULL,
    uuid         text        NOT NULL,
    kind         text        NOT NULL,
    tenant       text        NOT NULL,
    event_id     bigint      NOT NULL DEFAULT nextval('outbox.event_id'),
    received_at  timestamptz NOT NULL DEFAULT now(),
    event_time   timestamptz NOT NULL,
    -- The last of its messages that was counted: what isn't newer was delivered again.
    sequence     bigint      NOT NULL,
    duplicates   integer     NOT NULL DEFAULT 0,
    hash_version smallint    NOT NULL,
    hash         bytea       NOT NULL,
    PRIMARY KEY (order_no, uuid, kind, tenant)
) WITH (fillfactor = 95);
CREATE INDEX identities_uuid ON outbox.identities (uuid) WHERE order_no <> '' AND uuid <> '';

CREATE TABLE outbox.events (
    id            bigint      NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    event_time    timestamptz NOT NULL,
    occurred_at   timestamptz,
    amount        numeric,
    points        bigint,
    tenant        text        NOT NULL,
    type          text        NOT NULL,
    ce_id         text        NOT NULL,
    source        text        NOT NULL,
    traceparent   text        NOT NULL DEFAULT '',
    order_no      text        NOT NULL,
    uuid          text        NOT NULL,
    membership_id text        NOT NULL,
    member        text        NOT NULL,
    store         text        NOT NULL,
    sales_channel text        NOT NULL,
    pattern       text        NOT NULL,
    remark        text        NOT NULL,
    decr_to_zero  boolean     NOT NULL,
    -- True where the payload is the data alone and the envelope came as headers.
    binary_mode   boolean     NOT NULL,
    payload       text        NOT NULL,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX events_ce_id ON outbox.events (ce_id);
CREATE INDEX events_member ON outbox.events (member) WHERE member <> '';
CREATE INDEX events_occurred_at ON outbox.events USING brin (occurred_at);
CREATE TABLE outbox.events_default PARTITION OF outbox.events DEFAULT;

-- A lane is one order, or one member's points, at one account. Its row is the
-- lock that decides between two writers, and what later events of an order need
-- to know of the earlier ones.
CREATE TABLE outbox.lanes (
    lane         uuid        PRIMARY KEY,
    next_at      timestamptz,
    owner        bigint,
    epoch        integer     NOT NULL DEFAULT 0,
    -- Deliveries handed to the owner as they came: it may not let go of the lane
    -- before it has met them all.
    handed       integer     NOT NULL DEFAULT 0,
    -- Deliveries of this lane are at rest: held by no worker.
    resting      boolean     NOT NULL DEFAULT false,
    -- Some of them are not known to the owner.
    news         boolean     NOT NULL DEFAULT false,
    deleted      boolean     NOT NULL DEFAULT false,
    open_refunds integer     NOT NULL DEFAULT 0,
    updated_to   timestamptz,
    created      text        NOT NULL DEFAULT '',
    kind         text        NOT NULL,
    account      text        NOT NULL,
    tenant       text        NOT NULL,
    member       text        NOT NULL DEFAULT '',
    CONSTRAINT lane_kind CHECK (kind IN ('order', 'member')),
    CONSTRAINT lane_created CHECK (created IN ('', 'delivered', 'dead', 'cancelled')),
    CONSTRAINT lane_news_is_resting CHECK (resting OR NOT news),
    CONSTRAINT lane_due_is_free CHECK (next_at IS NULL OR owner IS NULL)
) WITH (fillfactor = 80);
CREATE INDEX lanes_due ON outbox.lanes (account, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE outbox.deliveries (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        bigint      NOT NULL,
    received_at     timestamptz NOT NULL DEFAULT now(),
    event_time      timestamptz NOT NULL,
    state_since     timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz,
    first_sent_at   timestamptz,
    quiet_until     timestamptz,
    delivered_at    timestamptz,
    -- The worker that holds it. NULL: at rest. A final row keeps its last owner,
    -- 0 for a person, so that a delivery that goes well never enters an index
    -- of what is at rest.
    owner           bigint,
    lane            uuid        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    calls           integer     NOT NULL DEFAULT 0,
    points_applied  bigint,
    lane_rank       smallint    NOT NULL,
    ambiguous       boolean     NOT NULL DEFAULT false,
    ever_ambiguous  boolean     NOT NULL DEFAULT false,
    key_used        boolean     NOT NULL DEFAULT false,
    duplicate       boolean     NOT NULL DEFAULT false,
    account         text        NOT NULL,
    type            text        NOT NULL,
    state           text        NOT NULL,
    reason          text        NOT NULL DEFAULT '',
    vendor_key      text,
    vendor_ref      text        NOT NULL DEFAULT '',
    listed          text GENERATED ALWAYS AS (
        CASE WHEN owner IS NULL THEN state WHEN state = 'dead' THEN 'dead' END) STORED,
    CONSTRAINT delivery_state CHECK (state IN ('pending', 'waiting', 'inflight', 'unknown',
                                               'held', 'delivered', 'dead', 'cancelled')),
    CONSTRAINT inflight_has_owner_and_intent CHECK (state <> 'inflight' OR
        (owner IS NOT NULL AND first_sent_at IS NOT NULL AND calls > 0)),
    CONSTRAINT stopped_has_reason CHECK (state NOT IN ('waiting', 'unknown', 'held', 'dead', 'cancelled') OR reason <> ''),
    CONSTRAINT unknown_has_next_time CHECK (state <> 'unknown' OR next_attempt_at IS NOT NULL),
    CONSTRAINT delivered_has_time CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    CONSTRAINT dead_is_certain CHECK (state <> 'dead' OR NOT ambiguous),
    CONSTRAINT final_is_not_at_rest CHECK (state NOT IN ('delivered', 'dead', 'cancelled') OR owner IS NOT NULL)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX deliveries_event ON outbox.deliveries (event_id);
CREATE INDEX deliveries_lane ON outbox.deliveries (lane, lane_rank, event_time, id) WHERE owner IS NULL;
CREATE INDEX deliveries_listed ON outbox.deliveries (listed, account, received_at) WHERE listed IS NOT NULL;
CREATE UNIQUE INDEX deliveries_vendor_key ON outbox.deliveries (account, vendor_key) WHERE vendor_key IS NOT NULL;

CREATE TABLE outbox.attempts (
    delivery_id    bigint      NOT NULL,
    number         integer     NOT NULL,
    worker         bigint      NOT NULL,
    started_at     timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    duration_us    bigint      NOT NULL,
    http_status    integer     NOT NULL,
    -- True where the worker had lost its lease when it heard this.
    late           boolean     NOT NULL DEFAULT false,
    action         text        NOT NULL,
    class          text        NOT NULL,
    method         text        NOT NULL,
    path           text        NOT NULL,
    vendor_code    text        NOT NULL,
    vendor_message text        NOT NULL,
    -- NULL where it is the event's data, byte by byte.
    request        text,
    reply          text        NOT NULL
) PARTITION BY RANGE (started_at);
CREATE INDEX attempts_delivery ON outbox.attempts (delivery_id, number);
CREATE TABLE outbox.attempts_default PARTITION OF outbox.attempts DEFAULT;

CREATE TABLE outbox.rejects (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    first_at      timestamptz NOT NULL DEFAULT now(),
    last_at       timestamptz NOT NULL DEFAULT now(),
    count         integer     NOT NULL DEFAULT 1,
    last_sequence bigint      NOT NULL,
    digest        bytea       NOT NULL UNIQUE,
    subject       text        NOT NULL,
    reason        text        NOT NULL,
    field         text        NOT NULL,
    detail        text        NOT NULL,
    headers       text        NOT NULL,
    payload       bytea       NOT NULL,
    republished_at timestamptz
);
CREATE INDEX rejects_last_at ON outbox.rejects (last_at);

-- Same identity, other content; or a vendor key that another tenant has; or a
-- create for an order that was deleted. Both are kept.
CREATE TABLE outbox.conflicts (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    first_at     timestamptz NOT NULL DEFAULT now(),
    last_at      timestamptz NOT NULL DEFAULT now(),
    count        integer     NOT NULL DEFAULT 1,
    last_sequence bigint     NOT NULL,
    event_id     bigint      NOT NULL,
    event_time   timestamptz NOT NULL,
    order_no     text        NOT NULL,
    uuid         text        NOT NULL,
    kind         text        NOT NULL,
    tenant       text        NOT NULL,
    account      text        NOT NULL DEFAULT '',
    cause        text        NOT NULL,
    hash         bytea       NOT NULL,
    source       text        NOT NULL,
    ce_id        text        NOT NULL,
    type         text        NOT NULL,
    binary_mode  boolean     NOT NULL,
    headers      text        NOT NULL,
    payload      text        NOT NULL,
    resolution   text        NOT NULL DEFAULT '',
    resolved_at  timestamptz,
    CONSTRAINT conflict_cause CHECK (cause IN ('content', 'deleted', 'vendor_key')),
    CONSTRAINT conflict_resolution CHECK (resolution IN ('', 'kept_first', 'sent_second')),
    CONSTRAINT conflict_resolved CHECK ((resolution = '') = (resolved_at IS NULL)),
    UNIQUE (order_no, uuid, kind, tenant, account, cause, hash)
);

CREATE TABLE outbox.audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    actor       text        NOT NULL,
    action      text        NOT NULL,
    target      text        NOT NULL,
    why         text        NOT NULL,
    before      jsonb       NOT NULL,
    after       jsonb       NOT NULL
);
CREATE INDEX audit_target ON outbox.audit (target);

CREATE TABLE outbox.tokens (
    account    text        PRIMARY KEY,
    token      text        NOT NULL,
    generation bigint      NOT NULL,
    fetched_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What all workers share about an account: whether it may be called now.
CREATE TABLE outbox.gates (
    account         text        PRIMARY KEY,
    paused_at       timestamptz,
    paused_by       text        NOT NULL DEFAULT '',
    paused_why      text        NOT NULL DEFAULT '',
    open_until      timestamptz,
    opens           integer     NOT NULL DEFAULT 0,
    cause           text        NOT NULL DEFAULT '',
    throttled_until timestamptz
);

-- Makes the partitions of the month of `at` and of the two after it.
-- +goose StatementBegin
CREATE FUNCTION outbox.ensure_partitions(at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    parent text;
    month  timestamptz;
    name   text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('syncworker.partitions'));
    FOREACH parent IN ARRAY ARRAY['events', 'attempts'] LOOP
        FOR i IN 0..2 LOOP
            month := date_trunc('month', at AT TIME ZONE 'UTC' + make_interval(months => i)) AT TIME ZONE 'UTC';
            name := parent || '_' || to_char(month AT TIME ZONE 'UTC', 'YYYYMM');
            IF to_regclass('outbox.' || name) IS NULL THEN
                EXECUTE format('CREATE TABLE outbox.%I PARTITION OF outbox.%I FOR VALUES FROM (%L) TO (%L)',
                    name, parent, month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
            END IF;
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd
SELECT outbox.ensure_partitions(now());
