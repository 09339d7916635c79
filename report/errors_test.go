package report_test

import (
	"testing"

	"github.com/isonet/isonet/report"
)

// TestReasonsOfManyNetworks checks that a reason which many networks share is told once.
func TestReasonsOfManyNetworks(t *testing.T) {
	e := &report.RealiseError{}
	if got := e.Error(); got != "" {
		t.Errorf("without a problem: %q", got)
	}
	for _, reason := range []string{"no datapath", "no such MTU", "no datapath", "no datapath"} {
		e.Problems = append(e.Problems, report.Problem{Reason: reason})
	}
	if got, want := e.Error(), "no datapath (3 times); no such MTU"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
