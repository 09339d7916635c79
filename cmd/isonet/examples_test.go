package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/wire"
)

// TestExamples runs the examples that the help of each command has. What they need of
// their daemon it may not have, but no example is a wrong use.
func TestExamples(t *testing.T) {
	root := (&app{}).rootCommand()
	commands := append(append(groups(root), root), runnable(root)...)
	all := examples()
	for _, cmd := range commands {
		path := cmd.CommandPath()
		t.Run(path, func(t *testing.T) {
			if len(all[path]) == 0 {
				t.Fatal("its help has no example: add one to examples")
			}
			about := false
			for _, line := range all[path] {
				for _, args := range commandLines(line) {
					runExample(t, args)
					found, _, err := root.Find(args)
					about = about || (err == nil && (found == cmd || cmd.HasSubCommands()))
				}
			}
			if !about {
				t.Errorf("none of %q is about it", all[path])
			}
		})
	}
	for path := range all {
		if !slices.ContainsFunc(commands, func(c *cobra.Command) bool { return c.CommandPath() == path }) {
			t.Errorf("there is no command '%s'", path)
		}
	}
}

// commandLines returns the arguments of isonet in a line of a shell.
func commandLines(line string) [][]string {
	line, _, _ = strings.Cut(line, "   #")
	var list [][]string
	for _, part := range regexp.MustCompile(` (?:\||\|\||>) `).Split(line, -1) {
		part = strings.TrimPrefix(part, "sudo ")
		if rest, ours := strings.CutPrefix(part, "isonet "); ours {
			var args []string
			for _, word := range regexp.MustCompile(`'[^']*'|[^ ]+`).FindAllString(rest, -1) {
				args = append(args, strings.Trim(word, "'"))
			}
			list = append(list, args)
		}
	}
	return list
}

func runExample(t *testing.T, args []string) {
	t.Helper()
	dir := shortDir(t)
	write(t, filepath.Join(dir, "lab.yaml"), []byte(read(t, filepath.Join("testdata", "as-it-is.yaml"))))
	certify(t, filepath.Join(dir, "ca.pem"), filepath.Join(dir, "key.pem"))
	saved := wire.Backup{Format: wire.BackupFormat}
	saved.Checksum = saved.Sum()
	data, err := json.Marshal(saved)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "isonet.json"), data)
	for i, arg := range args {
		if slices.Contains([]string{"lab.yaml", "ca.pem", "isonet.json"}, arg) {
			args[i] = filepath.Join(dir, arg)
		}
		args[i] = strings.Replace(args[i], "host1:8443", freePort(t), 1)
	}
	answers := standard(t)
	config := filepath.Join(dir, "isonet")
	if err := os.Mkdir(config, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(config, "config.yaml"), []byte("current: local\ncontexts: [{name: lab, url: 'https://host1:8443'}]\n"))
	got := command{args: args, config: dir, stdin: "networks: []\n", socket: (&daemon{answers: answers}).start(t)}.run(t.Context())
	if got.code == exitUsage {
		t.Errorf("isonet %q: %+v", args, got)
	}
}

// TestExamplesOfIsonetd runs the examples on a real isonetd, each on a host as it was:
// with the networks blue and green, and with labels that no network has.
func TestExamplesOfIsonetd(t *testing.T) {
	h := newIsonetd(t)
	dir := t.TempDir()
	t.Chdir(dir)
	h.isonet("network create blue", "network create green --strict=false", "attach blue green", "label add lab web", "backup base.json")
	lab := command{args: words("export"), socket: h.socket}.run(t.Context())
	write(t, "lab.yaml", []byte(lab.stdout))
	// What these need is not on the host. A bridge that was released is in the way.
	elsewhere := []string{"adopt", "cluster", "token", "guard", "host", "prove", "login", "logout", "context", "watch", "release"}
	for _, path := range slices.Sorted(maps.Keys(examples())) {
		if path == "isonet" || slices.Contains(elsewhere, words(path)[1]) {
			continue
		}
		t.Run(path, func(t *testing.T) {
			for _, line := range examples()[path] {
				h.isonet("restore base.json --older --force", "backup isonet.json")
				if strings.Contains(line, "network create") {
					h.isonet("network delete blue green --force")
				}
				for _, args := range commandLines(line) {
					if args[0] == "wait" {
						args = append(args, "--timeout", "1s") // nobody deletes them
					}
					got := command{args: args, stdin: "networks: []\n", socket: h.socket}.run(t.Context())
					if got.code != exitOK && got.code != exitNotActive {
						t.Errorf("isonet %q: %+v", args, got)
					}
					if created := slices.Index(args, "create"); created >= 0 {
						h.isonet("network delete --force " + args[created+1])
					}
				}
			}
		})
	}
}
