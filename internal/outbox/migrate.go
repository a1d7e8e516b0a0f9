package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"syncworker/internal/failpoint"
	"syncworker/migrations"
)

// Migration is one step of the schema.
type Migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	AppliedAt time.Time `json:"applied_at,omitzero"` // zero: still to be applied
}

// Migrate brings the schema up to date. It takes an advisory lock, so that many
// may call it at once, and is safe with workers running: while a transaction of
// somebody else holds what a migration needs, it waits as patient says. It returns
// what it applied; what there is to tell a person goes to notice, which may be nil.
func Migrate(ctx context.Context, url string, notice func(string)) ([]Migration, error) {
	provider, db, err := migrator(url, notice)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var applied []Migration
	for {
		r, err := patient(ctx, provider.UpByOne, notice)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return applied, nil
		}
		if err == nil {
			applied = append(applied, Migration{Version: r.Source.Version, Name: r.Source.Path, AppliedAt: time.Now().UTC()})
			err = failpoint.Hit(failpoint.Migrating, "")
		}
		if err != nil {
			return nil, fmt.Errorf("migrating the database: %w", err)
		}
	}
}

const (
	// lockTimeout is how long a migration may stand in line for a lock: whoever
	// comes after it, which is every worker, waits behind it.
	lockTimeout = time.Second
	lockPause   = 2 * time.Second // in which the line moves on
	// lockNotAvailable is what Postgres answers after lockTimeout.
	lockNotAvailable = "55P03"
)

// patient tries a migration until it gets its locks. A backup or a report may hold
// them for hours.
func patient(ctx context.Context, up func(context.Context) (*goose.MigrationResult, error), notice func(string)) (*goose.MigrationResult, error) {
	for told := false; ; told = true {
		r, err := up(ctx)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != lockNotAvailable {
			return r, err
		}
		if notice != nil && !told {
			notice("a migration waits for the end of a transaction that holds one of its tables, such as a backup: " + pg.Message)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lockPause):
		}
	}
}

// Migrations returns every step of the schema, applied or not.
func Migrations(ctx context.Context, url string) ([]Migration, error) {
	provider, db, err := migrator(url, nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	status, err := provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the state of the schema: %w", err)
	}
	list := make([]Migration, len(status))
	for i, m := range status {
		list[i] = Migration{Version: m.Source.Version, Name: m.Source.Path, AppliedAt: m.AppliedAt}
	}
	return list, nil
}

// raised is what RAISE gives a notice that names no other code. Those of the
// server itself ("relation already exists, skipping") have others.
const raised = "00000"

func migrator(url string, notice func(string)) (*goose.Provider, *sql.DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, nil, errors.New("database.url: it can't be read as a Postgres URL or DSN")
	}
	config.RuntimeParams["lock_timeout"] = strconv.FormatInt(lockTimeout.Milliseconds(), 10)
	if notice != nil {
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			if n.Code == raised {
				notice(n.Message)
			}
		}
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, nil, fmt.Errorf("preparing the migration lock: %w", err)
	}
	db := stdlib.OpenDB(*config)
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("reading the migrations: %w", err)
	}
	return provider, db, nil
}
