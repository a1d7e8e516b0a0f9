package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set at build time with -ldflags "-X main.version=v1.2.3".
var version string

type versionRow struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, where the build recorded it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupSetup,
		Short:   "Print the version of this binary",
		Example: "  syncworker version\n  syncworker version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			return a.printOne(buildVersion(version, info))
		},
	}
}

// buildVersion prefers what the linker was told to what the module says. info is
// nil in a binary that was built without modules.
func buildVersion(linked string, info *debug.BuildInfo) versionRow {
	row := versionRow{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		if info.Main.Version != "" {
			row.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				row.Revision = s.Value
			}
		}
	}
	if linked != "" {
		row.Version = linked
	}
	return row
}
