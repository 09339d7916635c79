package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/store"
)

// TestNoFileDescriptorsAreLeft lets clients take all of isonetd's. It goes on
// keeping the networks, and answers when they are gone.
func TestNoFileDescriptorsAreLeft(t *testing.T) {
	t.Parallel()
	const limit = 64
	h, stream := start(t, hosttest.Under("prlimit", fmt.Sprintf("--nofile=%d:%d", limit, limit)))
	var conns []net.Conn
	for range limit {
		conn, err := net.Dial("unix", h.Socket())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	ovstest.Eventually(t, "isonetd has no file descriptor left", func() error {
		if open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.Process().PID())); err != nil || len(open) < limit {
			return fmt.Errorf("it has %d, %w", len(open), err)
		}
		return nil
	})
	h.OVS.Vsctl("set", "bridge", "red", "mcast_snooping_enable=true")
	ovstest.Eventually(t, "the bridge is put back", func() error {
		if h.OVS.Vsctl("get", "bridge", "red", "mcast_snooping_enable") != "false" {
			return errors.New("it is not")
		}
		return nil
	})
	for _, conn := range conns {
		_ = conn.Close() // nothing was written to it
	}
	h.Converges("red")
	stream.Complete()
}

// schema writes a schema of Open vSwitch that was changed, and returns its path.
func schema(t *testing.T, text []byte, change func(map[string]any)) string {
	t.Helper()
	var content map[string]any
	if err := json.Unmarshal(text, &content); err != nil {
		t.Fatal(err)
	}
	delete(content, "cksum")
	change(content)
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "schema")
	write(t, path, text)
	return path
}

// TestAColumnIsMissing runs isonetd on a schema that lacks one of its columns. It
// says which, and changes nothing.
func TestAColumnIsMissing(t *testing.T) {
	t.Parallel()
	h := newHost(t, hosttest.OnOVS(ovstest.WithoutVSwitchd()))
	older := schema(t, read(t, ovstest.Schema), func(s map[string]any) {
		columns := s["tables"].(map[string]any)["Port"].(map[string]any)["columns"].(map[string]any)
		delete(columns, "protected")
	})
	use := func(schema string) {
		h.OVS.StopServer()
		h.OVS.Server().Create(schema)
		h.OVS.StartServer()
		h.OVS.Init()
	}
	use(older)
	before := h.OVS.Versions()
	h.Launch()
	ovstest.Eventually(t, "isonetd says what is missing", func() error {
		if !strings.Contains(h.Logged(), "protected") {
			return errors.New(h.Logged())
		}
		return nil
	})
	if reply := h.Answer("GET", "/networks", ""); reply.Code != http.StatusOK || reply.Header.Get("Isonet-Stale") == "" {
		t.Errorf("a read is answered with %+v", reply)
	}
	if fmt.Sprint(before) != fmt.Sprint(h.OVS.Versions()) {
		t.Error("isonetd changed Open vSwitch")
	}
	use(ovstest.Schema)
	h.OVS.StartVSwitchd()
	h.AwaitReady()
	h.Create("red")
	h.Attach("red")
	h.Converges("red")
}

// TestAColumnIsUnknown runs isonetd on the database of a later Open vSwitch. It
// works, and says that it knows nothing of what is new there.
func TestAColumnIsUnknown(t *testing.T) {
	t.Parallel()
	h := newHost(t, hosttest.OnOVS(ovstest.WithoutVSwitchd()))
	h.OVS.StopServer()
	h.OVS.Server().Create(schema(t, read(t, ovstest.Schema), func(s map[string]any) {
		text := map[string]any{"type": "string"}
		tables := s["tables"].(map[string]any)
		tables["Bridge"].(map[string]any)["columns"].(map[string]any)["teleport"] = text
		tables["Wormhole"] = map[string]any{"columns": map[string]any{"end": text}, "isRoot": true}
	}))
	h.OVS.StartServer()
	h.OVS.Init()
	h.OVS.StartVSwitchd()
	h.Start()
	h.Create("red")
	h.Attach("red")
	h.Converges("red")
	doctor := h.Command(os.Getenv(clientVariable), "--socket", h.Socket(), "doctor")
	out, err := doctor.CombinedOutput()
	if err := errors.Join(err, says(string(out), true, []string{"notice: Open vSwitch's database has columns", ": Bridge teleport, Wormhole end\n"}, nil)); err != nil {
		t.Error(err)
	}
	ovstest.Eventually(t, "the log tells it", func() error { return says(h.Logged(), true, []string{"Bridge teleport, Wormhole end"}, nil) })
}

