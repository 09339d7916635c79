package main

import (
	"fmt"
	"strings"
	"testing"
)

// mustRun runs a command line against an isonetd and returns what it prints.
func (h *proveHost) mustRun(stdin string, args ...string) string {
	h.Helper()
	o := command{args: args, stdin: stdin, socket: h.socket}.run(h.Context())
	if o.code != exitOK {
		h.Fatalf("isonet %v: %+v", args, o)
	}
	return o.stdout
}

// TestALargeSetupFile sets up, and deletes, more than a mebibyte of networks, each at
// once.
func TestALargeSetupFile(t *testing.T) {
	h := newIsonetd(t)
	var file strings.Builder
	file.WriteString("networks:\n")
	for i := range 300 {
		fmt.Fprintf(&file, "- {name: many%d, description: \"%s\", attach: %v}\n", i, strings.Repeat("ä\\\"", 1300), i < 3)
	}
	if file.Len() < 1<<20 {
		t.Fatalf("the file has %d bytes", file.Len())
	}
	before, err := h.status()
	if err != nil {
		t.Fatal(err)
	}
	if done := h.mustRun(file.String(), "setup", "-f", "-"); !strings.Contains(done, "in all: 300 networks created, 3 networks attached") {
		t.Errorf("setup printed %.200s", done)
	}
	if done := h.mustRun(file.String(), "diff", "-f", "-"); done != "nothing to change\n" {
		t.Errorf("diff printed %.200s", done)
	}
	if done := h.mustRun("", "network", "delete", "--all", "--yes"); !strings.Contains(done, "in all: 300 networks deleted") {
		t.Errorf("delete printed %.200s", done)
	}
	after, err := h.status()
	if err != nil {
		t.Fatal(err)
	}
	if after.Revision != before.Revision+2 || len(after.Networks) != 0 {
		t.Errorf("revision %d after %d, networks %v", after.Revision, before.Revision, after.Networks)
	}
}

// TestPruneOfIsonetd detaches what a file does not name, and all of it or nothing. It
// deletes nothing.
func TestPruneOfIsonetd(t *testing.T) {
	h := newIsonetd(t)
	h.mustRun("networks: [{name: blue, attach: true}, {name: green, attach: true}, {name: red, label: lab}, {name: grey, label: web}]\nlabels: [lab, web]\n", "setup", "-f", "-")
	h.ovs.NewVM("vm1", "10.0.0.1/24")
	h.ovs.Vsctl("add-port", "blue", "vm1")
	export := h.mustRun("", "export")

	const file = "networks: [{name: green}, {name: red, attach: true}, {name: new, attach: true}]\nlabels: [web]\n"
	for _, args := range []string{"setup --prune --yes -f -", "diff --prune -f -"} {
		o := command{args: words(args), stdin: file, socket: h.socket}.run(t.Context())
		if o.code != exitError || !strings.Contains(o.stderr, "vm1") || !strings.Contains(o.stderr, "--force") {
			t.Errorf("%s: a port is in use: %+v", args, o)
		}
		if got := h.mustRun("", "export"); got != export {
			t.Errorf("%s changed\n%s\nto\n%s", args, export, got)
		}
	}
	if o := (command{args: words("diff --prune --force -f -"), stdin: file, socket: h.socket}).run(t.Context()); o.code != exitNotActive || !strings.Contains(o.stdout, "would detach network 'blue'") {
		t.Errorf("diff: %+v", o)
	}
	done := h.mustRun(file, "setup", "--prune", "--yes", "--force", "-f", "-")
	want := `created network 'new'
attached network 'red'
attached network 'new'
detached network 'blue'
removed label 'lab'
in all: 1 network created, 2 networks attached, 1 network detached, 1 label removed
`
	if done != want {
		t.Errorf("got %s\nwant %s", done, want)
	}
	if again := h.mustRun(file, "setup", "--prune", "--yes", "-f", "-"); again != "nothing to change\n" {
		t.Errorf("again: %s", again)
	}
	if list := h.mustRun("", "network", "list"); !strings.Contains(list, "blue") || !strings.Contains(list, "grey") {
		t.Errorf("networks are gone:\n%s", list)
	}
}

// TestManyAreDeletedOrNone checks that one network whose ports are in use keeps all.
func TestManyAreDeletedOrNone(t *testing.T) {
	h := newIsonetd(t)
	h.mustRun("networks: [{name: blue, attach: true}, {name: green, attach: true}]\n", "setup", "-f", "-")
	h.ovs.NewVM("vm1", "10.0.0.1/24")
	h.ovs.Vsctl("add-port", "blue", "vm1")
	export := h.mustRun("", "export")
	for _, args := range []string{"network delete green blue", "network delete --all --yes", "detach --all --yes"} {
		o := command{args: words(args), socket: h.socket}.run(t.Context())
		if o.code != exitError || o.stdout != "" || !strings.Contains(o.stderr, "The network 'blue' is used by") {
			t.Errorf("isonet %s: %+v", args, o)
		}
	}
	if got := h.mustRun("", "export"); got != export {
		t.Errorf("%s\nwas changed to\n%s", export, got)
	}
	h.mustRun("", "network", "delete", "--all", "--yes", "--force")
	if list := h.mustRun("", "network", "list", "-o", "json"); list != "[]\n" {
		t.Errorf("there still is %s", list)
	}
}
