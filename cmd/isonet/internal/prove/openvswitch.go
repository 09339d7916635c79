package prove

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"github.com/google/uuid"
)

// mark is the key in external_ids that tells a probe's port from others.
const mark = "isonet-probe"

// exemption is the external_ids key that exempts a port from the port isolation
// of its network when it is "false" (docs/isolation.md).
const exemption = "isonet-isolated"

// openvswitch plugs ports, by ovs-vsctl(8).
type openvswitch struct {
	// database is the endpoint of the host's OVSDB.
	database string
}

// plug adds the ports of all probes in one transaction, with what libvirt
// writes of a VM's, and returns when vswitchd has opened them.
func (o openvswitch) plug(ctx context.Context, probes []*probe, via Via) error {
	args := []string{"--timeout=30"}
	for _, p := range probes {
		ids := []string{"external_ids:" + mark + "=true"}
		args = append(append(args, "--", "add-port", p.network.Bridge, p.name, "--", "set", "Port", p.name), ids...)
		if p.exempt {
			args = append(args, "external_ids:"+exemption+"=false")
		}
		args = append(append(args, "--", "set", "Interface", p.name), ids...)
		args = append(args,
			"external_ids:iface-id="+uuid.NewString(), "external_ids:iface-status=active",
			fmt.Sprintf(`external_ids:attached-mac="%s"`, p.mac), fmt.Sprintf("mtu_request=%d", p.network.MTU))
		if via == Internal {
			args = append(args, "type=internal", fmt.Sprintf(`mac="%s"`, p.mac))
		}
	}
	_, err := o.vsctl(ctx, args...)
	return err
}

// unplug removes ports, those that are there.
func (o openvswitch) unplug(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	args := []string{"--timeout=30"}
	for _, name := range names {
		args = append(args, "--", "--if-exists", "del-port", name)
	}
	_, err := o.vsctl(ctx, args...)
	return err
}

// leftOver returns the ports of probes that are plugged in.
func (o openvswitch) leftOver(ctx context.Context) ([]string, error) {
	out, err := o.vsctl(ctx, "--timeout=30", "--bare", "--columns=name", "find", "Port", "external_ids:"+mark+"=true")
	return strings.Fields(out), err
}

func (o openvswitch) vsctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "ovs-vsctl", append([]string{"--db=" + o.database}, args...)...) //nolint:gosec // names that this package and isonetd chose
	var complaint strings.Builder
	cmd.Stderr = &complaint
	// The interrupt of a terminal goes to the whole process group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	switch {
	case err == nil:
		return string(out), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("there is no ovs-vsctl, which plugs the probes: install Open vSwitch's tools")
	default:
		text := strings.TrimSpace(complaint.String())
		return "", fmt.Errorf("ovs-vsctl at %s: %w: %s; give isonetd's database with --ovsdb", o.database, err, text)
	}
}