// TestTheVersionOfVSwitchdIsTold lets the database say nothing of Open vSwitch's
// version, as where ovs-ctl was not used, and another one than the ovs-vswitchd
// that runs.
func TestTheVersionOfVSwitchdIsTold(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red")
	h.Attach("red")
	out, err := h.Command("ovs-vswitchd", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	version := first[strings.LastIndexByte(first, ' ')+1:]
	tells := func(parts ...string) {
		t.Helper()
		ovstest.Eventually(t, "the status tells it", func() error {
			reply, err := h.Ask("GET", "/isonet/status", "")
			return errors.Join(err, says(reply.Text, true, append(parts, fmt.Sprintf(`"ovs_version":"%s"`, version)), nil))
		})
	}
	tells(`"notices":[]`)
	h.OVS.Vsctl("--no-wait", "set", "Open_vSwitch", ".", "ovs_version=2.0.0")
	tells(`that runs is ` + version + `, and the database says that Open vSwitch is 2.0.0`)
	doctor := h.Command(os.Getenv(clientVariable), "--socket", h.Socket(), "doctor")
	out, err = doctor.CombinedOutput()
	if err = errors.Join(err, says(string(out), true, []string{"notice: the ovs-vswitchd that runs is " + version, "remedy: restart", "worth a look"}, nil)); err != nil {
		t.Error(err)
	}
	ovstest.Eventually(t, "the log tells it", func() error {
		return says(h.Logged(), true, []string{"version=" + version, "the database says that Open vSwitch is 2.0.0"}, nil)
	})
	h.OVS.Vsctl("--no-wait", "set", "Open_vSwitch", ".", "ovs_version="+version)
	tells(`"notices":[]`)
}

// TestTheSchemaIsConverted gives both databases another schema while isonetd
// follows them, which ends what it follows.
func TestTheSchemaIsConverted(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	h.Create("blue")
	more := func(s map[string]any) {
		s["tables"].(map[string]any)["New"] = map[string]any{"columns": map[string]any{"name": map[string]any{"type": "string"}}}
	}
	h.Store.Convert(schema(t, store.Schema, more))
	h.OVS.Server().Convert(schema(t, read(t, ovstest.Schema), more))
	h.OVS.Vsctl("--no-wait", "set", "bridge", "red", "mcast_snooping_enable=true")
	ovstest.Eventually(t, "the bridge is put back", func() error {
		if h.OVS.Vsctl("--no-wait", "get", "bridge", "red", "mcast_snooping_enable") != "false" {
			return errors.New("it is not")
		}
		return nil
	})
	ovstest.Eventually(t, "a write succeeds", func() error {
		return h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching("blue")).Err()
	})
	h.Converges("red", "blue")
	stream.Flows(t)
}

// TestSomebodyElseIsHalfDone makes bridges in two steps and takes isonet's local
// port away: isonetd waits for nobody and touches nobody's.
func TestSomebodyElseIsHalfDone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Start()
	h.Create("red", "theirs")
	h.Attach("red")
	h.OVS.Server().Transact(`["Open_vSwitch",
		{"op":"insert","table":"Bridge","uuid-name":"b","row":{"name":"theirs","datapath_type":"` + ovstest.Datapath() + `"}},
		{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","b"]]]},
		{"op":"update","table":"Bridge","where":[["name","==","red"]],"row":{"ports":["set",[]]}}]`)
	ovstest.Eventually(t, "the local port is there again", func() error {
		if got := h.OVS.Vsctl("--no-wait", "--if-exists", "get", "Port", "red", "trunks"); got != "[4095]" {
			return fmt.Errorf("its trunks are %q", got)
		}
		return nil
	})
	if reply := h.Answer("POST", h.Path()+"/setupnetworks", hosttest.Attaching("theirs")); reply.Code != http.StatusConflict {
		t.Errorf("a network with the name of somebody else's bridge: %+v", reply)
	}
	if ports := h.OVS.Vsctl("get", "bridge", "theirs", "ports"); ports != "[]" {
		t.Errorf("somebody else's bridge has the ports %s", ports)
	}
	h.OVS.Vsctl("del-br", "theirs")
	h.Converges("red")
}

// TestStrangeText writes what it can into Open vSwitch's database, which takes
// valid UTF-8 only: isonetd neither fights it nor stops telling of the rest.
func TestStrangeText(t *testing.T) {
	t.Parallel()
	h, stream := start(t, hosttest.With("--metrics-ports"))
	const strange = "\u0001\u001b[31m\u2028\ufffd\"\\\n} 1\n"
	insert := func(table, name, text string) string {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`["Open_vSwitch",{"op":"mutate","table":%q,"where":[["name","==",%q]],"mutations":[["external_ids","insert",["map",[["vm-name",%s]]]]]}]`,
			table, name, quoted)
	}
	h.OVS.Server().Transact(insert("Bridge", "red", strange))
	h.OVS.Server().Transact(insert("Interface", "vm-a", strange))
	raw := strings.ReplaceAll(insert("Bridge", "red", "x"), `"x"`, "\"\xff\xc3(\"")
	if out, err := h.OVS.Server().TransactCommand(raw).CombinedOutput(); !strings.Contains(string(out), "not a valid UTF-8 string") {
		t.Errorf("invalid UTF-8: %s %v", out, err)
	}
	h.OVS.Vsctl("set", "bridge", "red", "mcast_snooping_enable=true")
	h.Converges("red")
	if text, err := h.Metrics(); err != nil || !strings.Contains(text, `isonet_network_ready{network="red"} 1`) {
		t.Errorf("%v: %s", err, text)
	}
	stream.Complete()
}

