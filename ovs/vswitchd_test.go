package ovs

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/plan"
)

// A datapath that does not forward has a moment to begin if it is new, and none if
// it was there before isonetd.
func TestADatapathThatNeverForwarded(t *testing.T) {
	const kind = plan.UserspaceDatapath
	says := func(datapaths map[string]int) answer { return answer{version: "3.1.0", datapaths: datapaths} }
	idles, works, lacks := says(map[string]int{kind + "@ovs-netdev": 0}), says(map[string]int{kind + "@ovs-netdev": 1}), says(nil)
	for name, test := range map[string]struct {
		answers []answer
		seen    bool
	}{
		"from the start":            {[]answer{idles}, false},
		"at the second look":        {[]answer{idles, idles}, false},
		"a new one":                 {[]answer{lacks, idles}, true},
		"one that forwarded before": {[]answer{works, idles}, true},
	} {
		v := &vswitchd{}
		for _, a := range test.answers {
			v.answered(a, false)
		}
		if got := v.look().datapaths[kind]; got.Cause != idle || got.Seen.IsZero() == test.seen {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A process that could work is at work, whether or not the machine lets it.
func TestWhatASilentProcessDoes(t *testing.T) {
	start := func(args ...string) int {
		process, err := ovstest.StartProcess(exec.CommandContext(t.Context(), args[0], args[1:]...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(process.Kill)
		return process.PID()
	}
	for name, test := range map[string]struct {
		pid   int
		state string // that it is in when it is judged
		says  string
		busy  bool
	}{
		"it waits for a processor or has one": {start("sh", "-c", "while :; do :; done"), "R", "is busy", true},
		"it waits for something":              {start("sleep", "1000"), "S", "hangs", false},
	} {
		ovstest.Eventually(t, name, func() error {
			if state, _, err := mainThread(test.pid); err != nil || state != test.state {
				return fmt.Errorf("the state of the process is %q: %w", state, err)
			}
			return nil
		})
		cause, _, busy := (&labour{pid: test.pid}).judge(time.Now())
		if busy != test.busy || !strings.Contains(cause, test.says) {
			t.Errorf("%s: isonet says %q, busy %v", name, cause, busy)
		}
	}
}
