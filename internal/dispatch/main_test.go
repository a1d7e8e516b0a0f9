package dispatch

import (
	"context"
	"os"
	"testing"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/outbox"
)

func TestMain(m *testing.M) { os.Exit(devtest.Run(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := outbox.Migrate(ctx, url, nil)
	return err
}
