//go:build failpoints

package failpoint

import (
	"context"
	"fmt"
	"os"
	"sync"
)

// Enabled tells that this build has failpoints.
const Enabled = true

// armed is what the environment asks for. It is read as the process starts, so
// that a rule that can't be read is never taken for one that isn't met.
var armed = arm()

func arm() *armory {
	rules, err := parse(os.Getenv("SYNCWORKER_FAILPOINTS"), os.Getenv("SYNCWORKER_FAILPOINT_SEED"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "syncworker:", err)
		os.Exit(2)
	}
	return &armory{rules: rules}
}

// armory counts the hits.
type armory struct {
	mu    sync.Mutex
	rules []*rule
}

// due returns what the rules want of this hit: of several the first.
func (a *armory) due(p Point, detail string) (action, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := action(""), false
	for _, r := range a.rules {
		if r.fits(p, detail) && r.fires() && !ok {
			found, ok = r.action, true
		}
	}
	return found, ok
}

// Hit does what the environment wants of this point. It returns an error only
// where that is what is wanted; after a stop it returns when the process goes on.
func Hit(p Point, detail string) error {
	what, ok := armed.due(p, detail)
	if !ok {
		return nil
	}
	name := string(p)
	if detail != "" {
		name += "/" + detail
	}
	fmt.Fprintf(os.Stderr, "failpoint: %s: %s\n", name, what)
	switch what {
	case kill:
		die()
	case stop:
		freeze()
	}
	if what == fail {
		return fmt.Errorf("failpoint %s: an error was asked for", name)
	}
	return nil
}

// Each hits the point once for each element, and returns the first error.
func Each[T any](p Point, list []T, detail func(T) string) error {
	for _, x := range list {
		if err := Hit(p, detail(x)); err != nil {
			return err
		}
	}
	return nil
}

type detailKey struct{}

// About says what the calls of a context are about, for Detail.
func About(ctx context.Context, detail string) context.Context {
	return context.WithValue(ctx, detailKey{}, detail)
}

// Detail returns what About has said.
func Detail(ctx context.Context) string {
	detail, _ := ctx.Value(detailKey{}).(string)
	return detail
}
