package kernel

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// suite is the tests of a package, or a script of the project.
type suite struct {
	// what is the directory of the package, or the path of the script.
	what   string
	script bool
	// all and core are the tests that are run, as go test -run has it: of all that
	// there is, and of what each change is tested with. Without core there are none.
	all, core string
	// parallel is how many tests run at the same time, if more than one: a machine
	// may have time for several that wait.
	parallel int
}

// suites are what must hold on the kernel's datapath. What does not look at frames
// or devices, and what does so many things at once that an emulated machine only
// shows how slow it is, is left to the other datapath.
func suites() []suite {
	return []suite{
		{what: "scripts/demo --kernel-datapath", script: true},
		{what: "test/packets", parallel: 3, all: ".", core: "^TestTheHostStaysOut$/^its_(port|bridge)_is_removed$"},
		{what: "cmd/isonet", all: "^TestProve"},
		{
			what: "ovs", core: "^TestStrict(MembersOnly|MACLock)$",
			all: "^Test(Strict|Traffic|BroadcastsFlow|CopiesEnd|Quarantine|ABridgeForEveryName|TheNameOfAPort|TheLocalPort|DevicesOf|BridgesThat|VMsWhile|ABridgeInUse)",
		},
		{what: "reconcile", all: "^Test(Strict|MACLock|PortIsolation|BroadcastLimit|FlowsOfSomebody|ANetworkForwards|RealDevices|AnInternalPortHas)"},
		{what: "daemon", all: "^Test(Adoption|AnAdopted|ARefusedAdoption|TurningStrict|TotalsGoOn|StrictNetworkAndHostGuard)"},
		{what: "test/faults", all: "^Test(CrashAtEveryPointOf(AnAttach|ADetach)|Outages|IsonetdHangs|VSwitchd|PortsComeBack|APort|ALostPort|OpenVSwitchsDatabaseIsLost)"},
		{what: "kernel/guard", all: "."},
		{what: "kernel/links", all: "."},
	}
}

// What the tests promise holds on the kernel's datapath as well.
func TestOnTheKernelsDatapath(t *testing.T) {
	chosen, err := choose(suites(), os.Getenv(partVariable))
	if err != nil {
		t.Fatal(err)
	}
	m, job := prepare(t)
	var packages []string
	for _, s := range chosen {
		if !s.script {
			packages = append(packages, s.what)
		}
	}
	build(t, job, packages)
	job.Script = script(chosen)
	out := newReader(untilEnd(t), m, job)
	defer out.close()
	for _, s := range chosen {
		t.Run(s.what, func(t *testing.T) { s.report(t, out) })
	}
	if err = out.wait(); err != nil {
		t.Error(err)
	}
}

// choose returns the suites of a part, with what is to be run of each in all. A
// part is core, all, or a package and what is to be run of it: "ovs=^TestStrict".
// Without one it is all.
func choose(suites []suite, part string) ([]suite, error) {
	if what, run, one := strings.Cut(part, "="); one {
		s := suite{what: what, all: run}
		if i := slices.IndexFunc(suites, func(s suite) bool { return s.what == what }); i >= 0 {
			s.parallel = suites[i].parallel
		}
		return []suite{s}, nil
	}
	if part != "" && part != "all" && part != "core" {
		return nil, fmt.Errorf("there is no part %q: choose core, all, or a package and what is to be run of it, such as ovs=^TestStrict", part)
	}
	var chosen []suite
	for _, s := range suites {
		if part == "core" {
			s.all = s.core
		}
		if s.all != "" || s.script {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// A part that is misspelt is told, and does not run everything.
func TestPartsAreChosen(t *testing.T) {
	all := []suite{{what: "a", all: "."}, {what: "b", all: ".", core: "^TestB"}, {what: "c", script: true}}
	for part, want := range map[string]string{"": "a=. b=. c=", "all": "a=. b=. c=", "core": "b=^TestB c=", "b=^TestOther": "b=^TestOther"} {
		chosen, err := choose(all, part)
		var got []string
		for _, s := range chosen {
			got = append(got, s.what+"="+s.all)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: got %v, %v, want %s", part, got, err, want)
		}
	}
	for _, part := range []string{"cor", "ovs"} {
		if _, err := choose(all, part); err == nil {
			t.Errorf("%q is taken for a part", part)
		}
	}
}

// script returns what the machine does. Each suite stands between two lines that
// report knows.
func script(chosen []suite) string {
	var b strings.Builder
	b.WriteString(setting())
	for _, s := range chosen {
		command := fmt.Sprintf("cd %s/%s && ./run.test -test.v=test2json -test.timeout=0 -test.parallel=%d -test.run='%s'",
			source, s.what, max(s.parallel, 1), s.all)
		if s.script {
			command = fmt.Sprintf("cd %s && %s", source, s.what)
		}
		fmt.Fprintf(&b, "echo; echo '%s'; (%s) 2>&1; echo; echo \"%s$?\"\n", begins+s.what, command, ends)
	}
	return b.String()
}
