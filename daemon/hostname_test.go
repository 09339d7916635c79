package daemon_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isonet/isonet/internal/ovstest"
)

// TestTheHostFollowsItsMachinesName renames the machine under a running isonetd,
// then the host, then the machine again.
func TestTheHostFollowsItsMachinesName(t *testing.T) {
	h := newHost(t, nil)
	namespace := ovstest.Namespace(t)
	h.ovs = ovstest.Start(t, ovstest.InNamespace(namespace))
	// The names of machines are per UTS namespace, whose file the shell keeps open.
	names := filepath.Join(t.TempDir(), "uts")
	if err := os.WriteFile(names, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	run("unshare", "--uts="+names, "hostname", "localhost")
	t.Cleanup(func() { _ = exec.Command("umount", names).Run() })
	inUTS := []string{"nsenter", "--uts=" + names}
	h.isonetd(program(t), namespace, inUTS...)
	named := func(want string) {
		t.Helper()
		ovstest.Eventually(t, "the host is "+want, func() error {
			if hosts := h.hosts(); len(hosts) != 1 || !strings.Contains(fmt.Sprint(hosts[0]), "name:"+want+" ") {
				return fmt.Errorf("hosts: %v", hosts)
			}
			return nil
		})
	}
	named("localhost")
	run(append(inUTS, "hostname", "rack1-a")...)
	named("rack1-a")
	h.must("PUT", h.path(), `{"name":"chosen"}`)
	run(append(inUTS, "hostname", "rack1-b")...)
	named("chosen")
	h.network(`{"name":"red","data_center":{"name":"Default"}}`) // isonetd looks again meanwhile
	named("chosen")
}
