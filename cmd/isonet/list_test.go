package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// wild is a daemon whose networks, ports and hosts have names and texts of all sorts.
func wild(t *testing.T) map[string]answer {
	t.Helper()
	answers := standard(t)
	words := strings.NewReplacer(
		`"name": "blue"`, `"name": "网络-蓝色-实验室-一号"`, `"vnet0"`, `"vnet-👩‍💻-é"`,
		`test network`, "a network for tests: \u202edesrever\u202c, \u0007bell, and more words than a line has",
	)
	for request, a := range answers {
		a.body = words.Replace(a.body)
		answers[request] = a
	}
	return answers
}

// TestTables shows each table on terminals of 60, 80 and 200 cells: no line is wider.
func TestTables(t *testing.T) {
	bad := standard(t)
	bad["GET /isonet/status"] = ok(recorded(t, "status-bad"))
	for world, answers := range map[string]map[string]answer{"standard": standard(t), "wild": wild(t), "bad": bad} {
		socket := (&daemon{answers: answers}).start(t)
		for _, width := range []int{60, 80, 200} {
			t.Run(fmt.Sprintf("%s-%d", world, width), func(t *testing.T) {
				var all strings.Builder
				for _, line := range []string{
					"network list", "network list -o wide", "history", "history -o wide", "network show 11111111-1111-4111-8111-111111111111", "host list", "label list", "guard list", "port list",
					"status", "status -o wide", "status 11111111-1111-4111-8111-111111111111", "top --once", "top --once --ports", "stats 11111111-1111-4111-8111-111111111111",
					"status --columns reason,cause,network,received", "port list --columns interface",
				} {
					c := command{args: words(line + " --color never"), socket: socket, width: width}
					o := c.run(t.Context())
					for text := range strings.Lines(o.stdout) {
						if w := ansi.StringWidth(strings.TrimSuffix(text, "\n")); w > width {
							t.Errorf("isonet %s: a line of %d cells on a terminal of %d: %q", line, w, width, text)
						}
					}
					all.WriteString(transcript(c, o, "") + "\n")
				}
				golden(t, fmt.Sprintf("tables-%s-%d", world, width), all.String())
			})
		}
	}
}

// TestLists checks what the flags of lists leave of them, in every form.
func TestLists(t *testing.T) {
	socket := (&daemon{answers: standard(t)}).start(t)
	var all strings.Builder
	for _, line := range []string{
		"network list -o name", "port list -o name", "host list -o name", "label list -o name", "guard list -o name",
		"status -o name", "status blue -o name", "top -o name", "stats blue -o name",
		"status --no-headers", "status blue --no-headers", "network list --no-headers --columns name,mtu",
		"network list --sort mtu --columns mtu,network", "network list --sort=-mtu --columns network", "network list --sort -id -o json",
		"port list --filter link=up", "port list --filter mtu>9000 --filter network=blue -o json", "port list --filter vm!= -o name",
		"status --filter received>1.5KiB -o name", "status --filter isolation=isolated --filter cause~^label -o yaml", "status --filter network!~blue --columns NETWORK,mtu.wanted",
		"top --sort received/s --columns network,rate,age", "top --sort=-received -o name", "top --filter age<3s --filter ports>=1 -o name",
		"top --ports --sort transmitted --columns network,transmitted", "stats blue --sort=-received --columns port,received",
		"port list --filter network=nope", "port list --filter network=nope -o json", "network list -o wide",
	} {
		c := command{args: words(line), socket: socket}
		all.WriteString(transcript(c, c.run(t.Context()), "") + "\n")
	}
	golden(t, "lists", all.String())
}

// TestColors checks when there are colours, and that they are not all that tells a
// state: without them the text is the same.
func TestColors(t *testing.T) {
	answers := standard(t)
	answers["GET /isonet/status"] = ok(recorded(t, "status-bad"))
	d := &daemon{answers: answers}
	socket := d.start(t)
	for _, line := range []string{"status", "status blue", "doctor", "port list", "host list", "top --once"} {
		plain := command{args: words(line + " --color never"), socket: socket, width: 200}.run(t.Context()).stdout
		colored := command{args: words(line), socket: socket, width: 200}.run(t.Context()).stdout
		if ansi.Strip(colored) != plain {
			t.Errorf("isonet %s: with colours the text is %q, without %q", line, colored, plain)
		}
		if line != "top --once" && colored == plain {
			t.Errorf("isonet %s has no colours", line)
		}
		for what, c := range map[string]command{
			"no terminal": {args: words(line)},
			"NO_COLOR":    {args: words(line), width: 200, env: map[string]string{"NO_COLOR": "1"}},
			"TERM=dumb":   {args: words(line), width: 200, env: map[string]string{"TERM": "dumb"}},
		} {
			c.socket = socket
			if text := c.run(t.Context()).stdout; strings.Contains(text, "\x1b") {
				t.Errorf("isonet %s has colours with %s: %q", line, what, text)
			}
		}
		always := command{args: words(line + " --color always"), socket: socket, env: map[string]string{"NO_COLOR": "1"}}.run(t.Context()).stdout
		if line != "top --once" && !strings.Contains(always, "\x1b[") {
			t.Errorf("isonet %s has no colours although it always is to", line)
		}
	}
	check(t, "status-colors", command{args: words("status"), width: 80}, answers)
}

// TestColumnsAreDocumented checks that docs/cli.md names each column of each list.
func TestColumnsAreDocumented(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range runnable((&app{}).rootCommand()) {
		flag := cmd.Flags().Lookup("columns")
		if flag == nil {
			continue
		}
		_, names, _ := strings.Cut(flag.Usage, ": ")
		for name := range strings.SplitSeq(names, ", ") {
			if !strings.Contains(string(data), "`"+name+"`") {
				t.Errorf("the column %s of '%s' is not documented", name, cmd.CommandPath())
			}
		}
	}
}
