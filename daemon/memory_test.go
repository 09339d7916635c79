package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// example has all that a memory can have.
func example() plan.Memory {
	return plan.Memory{
		Boot: "b0 net:[1]", NextCfg: 7, Owners: plan.Owners{"row": "red", "other": ""},
		Networks: map[model.ID]plan.Kept{"red": {Bridge: "row", Local: "local", Ports: []plan.KeptPort{{
			Waiting: true, Devices: []plan.Identity{{Index: 5, Kind: "tun"}},
			Port: plan.Port{
				Name: "vnet0", VLANMode: "access", Tag: 3, Trunks: []int{1}, Protected: true, LACP: "off",
				ExternalIDs: map[string]string{"a": "b"}, OtherConfig: map[string]string{"c": "d"}, Rest: plan.Columns{"mac": `"x"`},
				QoS: &plan.QoS{UUID: "q", Rest: plan.Columns{"type": `"linux-htb"`}, Queues: map[int]plan.Columns{1: {"dscp": "2"}}},
				Interfaces: []plan.Interface{{
					Name: "vnet0", Type: "system", MTURequest: 1400, ExternalIDs: map[string]string{"vm-id": "v"}, Rest: plan.Columns{"ofport_request": "9"},
				}},
			},
		}}}},
		Opened: map[model.ID]map[string][]int{"red": {"interface": {5, 7}}},
	}
}

// TestTheMemorysFormat reads a file that an isonetd wrote before: who changes a name of
// what is saved, has to go on reading it or to give the format another number.
func TestTheMemorysFormat(t *testing.T) {
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join("testdata", "ports-1"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ports"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got plan.Memory
	if !memory(dir, log).Load(&got) {
		t.Fatal("it cannot be read")
	}
	if diff := cmp.Diff(example(), got); diff != "" {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
}
