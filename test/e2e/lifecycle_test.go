package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestManyNetworksInOneTransaction(t *testing.T) {
	const count = 300
	h := newHost(t)
	var names []string
	for i := range count {
		name := fmt.Sprintf("net%03d", i)
		h.createNetwork(name, "")
		names = append(names, name)
	}

	h.setup(http.StatusOK, attach(names...))
	if diff := cmp.Diff([]int{count}, h.transactions("insert")); diff != "" {
		t.Errorf("bridges inserted by each transaction (-want +got):\n%s", diff)
	}
	if got := strings.Fields(h.vsctl("list-br")); len(got) != count {
		t.Errorf("%d bridges exist, want %d", len(got), count)
	}
	ports := h.run(`ovs-vsctl --timeout=20 --bare --columns=ofport find interface type=internal`)
	if open := len(strings.Fields(ports)); open != count {
		t.Errorf("%d bridges are open when the call returns, want %d", open, count)
	}

	h.setup(http.StatusOK, detach(names...))
	if diff := cmp.Diff([]int{count}, h.transactions("delete")); diff != "" {
		t.Errorf("bridges deleted by each transaction (-want +got):\n%s", diff)
	}
}

// transactions returns how many bridges each transaction in the log of Open
// vSwitch's database inserts or deletes, without those that have none.
func (h *host) transactions(change string) []int {
	h.t.Helper()
	var counts []int
	bridge := map[string]*regexp.Regexp{
		"insert": regexp.MustCompile(`(?m)^  table Bridge insert row`),
		"delete": regexp.MustCompile(`(?m)^  table Bridge row .*\n    delete row`),
	}[change]
	for record := range strings.SplitSeq(h.run(`ovsdb-tool -mm show-log /etc/openvswitch/conf.db`), "\nrecord ") {
		if n := len(bridge.FindAllString(record, -1)); n > 0 {
			counts = append(counts, n)
		}
	}
	return counts
}

func TestLabelOfTheHostAttaches(t *testing.T) {
	h := newHost(t)
	id := h.createNetwork("red", "")
	h.call(http.StatusCreated, http.MethodPost, "/networks/"+id+"/networklabels", `<network_label id="team"/>`)
	if h.hasBridge("red") {
		t.Fatal("the network is on the host before the host has its label")
	}

	h.call(http.StatusCreated, http.MethodPost, "/hosts/"+h.id+"/networklabels", `<network_label id="team"/>`)
	h.plug(red1, red2)
	h.reaches(red1, red2.ip)
	if got := attributes(t, h.get("/hosts/"+h.id+"/networkattachments"), "network_attachment", "id"); len(got) != 1 {
		t.Errorf("attachments: %v, want the label's", got)
	}

	label := "/hosts/" + h.id + "/networklabels/team"
	h.call(http.StatusConflict, http.MethodDelete, label, "") // the VMs are plugged in
	h.reaches(red1, red2.ip)
	h.call(http.StatusOK, http.MethodDelete, label+"?force=true", "")
	if h.hasBridge("red") {
		t.Error("the bridge outlives the label")
	}
	h.isolated(red1, red2.ip)
	if got := attributes(t, h.get("/hosts/"+h.id+"/networkattachments"), "network_attachment", "id"); len(got) != 0 {
		t.Errorf("attachments without the label: %v", got)
	}
}

func TestDriftIsRepaired(t *testing.T) {
	h := newHost(t)
	h.network("red", "blue")
	h.plug(red1, red2, blue1, blue2)
	h.reaches(red1, red2.ip)
	marks := h.vsctl("get", "bridge", "red", "external_ids")

	for _, drift := range []struct{ name, change, until string }{
		{"marks", "clear bridge red external_ids", "external_ids:owner=isonet"},
		{"controller", "set-controller red tcp:127.0.0.1:6653", "controller=[]"},
		{"fail mode", "set bridge red fail_mode=standalone", "fail_mode=secure"}, // it is strict
		{"spanning tree", "set bridge red stp_enable=true", "stp_enable=false"},
	} {
		// One transaction returns before the other can be seen, so wait-until
		// starts from the changed state.
		h.vsctl(drift.change)
		h.vsctl("wait-until bridge red " + drift.until)
		h.reaches(red1, red2.ip)
	}
	if diff := cmp.Diff(marks, h.vsctl("get", "bridge", "red", "external_ids")); diff != "" {
		t.Errorf("marks of the bridge (-before +after):\n%s", diff)
	}

	h.vsctl("clear port red trunks vlan_mode")
	h.vsctl("wait-until port red vlan_mode=trunk trunks=4095")

	h.vsctl("del-br red")
	h.vsctl("wait-until bridge red external_ids:owner=isonet")
	h.reaches(red1, red2.ip) // their ports came back with the bridge
	h.isolated(red1, blue1.ip)
	h.reaches(blue1, blue2.ip)
}

func TestRestartOfTheDaemon(t *testing.T) {
	h := newHost(t)
	h.network("red", "blue")
	h.plug(red1, red2)
	h.createNetwork("green", "<mtu>1400</mtu><comment>kept</comment>")
	h.call(http.StatusCreated, http.MethodPost, "/hosts/"+h.id+"/networklabels", `<network_label id="team"/>`)
	h.eventually("the networks are as they should, with all that is told of the VMs", func() error {
		got := h.get("/hosts/" + h.id + "/networkattachments")
		if strings.Count(got, "<strict_state>active") != 2 || strings.Contains(got, "<in_sync>false") || !strings.Contains(got, "<reason>open_checksums") {
			return errors.New(got)
		}
		return nil
	})
	before := h.everything()

	h.losesNoPing(func() {
		h.killDaemon()
		h.startDaemon()
		// A row that was made anew would have another UUID.
		h.eventually("all is as it was", func() error {
			if diff := cmp.Diff(before, h.everything()); diff != "" {
				return fmt.Errorf("-before +after:\n%s", diff)
			}
			return nil
		})
	})
	h.network("yellow")
	if !h.hasBridge("yellow") {
		t.Error("the daemon makes no bridge after its restart")
	}
}

// everything returns what the API and Open vSwitch have.
func (h *host) everything() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	for _, path := range []string{"/networks", "/hosts/" + h.id + "/networkattachments", "/hosts/" + h.id + "/networklabels"} {
		all[path] = h.get(path)
	}
	for _, table := range []string{"bridge", "port", "interface"} {
		all[table] = h.row(table, "")
	}
	return all
}

// answeredPings returns the sequence numbers in the order of the answers.
func (h *host) answeredPings() []int {
	h.t.Helper()
	var numbers []int
	for _, m := range regexp.MustCompile(`icmp_seq=(\d+) ttl=`).FindAllStringSubmatch(h.run(`cat /tmp/ping`), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			h.t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func (h *host) pingsUpTo(want int) error {
	h.t.Helper()
	if got := len(h.answeredPings()); got < want {
		return fmt.Errorf("%d answers, want %d", got, want)
	}
	return nil
}
