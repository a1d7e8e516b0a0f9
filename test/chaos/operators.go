package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"syncworker/test/chaos/check"
)

// operators decide at random, by the command line, and say nothing about the
// vendor that isn't true: like a person, they look there before they answer.
type operators struct {
	rng    *rand.Rand
	config string
	env    []string
	vendor *vendor

	mu     sync.Mutex // guards all below
	binary string
	deeds  []check.Deed
}

func newOperators(seed uint64, binary, config string, env []string, v *vendor) *operators {
	return &operators{rng: rand.New(rand.NewPCG(seed, 0x6f7073)), binary: binary, config: config, env: env, vendor: v}
}

// use makes later commands those of this program.
func (o *operators) use(binary string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.binary = binary
}

func (o *operators) program() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.binary
}

// patience is how old a held delivery must be before somebody answers it: by
// then no call of it is under way, not even one of a worker that was stopped.
const patience = lease + 3*time.Second + quiet

// standing is a delivery as `deliveries list -o json` shows it.
type standing struct {
	ID      int64   `json:"id"`
	Account string  `json:"account"`
	Type    string  `json:"type"`
	OrderNo string  `json:"order_no"`
	UUID    string  `json:"uuid"`
	State   string  `json:"state"`
	Reason  string  `json:"reason"`
	Age     float64 `json:"age_seconds"`
}

func (o *operators) work(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.decide(context.WithoutCancel(ctx))
		}
	}
}

// decide looks at what is there and does something about one delivery or two.
func (o *operators) decide(ctx context.Context) {
	state := []string{"held", "held", "held", "dead", "waiting", "pending"}[o.rng.IntN(6)]
	out, _, err := o.command(ctx, "list", "--state", state, "--limit", "200")
	if err != nil {
		return // the database is away
	}
	var rows []standing
	for line := range strings.Lines(out) {
		var s standing
		if json.Unmarshal([]byte(line), &s) != nil {
			return
		}
		rows = append(rows, s)
	}
	if len(rows) == 0 {
		return
	}
	s := rows[o.rng.IntN(len(rows))]
	if args := o.answer(s); args != nil {
		o.act(ctx, args, s.ID)
	}
}

// answer is the command for a delivery, or none.
func (o *operators) answer(s standing) []string {
	chance := o.rng.Float64()
	switch s.State {
	case "waiting", "pending":
		if chance < 0.3 {
			return []string{"cancel"}
		}
		return nil
	case "dead":
		if chance < 0.8 {
			return []string{"replay"}
		}
		return []string{"cancel"}
	}
	applied, certain := o.vendor.has(s)
	switch {
	case s.Age < patience.Seconds() || !certain:
		return nil
	case applied:
		return []string{"resolve", "--applied", "--evidence", "the order page shows it"}
	case chance < 0.5 && s.Reason == "unclear":
		return []string{"resolve", "--send-again"}
	case chance < 0.8:
		return []string{"resolve", "--not-applied"}
	default:
		return []string{"cancel"}
	}
}

// act carries a command out and writes down what it said.
func (o *operators) act(ctx context.Context, args []string, id int64) {
	deed := check.Deed{At: time.Now(), Action: strings.TrimPrefix(strings.Join(args[:min(2, len(args))], " "), "resolve --"), IDs: []int64{id}}
	deed.Why = "chaos " + strconv.Itoa(o.count()+1) + "."
	out, code, err := o.command(ctx, slices.Concat(args, []string{strconv.FormatInt(id, 10), "--yes", "--reason", deed.Why})...)
	deed.Until, deed.Exit = time.Now(), code
	var said struct {
		Changed []int64 `json:"changed"`
	}
	deed.Answered = json.Unmarshal([]byte(out), &said) == nil && (err == nil || code == needsPerson)
	deed.Changed = said.Changed
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deeds = append(o.deeds, deed)
}

// needsPerson is the exit code that tells that something was refused.
const needsPerson = 3

func (o *operators) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.deeds)
}

func (o *operators) command(ctx context.Context, args ...string) (out string, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.program(), slices.Concat([]string{"deliveries"}, args, []string{"--config", o.config, "-o", "json"})...)
	cmd.Env = append(os.Environ(), o.env...)
	text, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(text), exit.ExitCode(), fmt.Errorf("deliveries %s: %w: %s", args[0], err, exit.Stderr)
	}
	return string(text), 0, err
}
