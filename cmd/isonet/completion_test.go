package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompleteNames(t *testing.T) {
	const web, long = "99991111-1111-4111-8111-111111111111", "a name too long for a bridge"
	d := &daemon{answers: standard(t)}
	socket := d.start(t)
	tests := []struct {
		args []string
		want []string
	}{
		{words("network show"), []string{web, long, "blue", "green"}},
		{words("network show blue"), nil},
		{words("network update"), []string{web, long, "blue", "green"}},
		{words("network delete blue"), []string{web, long, "green"}},
		{words("attach blue " + web), []string{long, "green"}},
		{words("detach"), []string{web, long, "blue", "green"}},
		{words("adopt"), nil},
		{words("adopt br-old"), []string{web, long, "blue", "green"}},
		{words("adopt br-old green"), nil},
		{words("release"), []string{web, "blue"}},
		{words("port list"), []string{web, "blue"}},
		{words("port prune"), []string{web, "blue"}},
		{words("status"), []string{web, "blue"}},
		{words("status blue"), nil},
		{words("stats"), []string{web, "blue"}},
		{words("top --sort"), []string{"network", "ports", "received/s", "transmitted/s", "age", "received", "transmitted", "lost", "rate"}},
		{words("label add"), []string{"lab", "web"}},
		{words("label add web"), []string{"lab"}},
		{words("label rm"), []string{"old", "web"}},
		{words("network create x --label"), []string{"lab", "web"}},
		{words("network update blue --label"), []string{"lab", "web"}},
		{words("network create"), nil},
		{words("network list"), nil},
		{words("status -o"), []string{"table", "wide", "name", "json", "yaml"}},
		{words("attach green --host"), []string{"host1", "host2", "cccccccc-cccc-4ccc-8ccc-cccccccccccc", "dddddddd-dddd-4ddd-8ddd-dddddddddddd"}},
		{words("completion"), []string{"bash", "zsh", "fish"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			if diff := cmp.Diff(tt.want, completions(t, socket, tt.args)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("--socket counts", func(t *testing.T) {
		got := completions(t, "/nonexistent", words("--socket "+socket+" status"))
		if diff := cmp.Diff([]string{web, "blue"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("without a daemon", func(t *testing.T) {
		for _, args := range []string{"attach", "label add", "label rm", "status", "network create x --label"} {
			if got := completions(t, "/nonexistent", words(args)); got != nil {
				t.Errorf("isonet %s: %v", args, got)
			}
		}
	})
}

// completions returns what a shell would offer after the words.
func completions(t *testing.T, socket string, args []string) []string {
	t.Helper()
	got := command{args: append(append([]string{"__complete"}, args...), ""), socket: socket}.run(t.Context())
	if got.code != exitOK {
		t.Fatalf("isonet %v: %+v", args, got)
	}
	var list []string
	for line := range strings.Lines(got.stdout) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, ":") { // the directive for the shell
			list = append(list, line)
		}
	}
	return list
}

// TestCompletionScripts lets each shell that is there read its script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			got := command{args: []string{"completion", shell}}.run(t.Context())
			if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, "__complete") {
				t.Fatalf("exit code %d, stderr %q, %d bytes", got.code, got.stderr, len(got.stdout))
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				return
			}
			check := exec.CommandContext(t.Context(), path, "-n")
			check.Stdin = strings.NewReader(got.stdout)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s -n: %v\n%s", shell, err, out)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	got := command{args: []string{"version"}}.run(t.Context())
	first, second, _ := strings.Cut(got.stdout, "\n")
	if got.code != exitOK || !strings.HasPrefix(first, "isonet ") || !strings.HasPrefix(second, "isonetd unknown: ") {
		t.Errorf("%+v", got)
	}
	if flag := (command{args: []string{"--version"}}).run(t.Context()); flag != (outcome{stdout: first + "\n"}) {
		t.Errorf("--version: %+v, and version says %q", flag, first)
	}
	d := &daemon{answers: map[string]answer{"GET ": ok(`{"product_info":{"version":{"full_version":"4.5.0-isonet-v1.2.3"}}}`)}}
	got = command{args: []string{"version"}, socket: d.start(t)}.run(t.Context())
	if want := (outcome{stdout: first + "\nisonetd v1.2.3\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	got = command{args: words("version -o json")}.run(t.Context())
	if got.code != exitOK || !strings.HasPrefix(got.stdout, "{\n  \"version\": ") || !strings.Contains(got.stdout, "\"commit\": ") {
		t.Errorf("%+v", got)
	}
}
