package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
			cert, key := certificate(t)
			h := newHost(t, "--tls-cert", cert, "--tls-key", key)
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
			cmd.Env = append(os.Environ(), "OVIRT_URL=https"+strings.TrimPrefix(api, "http"), "OVIRT_CAFILE="+cert,
				"OVIRT_USERNAME="+admin, "OVIRT_PASSWORD="+password,
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
			same(h, "what is left of the networks", h.Answer("GET", "/networks", "").Text, "{}\n")
			same(h, "the bridges", h.bridges(), "")
		})
	}
}

// certificate makes a certificate for isonetd's address, which is its own CA.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: hostName},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, block *pem.Block) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", &pem.Block{Type: "CERTIFICATE", Bytes: cert}), write("key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: private})
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
