// Package version says which isonet this is.
package version

import (
	"fmt"
	"runtime/debug"
)

// The build fills these with -ldflags -X (see the Makefile). They are empty in
// a binary that "go install" or "go test" made.
var (
	version string
	commit  string
)

// Version returns the version that the binary was built from: what
// git-describe(1) says of the commit, or else the version of the Go module, or
// "devel" when neither is known.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// Commit returns the hash of the commit that the binary was built from, or
// "unknown".
func Commit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// String returns both in one line, for --version and the log.
func String() string {
	return fmt.Sprintf("%s (commit %s)", Version(), Commit())
}
