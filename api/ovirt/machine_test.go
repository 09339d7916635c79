package ovirt

import (
	"crypto/md5" //nolint:gosec // the engine's ids are of it
	"testing"

	"github.com/google/uuid"
)

// The ids of statistics are what the engine makes of their names.
func TestIDsOfStatistics(t *testing.T) {
	ids := map[string]string{}
	for _, s := range statisticTable() {
		ids[s.name] = s.id
	}
	for _, s := range machineTable() {
		ids[s.name] = s.id
	}
	for name, id := range ids {
		sum := md5.Sum([]byte(name)) //nolint:gosec // as above
		sum[6], sum[8] = sum[6]&0x0f|0x30, sum[8]&0x3f|0x80
		if want := uuid.UUID(sum).String(); id != want {
			t.Errorf("the id of %s is %s, want %s", name, id, want)
		}
	}
}
