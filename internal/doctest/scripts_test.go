package doctest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// place is a directory in which scripts run.
type place struct {
	*testing.T
	dir string
}

// newPlace makes a directory with files by name, all of them programs.
func newPlace(t *testing.T, files map[string]string) place {
	t.Helper()
	p := place{t, t.TempDir()}
	for name, text := range files {
		path := filepath.Join(p.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o700)); err != nil { //nolint:gosec // they are programs
			t.Fatal(err)
		}
	}
	return p
}

// run returns what a command said and its exit code.
func (p place) run(name string, args ...string) (string, int) {
	p.Helper()
	cmd := exec.CommandContext(p.Context(), name, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(p.dir, "bin")+":"+os.Getenv("PATH"),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example")
	out, err := cmd.CombinedOutput()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		return string(out), exit.ExitCode()
	} else if err != nil {
		p.Fatal(err)
	}
	return string(out), 0
}

// must runs a command that does not fail.
func (p place) must(name string, args ...string) {
	p.Helper()
	if out, code := p.run(name, args...); code != 0 {
		p.Fatalf("%s %v: exit code %d\n%s", name, args, code, out)
	}
}

func script(t *testing.T, name string) string {
	return read(t, filepath.Join("..", "..", "scripts", name))
}

// history is a repository whose first commit is older than the rule.
func history(t *testing.T, messages ...string) place {
	t.Helper()
	p := newPlace(t, nil)
	p.must("git", "init", "-q")
	p.must("git", "commit", "-q", "--allow-empty", "-m", "Old and against the rule.")
	rule := newPlace(t, map[string]string{"scripts/check-commits": script(t, "check-commits")})
	p.must("cp", "-r", filepath.Join(rule.dir, "scripts"), p.dir)
	p.must("git", "add", ".")
	for _, message := range append([]string{"scripts: check commits"}, messages...) {
		p.must("git", "commit", "-q", "--allow-empty", "-m", message)
	}
	return p
}

func TestCommitMessages(t *testing.T) {
	long := "api: " + strings.Repeat("ä", 72-len("api: "))
	for _, test := range []struct{ name, message, want string }{
		{"good", "model/plan, ovs: keep a port's queue\n\nSee /etc/isonet and https://example/home/x.", ""},
		{"72 characters", long, ""},
		{"73 characters", long + "x", "the subject has 73 characters"},
		{"a revert", "Revert \"api: answer\"\n\nThis reverts commit 1.", ""},
		{"no package", "Keep a port's queue", "is not \"package: what changes\""},
		{"a fixup", "fixup! api: answer", "is not \"package: what changes\""},
		{"a path in the subject", "docs: see /root/notes", "a path of a machine: "},
		{"a path in the body", "docs: see\n\nIt was '/tmp/x.txt'.", "a path of a machine: '/tmp/x.txt'."},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, code := history(t, test.message).run("scripts/check-commits")
			if test.want == "" && code != 0 || test.want != "" && (code != 1 || !strings.Contains(out, test.want)) {
				t.Errorf("exit code %d, want %q in:\n%s", code, test.want, out)
			}
		})
	}
}

// TestCommitsOfEveryClone checks where the history is not all there, or HEAD is no branch.
func TestCommitsOfEveryClone(t *testing.T) {
	origin := history(t, "Bad", "docs: good")
	for _, test := range []struct {
		name     string
		clone    []string
		checkout string
		code     int
	}{
		{"whole", nil, "", 1},
		{"detached", nil, "HEAD^0", 1},
		{"before the bad one", nil, "HEAD~2", 0},
		{"before the rule", nil, "HEAD~3", 127}, // there is no script yet
		{"shallow, with the bad one", []string{"--depth", "2"}, "", 1},
		{"shallow, without it", []string{"--depth", "1"}, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			clone := newPlace(t, nil)
			clone.must("git", append(append([]string{"clone", "-q"}, test.clone...), "file://"+origin.dir, ".")...)
			clone.must("git", "remote", "remove", "origin")
			if test.checkout != "" {
				clone.must("git", "checkout", "-q", test.checkout)
			}
			if out, code := clone.run("sh", "-c", "scripts/check-commits"); code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, out)
			}
		})
	}
	t.Run("no history", func(t *testing.T) {
		p := newPlace(t, map[string]string{"scripts/check-commits": script(t, "check-commits")})
		if out, code := p.run("scripts/check-commits"); code != 0 || !strings.Contains(out, "no history") {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	})
}

