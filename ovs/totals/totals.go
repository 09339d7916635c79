// Package totals keeps the networks' traffic totals in a file, so that they go
// on after a restart of the program (docs/adr/0005-traffic-that-lasts.md).
package totals

import (
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/model/traffic"
)

// Interval is the time between two writes. It bounds what a crash loses.
const Interval = 30 * time.Second

// content is what the file has.
type content struct {
	// Boot is the kernel's boot_id (random(4)); empty is unknown.
	Boot string `json:"boot"`
	traffic.State
}

// File is the file with the totals. It is not for several goroutines at once.
type File struct {
	file *statefile.File
	boot string
}

// Open returns the file of a path. It need not exist, nor its directory.
func Open(path string, log *slog.Logger) *File {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		log.Warn("whether the host was started anew since the traffic was last counted will not be known", "error", err)
	}
	return &File{boot: strings.TrimSpace(string(boot)), file: statefile.New(path, "traffic 1", statefile.Texts{
		Broken:  "the traffic totals of before are lost, and the networks' traffic counts from zero; look into the file that is kept aside",
		Unsaved: "the traffic totals cannot be saved, and a restart will lose what is counted meanwhile; trying on",
		Saved:   "the traffic totals can be saved again",
	}, log)}
}

// Load returns what was saved last, which is nothing at first, and whether the
// host was started anew since. A file that cannot be read is kept aside under
// another name and logged, and the totals start from zero.
func (f *File) Load() (state traffic.State, rebooted bool) {
	var c content
	if !f.file.Load(&c) {
		return traffic.State{}, false
	}
	return c.State, c.Boot != "" && f.boot != "" && c.Boot != f.boot
}

// Save writes a state, unless the file has it already. After a crash the file
// has this state or the one before it. When it cannot be written, that is
// logged, and the next Save tries again.
func (f *File) Save(state traffic.State) { f.file.Save(content{f.boot, state}) }
