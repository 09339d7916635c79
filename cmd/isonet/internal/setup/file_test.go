package setup_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/cmd/isonet/internal/setup"
)

func ptr[T any](v T) *T { return &v }

const wholeYAML = `
networks:
  - name: blue
    mtu: 9000
    label: lab
    description: "two\nlines"
    comment: ""
    port_isolation: true
    isolation: quarantine
    strict: true
    mac_lock: true
    broadcast_limit: 1000
    attach: true
  - name: "123"
    attach: false
  - name: 🚀
labels: [lab, web]
`

// The same, as Python's json module writes it: with surrogate escapes and, for
// once, tabs.
const wholeJSON = "{\n\t\"networks\": [\n\t\t{\"name\": \"blue\", \"mtu\": 9000, \"label\": \"lab\", \"description\": \"two\\nlines\"," +
	" \"comment\": \"\", \"port_isolation\": true, \"isolation\": \"quarantine\",\n\"strict\": true, \"mac_lock\": true, \"broadcast_limit\": 1000, \"attach\": true},\n\t\t{\"name\": \"123\", \"attach\": false},\n" +
	"\t\t{\"name\": \"\\ud83d\\ude80\"}\n\t],\n\t\"labels\": [\"lab\", \"web\"]\n}\n"

func TestParse(t *testing.T) {
	want := setup.Wanted{
		Networks: []setup.Network{
			{
				Name: "blue", MTU: ptr(9000), Label: ptr("lab"), Description: ptr("two\nlines"), Comment: ptr(""),
				PortIsolation: ptr(true), Isolation: ptr("quarantine"), Strict: ptr(true), MACLock: ptr(true), BroadcastLimit: ptr(1000),
				Attach: ptr(true),
			},
			{Name: "123", Attach: ptr(false)},
			{Name: "🚀"},
		},
		Labels: []string{"lab", "web"},
	}
	for name, text := range map[string]string{"YAML": wholeYAML, "JSON": wholeJSON} {
		t.Run(name, func(t *testing.T) {
			got, err := setup.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseAlias(t *testing.T) {
	got, err := setup.Parse([]byte("networks:\n- &a {name: x, mtu: &m 1400}\n- {name: y, mtu: *m}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := setup.Wanted{Networks: []setup.Network{{Name: "x", MTU: ptr(1400)}, {Name: "y", MTU: ptr(1400)}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestParseWithoutStrict accepts what needs a strict network of one that may
// be strict already.
func TestParseWithoutStrict(t *testing.T) {
	got, err := setup.Parse([]byte("networks: [{name: x, mac_lock: true, broadcast_limit: 0}]"))
	if err != nil {
		t.Fatal(err)
	}
	want := setup.Wanted{Networks: []setup.Network{{Name: "x", MACLock: ptr(true), BroadcastLimit: ptr(0)}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "the file is empty: name networks or labels in it"},
		{"comment only", "# nothing\n", "the file is empty: name networks or labels in it"},
		{"names nothing", "networks: []\n", "the file names no network and no label"},
		{"empty object", "{}", "the file names no network and no label"},
		{"a list", "- name: x\n", "line 1: expected the keys 'networks' and 'labels'"},
		{"a JSON text", `"x"`, "line 1: expected the keys 'networks' and 'labels'"},
		{"syntax", "networks: [\n", "line 1: did not find expected node content"},
		{"two documents", "labels: [a]\n---\nlabels: [b]\n", "the file has more than one document: put all networks in one"},
		{"bad second document", "labels: [a]\n---\nlabels: [\n", "line 3: did not find expected node content"},
		{"unknown key", "networks:\n- name: x\nlables: [a]\n", "line 3: unknown key 'lables': use networks, labels"},
		{
			"unknown network key", "networks:\n- name: x\n  mtuu: 1400\n",
			"line 3: unknown key 'mtuu': use name, description, comment, label, mtu, port_isolation, isolation, strict, mac_lock, broadcast_limit, attach",
		},
		{
			"unknown network key in JSON", "{\"networks\": [\n{\"name\": \"x\",\n\"Mtu\": 1400}]}",
			"line 3: unknown key 'Mtu': use name, description, comment, label, mtu, port_isolation, isolation, strict, mac_lock, broadcast_limit, attach",
		},
		{
			"unknown key behind an alias", "networks:\n- &a {name: x, vlan: 1}\n- *a\n",
			"line 2: unknown key 'vlan': use name, description, comment, label, mtu, port_isolation, isolation, strict, mac_lock, broadcast_limit, attach",
		},
		{"key twice", "networks:\n- name: x\n  mtu: 1\n  mtu: 2\n", `line 4: mapping key "mtu" already defined at line 3`},
		{"key twice in JSON", "{\"labels\": [\"a\"],\n\"labels\": [\"b\"]}", `line 2: mapping key "labels" already defined at line 1`},
		{"MTU is a text", "networks:\n- name: x\n  mtu: big\n", "line 3: expected a number"},
		{"MTU is a quoted number", "{\"networks\": [{\"name\": \"x\", \"mtu\": \"1400\"}]}", "line 1: expected a number"},
		{"attach is a number", "networks:\n- name: x\n  attach: 1\n", "line 3: expected true or false"},
		{"name is a list", "networks:\n- name: [x]\n", "line 2: expected a text"},
		{"networks is a map", "networks: {x: {mtu: 1400}}\n", "line 1: expected a list"},
		{"a network is a text", "networks: [x]\n", "line 1: expected a map with the key 'name'"},
		{"labels is a text", "labels: web\n", "line 1: expected a list"},
		{"no name", "networks:\n- name: x\n- mtu: 1400\n", "network number 2 has no name"},
		{"name twice", "networks:\n- name: x\n- name: x\n", "network 'x' is named twice"},
		{
			"MTU out of range", "networks:\n- name: x\n  mtu: 40\n",
			"network 'x': MTU 40 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes.",
		},
		{"name no network can have", "networks:\n- name: bond0\n", "network 'bond0': Bad network name, network cannot start with 'bond'"},
		{
			"unknown policy", "networks:\n- name: x\n  isolation: off\n",
			"network 'x': Isolation policy 'off' is not valid: use 'enforce', 'quarantine' or 'report'.",
		},
		{"empty policy", "networks:\n- name: x\n  isolation: ''\n", "network 'x': isolation is empty: leave it out, or use one of enforce, quarantine, report"},
		{
			"MAC lock without strict", "networks:\n- name: x\n  strict: false\n  mac_lock: true\n",
			"network 'x': The MAC lock of network 'x' needs strict isolation: turn strict on too, or the MAC lock off.",
		},
		{
			"broadcast limit without strict", "networks:\n- name: x\n  strict: false\n  broadcast_limit: 5\n",
			"network 'x': The broadcast limit of network 'x' needs strict isolation: turn strict on too, or the limit off with 0.",
		},
		{
			"broadcast limit out of range", "networks:\n- name: x\n  broadcast_limit: -1\n",
			"network 'x': Broadcast limit -1 is not valid: use 0 for none or a value from 1 to 200000000 frames in a second.",
		},
		{
			"label of a network", "networks:\n- name: x\n  label: a b\n",
			"network 'x': Network label must be formed only from: English letters, numbers, hyphen or underscore.",
		},
		{
			"label of the host", "labels: [a b]\n",
			"label 'a b': Network label must be formed only from: English letters, numbers, hyphen or underscore.",
		},
		{
			"deep JSON", strings.Repeat("[", 200) + strings.Repeat("]", 200),
			"line 1: nested more than 100 times",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := setup.Parse([]byte(tt.text))
			if err == nil {
				t.Fatalf("got %+v, want the error %q", got, tt.want)
			}
			if err.Error() != tt.want {
				t.Errorf("got the error  %q\nwant           %q", err, tt.want)
			}
		})
	}
}

// FuzzParse checks that no file makes the parser stop the program, and that
// what it accepts can be planned.
func FuzzParse(f *testing.F) {
	for _, text := range []string{wholeYAML, wholeJSON, "", "- a", "networks: &a\n- *a\n", "{", "labels: [a]\n---\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := setup.Parse(data)
		if err != nil {
			return
		}
		plan, err := setup.Make(setup.Current{}, want)
		if err != nil {
			return
		}
		if got := len(plan.Create); got != len(want.Networks) {
			t.Errorf("%d networks are created of %d", got, len(want.Networks))
		}
	})
}
