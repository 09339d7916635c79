package kernel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/isonet/isonet/test/kernel/machine"
)

// The lines around the output of a suite.
const (
	begins = "@@ begins "
	ends   = "@@ ended with "
)

// reader reads what a machine says, while it runs.
type reader struct {
	lines  *bufio.Scanner
	output *io.PipeReader
	done   chan error // yields what Run returns
}

func newReader(ctx context.Context, m *machine.Machine, job machine.Job) *reader {
	in, out := io.Pipe()
	r := &reader{lines: bufio.NewScanner(in), output: in, done: make(chan error, 1)}
	r.lines.Buffer(nil, 1<<20)
	go func() {
		err := m.Run(ctx, job, out)
		_ = out.Close() // it never fails
		r.done <- err
	}()
	return r
}

// close makes the machine end if nobody reads any more.
func (r *reader) close() { _ = r.output.Close() } // it never fails

// wait returns when the machine has ended. What it still says is of no interest.
func (r *reader) wait() error {
	_, _ = io.Copy(io.Discard, r.output) // by no lines: one that is too long ends them
	return <-r.done
}

// A line that is too long ends a suite, and the machine comes to its end.
func TestALineThatIsTooLong(t *testing.T) {
	in, out := io.Pipe()
	r := &reader{lines: bufio.NewScanner(in), output: in, done: make(chan error, 1)}
	go func() {
		_, err := io.WriteString(out, begins+"a\n"+strings.Repeat("x", 4*bufio.MaxScanTokenSize)+"\n"+ends+"0\n")
		_ = out.Close() // it never fails
		r.done <- err
	}()
	if _, err := r.suite("a", io.Discard); !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("the suite ends with %v", err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("the machine ends with %v", err)
	}
}

// suite copies the output of a suite to w, and returns its exit status.
func (r *reader) suite(name string, w io.Writer) (status string, err error) {
	inside := false
	for r.lines.Scan() {
		line := strings.TrimSuffix(r.lines.Text(), "\r")
		switch code, ended := strings.CutPrefix(line, ends); {
		case line == begins+name:
			inside = true
		case inside && ended:
			return code, nil
		case inside:
			if _, err := fmt.Fprintln(w, line); err != nil {
				return "", err
			}
		}
	}
	return "", errors.Join(errors.New("the machine ended before this"), r.lines.Err())
}

// event is what go tool test2json says.
type event struct {
	Action, Test, Output string
}

// report reports the tests of a suite as subtests, as they end.
func (s suite) report(t *testing.T, r *reader) {
	if s.script {
		var says strings.Builder
		status, err := r.suite(s.what, &says)
		t.Log(says.String())
		if err != nil || status != "0" {
			t.Errorf("it ended with status %q: %v", status, err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), "go", "tool", "test2json")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	type end struct {
		status string
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		status, err := r.suite(s.what, in)
		_ = in.Close() // what was written has arrived
		ended <- end{status, err}
	}()
	passed := s.subtests(t, json.NewDecoder(out))
	if err := cmd.Wait(); err != nil {
		t.Errorf("go tool test2json: %v", err)
	}
	switch e := <-ended; {
	case e.err != nil:
		t.Error(e.err)
	case e.status != "0":
		t.Errorf("it ended with status %s", e.status)
	case passed == 0:
		t.Error("no test ran")
	}
}

// subtests makes a subtest of each test, and returns how many have passed.
func (s suite) subtests(t *testing.T, events *json.Decoder) (passed int) {
	says := map[string]*strings.Builder{}
	for {
		var e event
		if err := events.Decode(&e); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("read the events of tests: %v", err)
			}
			for test, said := range says {
				if test != "" {
					t.Errorf("%s did not come to its end: %s", test, said)
				}
			}
			return passed
		}
		test, _, inner := strings.Cut(e.Test, "/")
		if says[test] == nil {
			says[test] = &strings.Builder{}
		}
		says[test].WriteString(e.Output)
		switch {
		case inner || e.Action != "pass" && e.Action != "fail" && e.Action != "skip":
		case test == "":
			if e.Action == "fail" {
				t.Errorf("%s", says[test])
			}
		default:
			if e.Action == "pass" {
				passed++
			}
			t.Run(test, func(t *testing.T) {
				if e.Action != "pass" { // nothing is left out there
					t.Errorf("%s: %s", e.Action, says[test])
				}
			})
			delete(says, test)
		}
	}
}
