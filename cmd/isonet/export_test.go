package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/internal/ovstest"
)

// oddText draws texts as a network can have them: those that YAML takes for
// something else, and any others.
func oddText() *rapid.Generator[string] {
	odd := rapid.SampledFrom([]string{
		"on", "010", "1_000", "0x1F", "~", "null", "true", "2026-01-01", "1e3", ".inf", "- a", "a: b", "a #b", "&a", "*a", "!!str x", "%a",
		"| a", "> a", "'", `"`, `\n`, "{}", "[]", "<<", "=", "a\tb", "a\nb", "a\r\nb", "\n", " a ", "a\u2028b", "\ufeffa", "🚀",
		"<&>", "ä", "?", ": ",
	})
	any := rapid.Map(rapid.StringN(0, 40, -1), func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == unicode.ReplacementChar || r >= 0xFFFE && r <= 0xFFFF {
				return -1
			}
			return r
		}, s)
	})
	return rapid.OneOf(odd, any)
}

func oddName() *rapid.Generator[string] {
	return rapid.Map(oddText(), func(s string) string {
		s = strings.Join(strings.FieldsFunc(s, unicode.IsControl), "")
		if s = strings.TrimSpace(s); s == "" || strings.HasPrefix(strings.ToLower(s), "bond") {
			return "x" + s
		}
		return s
	})
}

// TestExportIsSetUpAlready checks that a file which was exported, in YAML or JSON,
// changes nothing, whatever the texts are.
func TestExportIsSetUpAlready(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := setup.Current{
			Labels:   rapid.SliceOfDistinct(rapid.SampledFrom([]string{"on", "010", "lab"}), rapid.ID).Draw(t, "labels"),
			Attached: map[string]bool{},
		}
		for i, name := range rapid.SliceOfDistinct(oddName(), rapid.ID).Draw(t, "names") {
			n := client.Network{
				ID: fmt.Sprint(i), Name: name, Description: oddText().Draw(t, "description"), Comment: oddText().Draw(t, "comment"),
				Label: rapid.SampledFrom([]string{"", "on", "lab", "1"}).Draw(t, "label"), MTU: rapid.SampledFrom([]int{0, 1500, 9000}).Draw(t, "mtu"),
				PortIsolation: rapid.Bool().Draw(t, "port isolation"),
			}
			if rapid.Bool().Draw(t, "with settings") {
				n.Settings = client.Settings{
					Isolation: new(rapid.SampledFrom([]string{"enforce", "quarantine", "report"}).Draw(t, "policy")),
					Strict:    new(true), MACLock: new(rapid.Bool().Draw(t, "mac lock")), BroadcastLimit: new(rapid.IntRange(0, 9).Draw(t, "limit")),
				}
			}
			have.Networks = append(have.Networks, n)
			have.Attached[n.ID] = rapid.Bool().Draw(t, "attached")
		}
		for form, encoded := range map[string]func(any) ([]byte, error){
			"yaml": toYAML, "json": func(v any) ([]byte, error) { return encode(v, "  ") },
		} {
			file, err := encoded(setup.Export(have))
			if err != nil {
				t.Fatal(err)
			}
			want, err := setup.Parse(form, file)
			if err != nil {
				t.Fatalf("%v in\n%s", err, file)
			}
			plan, err := setup.Make(have, want)
			if err != nil {
				t.Fatal(err)
			}
			if steps := plan.Steps(); len(steps) > 0 || len(want.Networks) != len(have.Networks) || !slices.Equal(want.Labels, have.Labels) {
				t.Fatalf("the export changes %v:\n%s", steps, file)
			}
		}
	})
}

// newIsonetd runs Open vSwitch and an isonetd beside it.
func newIsonetd(t *testing.T) *proveHost {
	t.Helper()
	h := &proveHost{T: t, ns: ovstest.Namespace(t)}
	h.ovs = ovstest.Start(t, ovstest.InNamespace(h.ns))
	h.socket = h.ovs.Dir() + "/isonet/d.sock"
	t.Cleanup(h.stopDaemon)
	h.startDaemon("off")
	return h
}

// TestExportOfIsonetd sets up on one host what another one exports, and on
// itself.
func TestExportOfIsonetd(t *testing.T) {
	h := newIsonetd(t)
	run := func(stdin string, args ...string) string {
		t.Helper()
		o := command{args: args, stdin: stdin, socket: h.socket}.run(t.Context())
		if o.code != exitOK {
			t.Fatalf("isonet %v: %+v", args, o)
		}
		return o.stdout
	}
	run("", "network", "create", "on", "--description", "a: b\n\"c\"", "--comment", " 010", "--label", "lab", "--mtu", "1400")
	run("", "network", "create", "--isolation-policy", "report", "--", "- nein 🚀")
	run("", "network", "create", "blue", "--mac-lock", "--broadcast-limit", "10")
	h.isonet("attach blue", "label add lab", "label add 010")
	for _, form := range []string{"yaml", "json"} {
		file := run("", "export", "-o", form)
		if done := run(file, "setup", "-f", "-"); done != "nothing to change\n" {
			t.Errorf("%s\nchanged %s", file, done)
		}
	}
	file := run("", "export")
	h.isonet("label rm lab 010", "detach blue", "network delete on blue")
	run(file, "setup", "-f", "-")
	if again := run("", "export"); again != file {
		t.Errorf("exported\n%s\nand after it was set up\n%s", file, again)
	}
}
