package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
)

// In the middle of its work each contender is killed, with no chance to clean up,
// and started again.
const (
	killedSlots    = 64
	killedLatency  = 20 * time.Millisecond
	killedTakeover = 10 * time.Second // after which what the dead process had is taken again
	// killedSilence is longer than the worker's lease, and than River's leader and
	// its rescuer take: what hasn't come by then won't.
	killedSilence = 40 * time.Second
)

// crash is what one contender's death has cost.
type crash struct {
	Contender string `json:"contender"`
	Keeps     string `json:"keeps"`
	Events    int    `json:"events"`
	Before    int    `json:"effects_before_the_kill"`
	Unnoted   int    `json:"of_them_without_a_row"` // that the contender knew nothing of when it was dead
	Calls     int64  `json:"calls"`
	Attempts  int    `json:"rows_of_attempts"`
	Lost      int    `json:"effects_lost"` // without those that it asks a person about
	Asked     int    `json:"effects_missing_and_open"`
	verdict
}

// killed lets all contenders die at the same time: it counts, and measures no speed.
func (s *stack) killed(ctx context.Context, p progress) ([]crash, error) {
	sc := scene{name: "killed", latency: killedLatency, contenders: contenders(s.opts, killedSlots)}
	crashes, errs := make([]crash, len(sc.contenders)), make([]error, len(sc.contenders))
	p.say("%s: all contenders at the same time, until nothing more comes", sc.name)
	var all sync.WaitGroup
	for i, c := range sc.contenders {
		c.takeover = killedTakeover
		database, err := s.freshDatabase(ctx, c.template())
		if err != nil {
			return nil, err
		}
		defer s.dropDatabase(context.WithoutCancel(ctx), database) //nolint:errcheck // the server's files go with the run
		all.Go(func() {
			if crashes[i], errs[i] = s.kill(ctx, sc, c, database); errs[i] != nil {
				errs[i] = fmt.Errorf("%s, killed: %w", c.name, errs[i])
			}
		})
	}
	all.Wait()
	return crashes, errors.Join(errs...)
}

// kill ends one contender half-way, starts it again and reads the ledger once all
// is silent.
func (s *stack) kill(ctx context.Context, sc scene, c contender, database string) (crash, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	k := crash{Contender: c.name, Keeps: c.keeping, Events: c.events}
	v, err := s.startVendor(sc)
	if err != nil {
		return k, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	conn, err := pgx.Connect(ctx, s.databaseURL(database))
	if err != nil {
		return k, fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the database goes next
	st, err := s.start(c, database, v.url)
	if err != nil {
		return k, err
	}
	half := func() bool { return v.writes.Load() >= int64(c.events)/2 }
	if err := until(ctx, st.process, half); err != nil {
		st.end()
		return k, fmt.Errorf("%w\n%s", err, lastLines(st.log))
	}
	_ = st.cmd.Process.Kill() // it may have ended by itself
	<-st.ended
	if err := until(ctx, nil, func() bool { return v.sandbox.Summary().InFlight == 0 }); err != nil {
		return k, err
	}
	before := s.wanted.judge(v.effects()).had
	noted, err := readIDs(ctx, conn, st.noted)
	if err != nil {
		return k, err
	}
	k.Before, k.Unnoted = len(before), len(before)-s.wanted.count(before, noted)
	if st, err = s.start(c, database, v.url); err != nil {
		return k, err
	}
	err = until(ctx, st.process, silence(v, killedSilence))
	st.end()
	if err != nil {
		return k, fmt.Errorf("%w\n%s", err, lastLines(st.log))
	}
	return k, s.reckon(ctx, conn, st.books, v, &k)
}

// reckon holds the ledger against what the contender knows.
func (s *stack) reckon(ctx context.Context, conn *pgx.Conn, b books, v *vendor, k *crash) error {
	k.Calls = v.writes.Load()
	if err := conn.QueryRow(ctx, b.attempts).Scan(&k.Attempts); err != nil {
		return fmt.Errorf("counting attempts: %w", err)
	}
	open, err := readIDs(ctx, conn, b.open)
	if err != nil {
		return err
	}
	k.verdict = s.wanted.judge(v.effects())
	k.Asked = s.wanted.count(k.missing, open)
	k.Lost = len(k.missing) - k.Asked
	return nil
}

// until polls what can't be waited for. It ends early where the process does.
func until(ctx context.Context, p *process, holds func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var ended chan struct{}
	if p != nil {
		ended = p.ended
	}
	for !holds() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return errors.New("the process has ended")
		case <-tick.C:
		}
	}
	return nil
}

// silence holds once no call has come for so long.
func silence(v *vendor, long time.Duration) func() bool {
	calls, since := v.calls.Load(), time.Now()
	return func() bool {
		if now := v.calls.Load(); now != calls {
			calls, since = now, time.Now()
		}
		return time.Since(since) >= long
	}
}

// readIDs are the ids that a query names.
func readIDs(ctx context.Context, conn *pgx.Conn, sql string) (map[string]bool, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("reading what is known of the events: %w", err)
	}
	ids := map[string]bool{}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { ids[id] = true; return nil })
	if err != nil {
		return nil, fmt.Errorf("reading what is known of the events: %w", err)
	}
	return ids, nil
}

// count is how many of the events at these positions are among those named.
func (w *wanted) count(positions []int, named map[string]bool) (n int) {
	for _, at := range positions {
		if named[w.ids[at]] {
			n++
		}
	}
	return n
}

func writeKilled(out io.Writer, crashes []crash) error {
	if len(crashes) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\nkilled half-way and started again, %d slots, vendor at %s\nlost: nothing will bring it, and nobody is asked; where order isn't kept, what the vendor refused for it too\n", killedSlots, killedLatency)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "|\trow before the call\trow per attempt\tcalls without a row\teffects lost\tdoubled\topen or asked\tout of order\tpoints\tkeeps\t")
	for _, k := range crashes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", k.Contender, yes(k.Unnoted == 0), yes(k.Attempts > 0),
			max(0, int(k.Calls)-k.Attempts), k.Lost, k.Doubled, k.Asked, k.OutOfOrder, k.PointsOutOfOrder, k.Keeps)
	}
	return w.Flush()
}

func yes(holds bool) string {
	if holds {
		return "yes"
	}
	return "no"
}