// TestVulncheck lets govulncheck come to each of its ends.
func TestVulncheck(t *testing.T) {
	for _, test := range []struct {
		name, tool string
		code       int
		want       string
	}{
		{"nothing is found", "echo fine", 0, ""},
		{"something is found", "echo GO-2026-1; exit 3", 1, "GO-2026-1"},
		{"no database", "echo 'govulncheck: fetching vulnerabilities: no such host' >&2; exit 1", 0, "cannot be reached: no such host"},
		{"the code does not build", "echo 'no such package' >&2; exit 1", 1, "no such package"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t, map[string]string{
				"scripts/vulncheck": script(t, "vulncheck"), "bin/tool": "#!/bin/sh\n" + test.tool + "\n", "test/part/go.mod": "",
			})
			out, code := p.run("scripts/vulncheck", "bin/tool", ".", "test/part")
			if code != test.code || !strings.Contains(out, test.want) {
				t.Errorf("exit code %d, want %d and %q in:\n%s", code, test.code, test.want, out)
			}
		})
	}
}

// TestFuzz lets targets come to each of their ends, by a go that only says something.
func TestFuzz(t *testing.T) {
	for _, test := range []struct {
		name, goes string
		code       int
		want       string
	}{
		{"well", "echo fine", 0, "./a FuzzA\n"},
		{"to the end of its time", "printf -- '--- FAIL: FuzzA (3s)\\n    context deadline exceeded\\n'; exit 1", 0, "./a FuzzA\n"},
		{"an input fails", "echo 'Failing input written to testdata/fuzz/FuzzA/1c'; exit 1", 1, "repeat it with: go test -run '^FuzzA/1c$' ./a"},
		{"a seed fails", "echo 'failure while testing seed corpus entry: FuzzA/seed#0'; exit 1", 1, "repeat it with: go test -run '^FuzzA/seed#0$' ./a"},
		{"it does not build", "echo broken; exit 1", 1, "broken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t, map[string]string{
				"scripts/fuzz": script(t, "fuzz"),
				"a/a_test.go":  "package a\n\nfunc FuzzA(f *testing.F) {}\n",
				"b/b_test.go":  "package b\n",
				"bin/go":       "#!/bin/sh\n[ \"$2\" = -list ] && echo FuzzA && exit\n" + test.goes + "\n",
			})
			out, code := p.run("scripts/fuzz", "3s")
			if code != test.code || !strings.Contains(out, test.want) {
				t.Errorf("exit code %d, want %d and %q in:\n%s", code, test.code, test.want, out)
			}
		})
	}
}

// TestPackageVersions checks that packages sort as the commits they are made of.
func TestPackageVersions(t *testing.T) {
	script, err := filepath.Abs("../../scripts/packaging/version")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, nil)
	p.must("git", "init", "--quiet")
	var versions []string
	tell := func(describe string) {
		out, code := p.run(script, describe)
		if code != 0 {
			t.Fatalf("%s: %s", describe, out)
		}
		versions = append(versions, strings.TrimSpace(out))
	}
	for _, date := range []string{"2026-01-02T03:04:05+0100", "2026-01-02T03:04:05Z", "2026-11-30T00:00:00Z"} {
		p.must("git", "-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--allow-empty", "--message", "x", "--date", date)
		p.must("env", "GIT_COMMITTER_DATE="+date, "git", "commit", "--quiet", "--amend", "--no-edit", "--allow-empty", "--date", date)
		tell("abcdef0")
	}
	for _, tag := range []string{"v0.1.0", "v0.1.0-3-gabcdef0", "v0.1.0-20-g0123456", "v0.1.0-20-g0123456-dirty", "v0.2.0", "v1.0.0"} {
		tell(tag)
	}
	if want := "0.0.0+20260102020405.gabcdef0"; versions[0] != want {
		t.Errorf("the version before the first tag is %s, want %s", versions[0], want)
	}
	for i, v := range versions[1:] {
		if out, code := p.run("dpkg", "--compare-versions", versions[i], "lt", v); code != 0 {
			t.Errorf("%s is not before %s: %s", versions[i], v, out)
		}
	}
	if _, code := p.run(script); code != 2 {
		t.Errorf("without a version it exits with %d, want 2", code)
	}
}
