// Package config is what a user can set: one strict YAML file, overridden value
// by value from the environment. Load reports every mistake at once.
package config

import "time"

// Config is what is in force: defaults, overlaid by the file, overlaid by the
// environment. It is a plain value; change a copy freely.
type Config struct {
	NATS     NATS               `yaml:"nats"`
	Database Database           `yaml:"database"`
	HTTP     HTTP               `yaml:"http"`
	Log      Log                `yaml:"log"`
	Dispatch Dispatch           `yaml:"dispatch"`
	Finance  Finance            `yaml:"finance"`
	Vendors  map[string]Account `yaml:"vendors"` // by account name
	Routes   []Route            `yaml:"routes"`

	kinds    Kinds
	origins  map[string]origin // where each key path was set; absent for defaults
	missing  []Problem         // secrets that couldn't be read: only the worker needs them
	warnings []string
}

// NATS is the connection, the stream and the consumer.
type NATS struct {
	URL             URL           `yaml:"url"`              // nats://, tls://, ws:// or wss://; several separated by commas
	CredentialsFile string        `yaml:"credentials_file"` // a NATS .creds file; empty means none
	Stream          string        `yaml:"stream"`
	Consumer        string        `yaml:"consumer"`        // name of the durable pull consumer
	AckWait         time.Duration `yaml:"ack_wait"`        // after which the server delivers a message again
	MaxAckPending   int           `yaml:"max_ack_pending"` // messages delivered and not yet acknowledged
	Replicas        int           `yaml:"replicas"`        // of the stream, 1 to 5
	MaxBytes        Bytes         `yaml:"max_bytes"`       // size of the stream at which it refuses new events
}

// Database is the Postgres that holds the outbox.
type Database struct {
	URL            URL           `yaml:"url"`             // postgres://; empty where nobody set one
	MaxConnections int           `yaml:"max_connections"` // per process
	Retention      time.Duration `yaml:"retention"`       // age at which payloads and attempts are dropped; 0 keeps them for ever
}

// HTTP is the listener for health, metrics and the console.
type HTTP struct {
	Listen string `yaml:"listen"` // host:port; port 0 picks a free one
}

// Log is what the worker writes to stderr.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // json, console, or auto: console on a terminal
}

// Dispatch is how deliveries are claimed and a worker is drained.
type Dispatch struct {
	Lease        time.Duration `yaml:"lease"`         // at least three times the longest account timeout
	DrainTimeout time.Duration `yaml:"drain_timeout"` // from SIGTERM until the process ends at the latest
}

// Finance is how the finance views read.
type Finance struct {
	TimeZone string `yaml:"time_zone"` // IANA name; its days are finance's days
}

// Account is one login at a vendor.
type Account struct {
	Kind    string `yaml:"kind"`
	BaseURL string `yaml:"base_url"` // scheme, host and perhaps a path, without a slash at its end
	AppID   string `yaml:"app_id"`   // empty where the vendor has none
	// Secret comes from SYNCWORKER_VENDORS_<ACCOUNT>_SECRET or SecretFile and
	// is empty where neither gave one: see Config.CheckWorker.
	Secret          Secret        `yaml:"secret"`
	SecretFile      string        `yaml:"secret_file"`
	Timeout         time.Duration `yaml:"timeout"`          // of one call, from dial to the last byte of the reply
	MaxInFlight     int           `yaml:"max_in_flight"`    // calls under way at once, over all workers
	RateLimit       float64       `yaml:"rate_limit"`       // calls a second over all workers; 0 = none
	DailyQuota      int           `yaml:"daily_quota"`      // calls of the app id in one day in China; 0 = none
	QuietPeriod     time.Duration `yaml:"quiet_period"`     // before "not found" counts as absent
	EarlyGrace      time.Duration `yaml:"early_grace"`      // how long a refusal may only be early
	PredecessorWait time.Duration `yaml:"predecessor_wait"` // for an order that wasn't seen yet
	UnseenOrders    string        `yaml:"unseen_orders"`    // Hold or Send, after PredecessorWait
	UUIDTimeout     time.Duration `yaml:"uuid_timeout"`     // sent with each uuid; whole seconds
	Retry           Retry         `yaml:"retry"`
	Semantics       Semantics     `yaml:"semantics"`
}

// Retry is the schedule of repeated calls: full jitter between zero and a bound
// that doubles from Initial to Max. Giving up needs both limits.
type Retry struct {
	Initial     time.Duration `yaml:"initial"`
	Max         time.Duration `yaml:"max"`
	MaxAttempts int           `yaml:"max_attempts"`
	MaxAge      time.Duration `yaml:"max_age"`
}

// The values of Account.UnseenOrders and of Semantics.
const (
	Hold       = "hold"
	Send       = "send"
	Unknown    = "unknown"
	Refused    = "refused"
	Replaced   = "replaced"
	Echoed     = "echoed"
	Remark     = "remark"
	ExternalID = "external_id"
	None       = "none"
	Sent       = "sent"
	Held       = "held"
	Shown      = "shown"
)

// Semantics is what the vendor's documents leave open and somebody has probed.
type Semantics struct {
	ExistingOrder      string        `yaml:"existing_order"`       // Unknown, Refused or Replaced
	ExistingOrderReply string        `yaml:"existing_order_reply"` // "CODE" or "CODE words", for Refused
	DuplicateUUID      string        `yaml:"duplicate_uuid"`       // Unknown, Refused or Echoed
	DuplicateUUIDReply string        `yaml:"duplicate_uuid_reply"` // "CODE" or "CODE words", for Refused
	UUIDWindow         time.Duration `yaml:"uuid_window"`          // the longest that this tenant honours
	PointTrace         string        `yaml:"point_trace"`          // Remark, ExternalID or None
	RefundState        string        `yaml:"refund_state"`         // Unknown or Shown: in the reads of OrderReads
	OrderReads         string        `yaml:"order_reads"`          // name of a dmhub-deals account; empty means none
	NegativePoints     string        `yaml:"negative_points"`      // HeyShop: Sent or Held
	CouponPath         string        `yaml:"coupon_path"`          // Pospal: where coupons are written; empty means as documented
}

// Route says which accounts an event goes to. It takes an event whose type and
// tenant each match one of its patterns. A pattern stands for what the account can
// be given of it.
type Route struct {
	Types    []string `yaml:"types"`    // an event type, "order.*" and the like, or "*"
	Tenants  []string `yaml:"tenants"`  // a tenant, a prefix and "*", or "*"
	Accounts []string `yaml:"accounts"` // account names
}

// Default is what is in force where nobody sets anything: no accounts, no routes.
func (k Kinds) Default() Config {
	return Config{
		kinds: k,
		NATS: NATS{
			URL: "nats://127.0.0.1:4222", Stream: "SYNC", Consumer: "syncworker",
			AckWait: 30 * time.Second, MaxAckPending: 10000, Replicas: 1, MaxBytes: 10 << 30,
		},
		Database: Database{MaxConnections: 8},
		HTTP:     HTTP{Listen: "127.0.0.1:8080"},
		Log:      Log{Level: "info", Format: "auto"},
		Dispatch: Dispatch{Lease: 30 * time.Second, DrainTimeout: 25 * time.Second},
		Finance:  Finance{TimeZone: "Asia/Shanghai"},
	}
}
