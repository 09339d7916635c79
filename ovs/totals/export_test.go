package totals

import (
	"testing"

	"github.com/isonet/isonet/model/traffic"
)

// WriteAs writes a file as isonetd does under another boot of the kernel.
func WriteAs(t *testing.T, path, boot string, state traffic.State) {
	t.Helper()
	if err := (&File{path: path}).save(content{boot, state}); err != nil {
		t.Fatal(err)
	}
}
