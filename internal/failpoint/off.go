//go:build !failpoints

package failpoint

import "context"

// Hit does nothing in this build.
func Hit(Point, string) error { return nil }

// Each does nothing in this build.
func Each[T any](Point, []T, func(T) string) error { return nil }

// About does nothing in this build.
func About(ctx context.Context, _ string) context.Context { return ctx }

// Detail is empty in this build.
func Detail(context.Context) string { return "" }

// Enabled tells that this build has failpoints.
const Enabled = false
