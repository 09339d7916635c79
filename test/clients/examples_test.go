package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const examples = "../../docs/examples/"

// commands are the examples that run here as they are.
func commands() map[string][]string {
	return map[string][]string{
		"example/main.go":                      {"go", "run", "./example"},
		examples + "isolated-networks.sh":      {examples + "isolated-networks.sh"},
		examples + "isolated_networks.py":      {"/usr/bin/python3", examples + "isolated_networks.py"},
		examples + "isolated-networks-uri.yml": {"ansible-playbook", examples + "isolated-networks-uri.yml", "-e"},
	}
}

// replayed are the examples for clients that cannot be installed from Debian:
// the recordings have what they sent.
func replayed() map[string]string {
	return map[string]string{
		examples + "isolated_networks_sdk.py":    "python-sdk.txt",
		examples + "isolated-networks-ovirt.yml": "ansible.txt",
	}
}

func TestExamples(t *testing.T) {
	for file, command := range commands() {
		t.Run(filepath.Base(file), func(t *testing.T) {
			h := newHost(t)
			want := []string{
				"attached: red\n", "data.total.rx 0\n", "data.total.tx 0\n", "errors.total.rx 0\n", "errors.total.tx 0\n",
				"attached: blue red\n", "attached:",
			}
			argument := hostName
			if command[0] == "ansible-playbook" {
				argument = "host_name=" + hostName
				want = []string{`"attached: blue red"`, "blue: data.total.rx=0 ", "red: data.total.rx=0 ", "failed=0"}
			}
			cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], argument)...)
			cmd.Env = append(os.Environ(), "OVIRT_URL="+api, "OVIRT_USERNAME="+admin, "OVIRT_PASSWORD="+password,
				"ANSIBLE_HOME="+t.TempDir(), "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=false")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			rest := string(out)
			for _, text := range want {
				_, after, found := strings.Cut(rest, text)
				if !found {
					t.Fatalf("%q is missing, or not in its place:\n%s", text, out)
				}
				rest = after
			}
			networks, err := h.get("/networks")
			if err != nil {
				t.Fatal(err)
			}
			same(h, "what is left of the networks", string(networks), "{}\n")
			same(h, "the bridges", h.bridges(), "")
		})
	}
}

// Every example is proved, one way or the other.
func TestEveryExampleIsRunOrReplayed(t *testing.T) {
	files, err := filepath.Glob(examples + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, file := range files {
		if commands()[file] != nil {
			continue
		}
		recorded := false
		for _, s := range readRecording(t, replayed()[file]) {
			recorded = recorded || s.title == strings.TrimPrefix(file, "../../") && len(s.exchanges) > 0
		}
		if !recorded {
			t.Errorf("%s is neither run nor recorded", file)
		}
	}
}

// The page shows only code that is in the examples, whatever its indentation.
func TestPageQuotesTheExamples(t *testing.T) {
	var code strings.Builder
	for file := range commands() {
		code.WriteString(flat(t, file))
	}
	for file := range replayed() {
		code.WriteString(flat(t, file))
	}
	blocks := strings.Split(flat(t, "../../docs/ovirt-tools.md"), "\n```")
	if len(blocks) < 3 {
		t.Fatal("the page has no code")
	}
	for i := 1; i < len(blocks); i += 2 {
		language, block, _ := strings.Cut(blocks[i], "\n")
		if language != "console" && !strings.Contains(code.String(), "\n"+block+"\n") {
			t.Errorf("no example has this:\n%s", block)
		}
	}
}

// flat returns a file without the blanks around its lines.
func flat(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}
