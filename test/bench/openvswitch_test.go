package bench

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
)

// openvswitch is a private Open vSwitch with the userspace datapath.
type openvswitch struct {
	*testing.B
	*ovstest.OVS
	namespace string
}

// wanted is a bridge that every way has to make: the same columns with the same
// values as isonet's.
type wanted struct {
	name                string
	bridge, port, iface map[string]any
}

// columns are what isonet sets, by table. The name is the first.
func columns() map[string]string {
	return map[string]string{
		"Bridge":    "name,datapath_type,external_ids,other_config",
		"Port":      "name,vlan_mode,trunks,external_ids",
		"Interface": "name,type,mtu_request",
	}
}

// readWant reads the bridges that isonet made, for the other ways to make.
func (o *openvswitch) readWant(names []string) []wanted {
	o.Helper()
	rows := map[string]map[string]map[string]any{}
	for table, list := range columns() {
		rows[table] = o.rows(table, list)
	}
	var want []wanted
	for _, name := range names {
		want = append(want, wanted{name, rows["Bridge"][name], rows["Port"][name], rows["Interface"][name]})
	}
	return want
}

// rows reads a table in the notation of RFC 7047 section 5.1, by name.
func (o *openvswitch) rows(table, list string) map[string]map[string]any {
	o.Helper()
	var reply struct {
		Headings []string
		Data     [][]any
	}
	text := o.Vsctl("--format=json", "--columns="+list, "list", table)
	if err := json.Unmarshal([]byte(text), &reply); err != nil {
		o.Fatalf("table %s: %v in %s", table, err, text)
	}
	rows := map[string]map[string]any{}
	for _, values := range reply.Data {
		row := map[string]any{}
		for i, heading := range reply.Headings {
			row[heading] = values[i]
		}
		rows[row["name"].(string)] = row
	}
	return rows
}

// check fails unless all bridges exist as wanted and are in use. What a change of
// the MTU changes is as the way has it.
func (o *openvswitch) check(want []wanted) {
	o.Helper()
	names := make([]string, len(want))
	for i, w := range want {
		names[i] = w.name
	}
	ignored := cmp.Options{
		cmp.AllowUnexported(wanted{}),
		cmpopts.IgnoreMapEntries(func(column string, _ any) bool { return column == "mtu_request" }),
		cmpopts.IgnoreSliceElements(func(pair any) bool {
			p, ok := pair.([]any)
			return ok && len(p) == 2 && p[0] == plan.RevisionKey
		}),
	}
	if diff := cmp.Diff(want, o.readWant(names), ignored); diff != "" {
		o.Fatalf("not realised (-want +got):\n%s", diff)
	}
	for name, row := range o.rows("Interface", "name,ofport,error") {
		if row["ofport"] != float64(localPort) {
			o.Fatalf("not realised: the local port of %s is %v", name, row)
		}
	}
	if got := o.devices(want); got != len(want) {
		o.Fatalf("not realised: %d devices, want %d", got, len(want))
	}
}

// mtu waits until all bridges' devices have the MTU that is asked for, and returns
// it. vswitchd tells it a moment after cur_cfg.
func (o *openvswitch) mtu(want []wanted) float64 {
	o.Helper()
	var first float64
	ovstest.Eventually(o.B, "all devices have the MTU", func() error {
		rows := o.rows("Interface", "name,mtu,mtu_request")
		first, _ = rows[want[0].name]["mtu_request"].(float64)
		for _, w := range want {
			if row := rows[w.name]; row["mtu"] != first || row["mtu_request"] != first {
				return fmt.Errorf("%s: %v, want %v", w.name, row, first)
			}
		}
		return nil
	})
	return first
}

// devices counts the network devices of bridges.
func (o *openvswitch) devices(want []wanted) int {
	o.Helper()
	text := must(o.B, exec.CommandContext(o.Context(), "ip", "netns", "exec", o.namespace, "ls", "/sys/class/net"))
	n := 0
	for _, name := range strings.Fields(text) {
		if slices.ContainsFunc(want, func(w wanted) bool { return w.name == name }) {
			n++
		}
	}
	return n
}

// awaitIdle waits until the devices are gone and vswitchd has nothing to do, so
// that the next way does not pay for the end of this one.
func (o *openvswitch) awaitIdle(want []wanted) {
	o.Helper()
	ovstest.Eventually(o.B, "the devices are gone", func() error {
		if n := o.devices(want); n > 0 {
			return fmt.Errorf("%d devices", n)
		}
		return nil
	})
	o.Vsctl("set", "Open_vSwitch", ".", "external_ids:bench=idle") // waits for vswitchd
	o.Vsctl("remove", "Open_vSwitch", ".", "external_ids", "bench")
}

func (o *openvswitch) version() string {
	fields := strings.Fields(o.Appctl("version"))
	return fields[3]
}

// vsctlEach does something with every bridge with a call of its own. ovs-vsctl
// waits for vswitchd.
func (o *openvswitch) vsctlEach(want []wanted, what func(wanted) []string) time.Duration {
	o.Helper()
	start := time.Now()
	for _, w := range want {
		must(o.B, o.VsctlCommand(what(w)...))
	}
	return time.Since(start)
}

// vsctlOnce does something with all bridges with one call.
func (o *openvswitch) vsctlOnce(want []wanted, what func(wanted) []string) time.Duration {
	o.Helper()
	start := time.Now()
	var args []string
	for _, w := range want {
		args = append(args, what(w)...)
	}
	must(o.B, o.VsctlCommand(args...))
	return time.Since(start)
}

// add returns the commands of ovs-vsctl that make the bridge. It adds the local
// port, its type and all names by itself.
func (w wanted) add() []string {
	args := []string{"--", "add-br", w.name}
	for _, part := range []struct {
		table string
		row   map[string]any
	}{{"Bridge", w.bridge}, {"Port", w.port}, {"Interface", w.iface}} {
		args = append(args, "--", "set", part.table, w.name)
		for column, v := range part.row {
			if column != "name" && column != "type" {
				args = append(args, column+"="+argument(v))
			}
		}
	}
	return args
}

// alter returns the command that changes the MTU.
func (w wanted) alter() []string {
	return []string{"--", "set", "Interface", w.name, fmt.Sprintf("mtu_request=%d", otherMTU)}
}

// delete returns the command that deletes the bridge.
func (w wanted) delete() []string { return []string{"--", "del-br", w.name} }

// argument writes a value in the notation of ovs-vsctl(8).
func argument(v any) string {
	compound, ok := v.([]any)
	if !ok {
		text, _ := json.Marshal(v) // of a string or number
		return string(text)
	}
	var items []string
	for _, item := range compound[1].([]any) { // compound[0] is "map"
		pair := item.([]any)
		items = append(items, argument(pair[0])+"="+argument(pair[1]))
	}
	return strings.Join(items, ",")
}