// TestAPortsDeviceVanishes takes a VM away and leaves its port: that is for whoever
// plugged it in to end, and the others go on.
func TestAPortsDeviceVanishes(t *testing.T) {
	t.Parallel()
	h, stream := start(t)
	vm := h.OVS.NewVM("vm-c", "10.0.0.3/24")
	h.OVS.Plug(vm, "red")
	h.Await("the port is in use", func(s hosttest.Status) bool { return s.Live("red") == 3 })
	if out, err := h.Command("ip", "link", "delete", "vm-c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.Converges("red")
	if !strings.Contains(h.OVS.Vsctl("list-ports", "red"), "vm-c") {
		t.Error("isonetd removed the port")
	}
	stream.Complete()
}

// TestAThousandNetworksAtTheStart starts isonetd on a host that is to have 1000
// networks, and again when each has ten ports: that is one transaction each.
func TestAThousandNetworksAtTheStart(t *testing.T) {
	t.Parallel()
	const networks, ports, chunk = 1000, 10, 20
	h := newHost(t, hosttest.OnOVS(ovstest.WithoutVSwitchd()))
	h.Start()
	h.Must("POST", h.Path()+"/networklabels", `{"id":"lab"}`)
	h.Kill()
	var rows []string
	for i := range networks {
		rows = append(rows, fmt.Sprintf(`{"op":"insert","table":"Network","row":{"name":"n%d","vdsm_name":"n%d","label":"lab"}}`, i, i))
	}
	for part := range slices.Chunk(rows, 200) {
		h.Store.Transact(`["Isolated_Networks",` + strings.Join(part, ",") + `]`)
	}
	before := h.OVS.NextCfg()
	h.Start()
	ovstest.Eventually(t, "all bridges are there", func() error {
		if n := len(h.Bridges()); n != networks {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if after := h.OVS.NextCfg(); after != before+1 {
		t.Errorf("next_cfg went from %d to %d: want one transaction", before, after)
	}
	h.Kill()
	for first := 0; first < networks; first += chunk {
		var operations []string
		for n := first; n < first+chunk; n++ {
			var named []string
			for p := range ports {
				name := fmt.Sprintf("p%d-%d", n, p)
				operations = append(operations,
					fmt.Sprintf(`{"op":"insert","table":"Interface","uuid-name":"i%d_%d","row":{"name":%q}}`, n, p, name),
					fmt.Sprintf(`{"op":"insert","table":"Port","uuid-name":"p%d_%d","row":{"name":%q,"interfaces":["named-uuid","i%d_%d"]}}`, n, p, name, n, p))
				named = append(named, fmt.Sprintf(`["named-uuid","p%d_%d"]`, n, p))
			}
			operations = append(operations, fmt.Sprintf(
				`{"op":"mutate","table":"Bridge","where":[["name","==","n%d"]],"mutations":[["ports","insert",["set",[%s]]]]}`, n, strings.Join(named, ",")))
		}
		h.OVS.Server().Transact(`["Open_vSwitch",` + strings.Join(operations, ",") + `]`)
	}
	sent := h.ToOVS.Sent("transact")
	h.Start()
	mtu := func(port string) string {
		return fmt.Sprint(h.OVS.Server().Transact(
			`["Open_vSwitch",{"op":"select","table":"Interface","where":[["name","==","` + port + `"]],"columns":["mtu_request"]}]`)[0]["rows"])
	}
	ovstest.Eventually(t, "the first port has the network's MTU", func() error {
		if got := mtu("p0-0"); got != "[map[mtu_request:1500]]" {
			return errors.New(got)
		}
		return nil
	})
	if got := mtu("p999-9"); got != "[map[mtu_request:1500]]" {
		t.Errorf("the last port has %s", got)
	}
	if made := h.ToOVS.Sent("transact") - sent; made != 1 {
		t.Errorf("isonetd made %d transactions", made)
	}
	status := string(read(t, fmt.Sprintf("/proc/%d/status", h.Process().PID())))
	_, peak, _ := strings.Cut(status, "VmHWM:")
	if kib, err := strconv.Atoi(strings.Fields(peak)[0]); err != nil || kib > 512<<10 {
		t.Errorf("isonetd needed %s KiB (%v)", strings.Fields(peak)[0], err)
	}
}
