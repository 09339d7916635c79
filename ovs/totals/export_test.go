package totals

import (
	"log/slog"
	"testing"

	"github.com/isonet/isonet/model/traffic"
)

// WriteAs writes a file as isonetd does under another boot of the kernel.
func WriteAs(t *testing.T, path, boot string, state traffic.State) {
	t.Helper()
	file := Open(path, slog.New(slog.NewTextHandler(t.Output(), nil)))
	file.boot = boot
	file.Save(state)
}
