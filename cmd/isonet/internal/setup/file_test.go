package setup_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/client"
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
    isolation_policy: quarantine
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
	" \"comment\": \"\", \"port_isolation\": true, \"isolation_policy\": \"quarantine\",\n\"strict\": true, \"mac_lock\": true, \"broadcast_limit\": 1000, \"attach\": true},\n\t\t{\"name\": \"123\", \"attach\": false},\n" +
	"\t\t{\"name\": \"\\ud83d\\ude80\"}\n\t],\n\t\"labels\": [\"lab\", \"web\"]\n}\n"

func TestParse(t *testing.T) {
	want := setup.Wanted{
		Networks: []setup.Network{
			{
				Name: "blue", MTU: ptr(9000), Label: ptr("lab"), Description: ptr("two\nlines"), Comment: ptr(""),
				PortIsolation: ptr(true), Attach: ptr(true),
				Settings: client.Settings{Isolation: ptr("quarantine"), Strict: ptr(true), MACLock: ptr(true), BroadcastLimit: ptr(1000)},
			},
			{Name: "123", Attach: ptr(false)},
			{Name: "🚀"},
		},
		Labels: []string{"lab", "web"},
	}
	for name, text := range map[string]string{"YAML": wholeYAML, "JSON": wholeJSON} {
		t.Run(name, func(t *testing.T) {
			got, err := setup.Parse("f.yaml", []byte(text))
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
	got, err := setup.Parse("f.yaml", []byte("networks:\n- &a {name: x, mtu: &m 1400}\n- {name: y, mtu: *m}\n"))
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
	got, err := setup.Parse("f.yaml", []byte("networks: [{name: x, mac_lock: true, broadcast_limit: 0}]"))
	if err != nil {
		t.Fatal(err)
	}
	want := setup.Wanted{Networks: []setup.Network{{Name: "x", Settings: client.Settings{MACLock: ptr(true), BroadcastLimit: ptr(0)}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// refusedFile is a file and all that is wrong with it.
type refusedFile struct{ name, text, want string }

// refused are files and what is wrong with them.
func refused() []refusedFile {
	return []refusedFile{
		{"empty", "", "1:1: the file has neither networks nor labels"},
		{"comment only", "# nothing\n", "1:1: the file has neither networks nor labels"},
		{"empty object", "{}", "1:1: the file has neither networks nor labels"},
		{"a list", "- name: x\n", "1:1: expected a map with the keys networks, labels: 'isonet export' writes such a file"},
		{"a JSON text", `"x"`, "1:1: expected a map with the keys networks, labels: 'isonet export' writes such a file"},
		{"syntax", "networks: [\n", "1:11: sequence end token ']' not found"},
		{"two documents", "labels: [a]\n---\nlabels: [b]\n", "3:1: the file has more than one document: put all in one"},
		{"bad second document", "labels: [a]\n---\nlabels: [\n", "3:9: sequence end token ']' not found"},
		{"unknown key", "networks:\n- name: x\nlables: [a]\n", "3:1: unknown key 'lables': use networks, labels"},
		{
			"unknown network key", "networks:\n- name: x\n  mtuu: 1400\n",
			"3:3: unknown key 'mtuu': use " + networkKeys(),
		},
		{
			"unknown network key in JSON", "{\"networks\": [\n{\"name\": \"x\",\n\"Mtu\": 1400}]}",
			"3:1: unknown key 'Mtu': use " + networkKeys(),
		},
		{
			"unknown key behind an alias", "networks:\n- &a {name: x, vlan: 1}\n- *a\n",
			"2:16: unknown key 'vlan': use " + networkKeys() + "\nf.yaml:3:3: network 'x' is named twice",
		},
		{"key twice", "networks:\n- name: x\n  mtu: 1400\n  mtu: 2\n", "4:3: the key 'mtu' is there already, in line 3"},
		{"key twice in JSON", "{\"labels\": [\"a\"],\n\"labels\": [\"b\"]}", "2:1: the key 'labels' is there already, in line 1"},
		{"MTU is a text", "networks:\n- name: x\n  mtu: big\n", "3:8: expected a number such as 1400"},
		{"MTU is a quoted number", "{\"networks\": [{\"name\": \"x\", \"mtu\": \"1400\"}]}", "1:36: expected a number such as 1400, without quotes"},
		{"MTU has a leading zero", "networks: [{name: x, mtu: 01500}]", "1:27: expected a number such as 1400, in decimal digits without a leading zero"},
		{"attach is a quoted boolean", "networks: [{name: x, attach: \"true\"}]", "1:30: expected true or false, without quotes"},
		{"attach is yes", "networks: [{name: x, attach: yes}]", "1:30: expected true or false"},
		{"attach is a quoted yes", "networks: [{name: x, attach: \"yes\"}]", "1:30: expected true or false, without quotes"},
		{"attach is in upper case", "networks: [{name: x, attach: TRUE}]", "1:30: expected true or false, in lower case"},
		{"another word for the policy", "networks: [{name: x, isolation: report}]", "1:22: unknown key 'isolation': it is called isolation_policy"},
		{"what network list prints", "networks: [{id: 1, name: x, bridge: x}]", "1:13: unknown key 'id': a file has names only: leave it out\nf.yaml:1:29: unknown key 'bridge': isonetd names bridges: leave it out"},
		{"a label twice", "labels: [a, b, a]", "1:16: label 'a' is named twice"},
		{
			"a label that attaches what must be detached", "networks: [{name: x, label: a, attach: false}]\nlabels: [a]",
			"1:40: network 'x': it cannot be detached: the label 'a' of this file attaches it",
		},
		{"attach is a number", "networks:\n- name: x\n  attach: 1\n", "3:11: expected true or false"},
		{"name is a list", "networks:\n- name: [x]\n", "2:9: expected a text"},
		{"networks is a map", "networks: {x: {mtu: 1400}}\n", "1:11: expected a list"},
		{"a network is a text", "networks: [x]\n", "1:12: expected a map with the keys " + networkKeys()},
		{"labels is a text", "labels: web\n", "1:9: expected a list"},
		{"no name", "networks:\n- name: x\n- mtu: 1400\n", "3:3: a network needs a name"},
		{"name twice", "networks:\n- name: x\n- name: x\n", "3:9: network 'x' is named twice"},
		{
			"MTU out of range", "networks:\n- name: x\n  mtu: 40\n",
			"3:8: network 'x': MTU 40 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes.",
		},
		{"name no network can have", "networks:\n- name: bond0\n", "2:9: network 'bond0': Bad network name, network cannot start with 'bond'"},
		{
			"unknown policy", "networks:\n- name: x\n  isolation_policy: off\n",
			"3:21: network 'x': Isolation policy 'off' is not valid: use 'enforce', 'quarantine' or 'report'.",
		},
		{"empty policy", "networks:\n- name: x\n  isolation_policy: ''\n", "3:21: network 'x': the policy is empty: leave it out, or use one of enforce, quarantine, report"},
		{
			"MAC lock without strict", "networks:\n- name: x\n  strict: false\n  mac_lock: true\n",
			"3:11: network 'x': The MAC lock of network 'x' needs strict isolation: turn strict on too, or the MAC lock off.",
		},
		{
			"broadcast limit without strict", "networks:\n- name: x\n  strict: false\n  broadcast_limit: 5\n",
			"3:11: network 'x': The broadcast limit of network 'x' needs strict isolation: turn strict on too, or the limit off with 0.",
		},
		{
			"broadcast limit out of range", "networks:\n- name: x\n  broadcast_limit: -1\n",
			"3:20: network 'x': Broadcast limit -1 is not valid: use 0 for none or a value from 1 to 200000000 frames in a second.",
		},
		{
			"label of a network", "networks:\n- name: x\n  label: a b\n",
			"3:10: network 'x': Network label must be formed only from: English letters, numbers, hyphen or underscore.",
		},
		{
			"label of the host", "labels: [a b]\n",
			"1:10: label 'a b': Network label must be formed only from: English letters, numbers, hyphen or underscore.",
		},
		{
			"deep JSON", strings.Repeat("[", 200) + strings.Repeat("]", 200),
			"1:101: this is nested deeper than 100 levels",
		},
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range refused() {
		t.Run(tt.name, func(t *testing.T) {
			got, err := setup.Parse("f.yaml", []byte(tt.text))
			if err == nil {
				t.Fatalf("got %+v, want the error %q", got, tt.want)
			}
			if want := "f.yaml:" + tt.want; err.Error() != want {
				t.Errorf("got the error  %q\nwant           %q", err, want)
			}
		})
	}
}

// TestParseTellsAllMistakes checks that one run is enough to mend a file.
func TestParseTellsAllMistakes(t *testing.T) {
	_, err := setup.Parse("f.yaml", []byte("networks:\n- {nam: x}\n- name: y\n  attach: on\n- name: bondage\n  mtu: 4\n  label: a b\n  broadcast_limit: -1\n  strict: false\n  mac_lock: true\n- name: bondage\n  mtuu: 4\n  mtu: 5\nlabels: [a b, ~]\n"))
	const label = "Network label must be formed only from: English letters, numbers, hyphen or underscore."
	want := `f.yaml:2:3: a network needs a name
f.yaml:2:4: unknown key 'nam': use ` + networkKeys() + `
f.yaml:4:11: expected true or false
f.yaml:5:9: network 'bondage': Bad network name, network cannot start with 'bond'
f.yaml:6:8: network 'bondage': MTU 4 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes.
f.yaml:7:10: network 'bondage': ` + label + `
f.yaml:8:20: network 'bondage': Broadcast limit -1 is not valid: use 0 for none or a value from 1 to 200000000 frames in a second.
f.yaml:9:11: network 'bondage': The MAC lock of network 'bondage' needs strict isolation: turn strict on too, or the MAC lock off.
f.yaml:11:9: network 'bondage': Bad network name, network cannot start with 'bond'
f.yaml:11:9: network 'bondage' is named twice
f.yaml:12:3: unknown key 'mtuu': use ` + networkKeys() + `
f.yaml:13:8: network 'bondage': MTU 5 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes.
f.yaml:14:10: label 'a b': ` + label + `
f.yaml:14:15: expected a text`
	if err == nil {
		t.Fatal("there is no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestParseKeepsWhatIsWritten checks texts that YAML takes for something else.
func TestParseKeepsWhatIsWritten(t *testing.T) {
	got, err := setup.Parse("f.yaml", []byte("labels: [on, 010, 1_000, 0x1F, true, 2026-01-01, no]\nnetworks: [{name: 1e3, description: 12:30}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := setup.Wanted{
		Labels:   []string{"on", "010", "1_000", "0x1F", "true", "2026-01-01", "no"},
		Networks: []setup.Network{{Name: "1e3", Description: ptr("12:30")}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzParse checks that no file makes the parser stop the program, and that
// what it accepts can be planned.
func FuzzParse(f *testing.F) {
	for _, text := range []string{wholeYAML, wholeJSON, "", "- a", "networks: &a\n- *a\n", "{", "labels: [a]\n---\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := setup.Parse("f.yaml", data)
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

// networkKeys are the keys of a network, as messages tell them.
func networkKeys() string {
	var keys []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[setup.Network]()) {
		if key := field.Tag.Get("yaml"); key != "" {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ", ")
}
