package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/isonet/isonet/internal/statefile"
	"github.com/isonet/isonet/model/plan"
)

// memory is the file that keeps what the loop remembers of bridges and ports while
// the program does not run.
func memory(stateDir string, log *slog.Logger) *statefile.File {
	return statefile.New(filepath.Join(stateDir, "ports"), "ports 1", statefile.Texts{
		Broken: "what was known of the bridges and ports is lost: bridges are known by their marks again, and ports that were taken away while isonetd did not run " +
			"are not plugged in again; look into the file that is kept aside",
		Unsaved: "what is known of the bridges and ports cannot be saved: ports that are taken away while isonetd does not run will not be plugged in again; trying on",
		Saved:   "what is known of the bridges and ports can be saved again",
	}, log)
}

// recall lets the loop go on from what it remembered before the program ended. The
// function that it returns saves it again.
func (h *host) recall(file *statefile.File) (save func(plan.Memory)) {
	var m plan.Memory
	file.Load(&m)
	h.loop.Recall(m, boot(h.log))
	return func(m plan.Memory) { file.Save(m) }
}

// boot names the run of the kernel and the network namespace in which ifindexes
// count; "" is unknown.
func boot(log *slog.Logger) string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		var namespace string
		if namespace, err = os.Readlink("/proc/thread-self/ns/net"); err == nil {
			return strings.TrimSpace(string(id)) + " " + namespace
		}
	}
	log.Warn("ports that are taken away while isonetd does not run will not be plugged in again, because it does not know the run of the kernel", "error", err)
	return ""
}
