package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// A job's output arrives as it is, and its end is told apart from that of the
// machine.
func TestJobs(t *testing.T) {
	m, err := Prepare(t.Context(), "../../..", os.Getenv("ISONET_RELEASE"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("done", func(t *testing.T) {
		var says bytes.Buffer
		job := Job{Early: true, Script: "cat /given; printf '\\026\\000\\377\\n'; modprobe openvswitch", Files: map[string]string{"/given": "machine.go"}}
		if err := m.Run(t.Context(), job, &says); err != nil {
			t.Fatal(err)
		}
		if got := says.String(); !strings.HasPrefix(got, "// Package machine runs") || !strings.HasSuffix(got, "\n\x16\x00\xff\n") {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("failed", func(t *testing.T) {
		if err := m.Run(t.Context(), Job{Early: true, Script: "exit 3"}, &bytes.Buffer{}); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "3") {
			t.Errorf("Run returns %v", err)
		}
	})
	t.Run("ended before", func(t *testing.T) {
		err := m.Run(t.Context(), Job{Early: true, Script: "echo c >/proc/sysrq-trigger"}, &bytes.Buffer{})
		if err == nil || errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "sysrq triggered crash") {
			t.Errorf("Run returns %v", err)
		}
	})
	t.Run("ended from outside", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := m.Run(ctx, Job{Early: true, Script: "echo begun; sleep 1000"}, writer(func([]byte) { cancel() }))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Run returns %v", err)
		}
	})
}

// writer is called for what is written.
type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
