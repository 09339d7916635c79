package ovs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	openflow "github.com/digitalocean/go-openvswitch/ovs"

	"github.com/isonet/isonet/model/plan"
)

// openFlowTimeout bounds one exchange with vswitchd over OpenFlow.
const openFlowTimeout = 5 * time.Second

// openFlowVersion is the oldest with bundles; meters are older. Open vSwitch
// 2.17 has it enabled by default.
const openFlowVersion = openflow.ProtocolOpenFlow14

// controller speaks OpenFlow with the bridges of one vswitchd, over the
// management sockets that it makes for them.
type controller struct {
	runDir string
}

// socket returns the management socket of a bridge. Names of bridges are
// validated to be plain, so that it can be no other file.
func (c controller) socket(bridge string) string { return filepath.Join(c.runDir, bridge+".mgmt") }

// target returns the socket as ovs-ofctl wants it.
func (c controller) target(bridge string) string { return "unix:" + c.socket(bridge) }

func (c controller) client(ctx context.Context) *openflow.OpenFlowService {
	return openflow.New(
		openflow.Protocols([]string{openFlowVersion}),
		openflow.Exec(func(name string, args ...string) ([]byte, error) {
			return run(exec.CommandContext(ctx, name, args...))
		}),
		openflow.Pipe(func(stdin io.Reader, name string, args ...string) ([]byte, error) {
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Stdin = stdin
			return run(cmd)
		}),
	).OpenFlow
}

// run runs a command. What it says on its standard error becomes the error.
func run(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stderr.Bytes(), fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// install replaces all flows of the bridge in one bundle: no frame meets a mix
// of old and new flows (OpenFlow 1.4 section 6.9).
func (c controller) install(ctx context.Context, p plan.Pipeline) error {
	ctx, cancel := context.WithTimeout(ctx, openFlowTimeout)
	defer cancel()
	compiled, err := newPipeline(p)
	if err != nil {
		return err
	}
	// Flows may name meters that exist only, so these come first and go last.
	surplus, err := c.setMeters(ctx, p)
	if err != nil {
		return fmt.Errorf("limit the broadcasts of the bridge '%s': %w", p.Bridge, err)
	}
	err = c.client(ctx).AddFlowBundle(c.target(p.Bridge), func(tx *openflow.FlowTransaction) error {
		tx.Delete(&openflow.MatchFlow{Table: openflow.AnyTable, Matches: []openflow.Match{everything{}}})
		tx.Add(compiled.flows...)
		return tx.Commit()
	})
	if err != nil {
		return fmt.Errorf("install the flows of the bridge '%s': %w", p.Bridge, err)
	}
	if err := c.removeMeters(ctx, p.Bridge, surplus); err != nil {
		return fmt.Errorf("remove the meters of former ports of the bridge '%s': %w", p.Bridge, err)
	}
	return nil
}

// everything matches every flow. The library refuses a match without terms.
type everything struct{}

func (everything) MarshalText() ([]byte, error) { return []byte("cookie=0/0"), nil }
func (everything) GoString() string             { return "everything()" }

// installed reports whether the bridge has the flows of the pipeline, all of
// them and no others, and whether it has flows that isonet did not make.
func (c controller) installed(ctx context.Context, p plan.Pipeline) (there, foreign bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, openFlowTimeout)
	defer cancel()
	compiled, err := newPipeline(p)
	if err != nil {
		return false, false, err
	}
	text, err := c.ofctl(ctx, "dump-flows", c.target(p.Bridge))
	if err != nil {
		return false, false, fmt.Errorf("look at the flows of the bridge '%s': %w", p.Bridge, err)
	}
	there, foreign = compiled.is(text)
	return there, foreign, nil
}

var cookiePattern = regexp.MustCompile(`\bcookie=(0x[0-9a-f]+)`)

// is compares the pipeline with what ovs-ofctl dump-flows prints. Cookies are
// enough: who changes a flow's actions must add it anew, and the cookie names
// the actions. The library's parser of flows does not know meters.
func (p pipeline) is(dump []byte) (same, foreign bool) {
	static, others := 0, 0
	for line := range bytes.Lines(dump) {
		found := cookiePattern.FindSubmatch(line)
		if found == nil {
			continue // the heading
		}
		cookie, err := strconv.ParseUint(string(found[1]), 0, 64)
		switch {
		case err == nil && cookie == p.cookie:
			static++
		case err == nil && cookie == p.cookie|learnedMark:
		default:
			others++
			foreign = foreign || err != nil || cookie&cookieMask != cookieMark
		}
	}
	return static == len(p.flows) && others == 0, foreign
}

// setMeters makes the meters that the members lack, and returns those that
// nobody will need when the flows are replaced.
func (c controller) setMeters(ctx context.Context, p plan.Pipeline) (surplus []int, err error) {
	text, err := c.ofctl(ctx, "dump-meters", c.target(p.Bridge))
	if err != nil {
		return nil, err
	}
	have := metersIn(text)
	if p.BroadcastLimit > 0 {
		for _, m := range p.Members {
			rate, there := have[m.OFPort]
			delete(have, m.OFPort)
			if rate == p.BroadcastLimit {
				continue
			}
			verb := "add-meter"
			if there {
				verb = "mod-meter"
			}
			spec := fmt.Sprintf("meter=%d,pktps,bands=type=drop,rate=%d", m.OFPort, p.BroadcastLimit)
			if _, err := c.ofctl(ctx, verb, c.target(p.Bridge), spec); err != nil {
				return nil, err
			}
		}
	}
	return slices.Collect(maps.Keys(have)), nil
}

func (c controller) removeMeters(ctx context.Context, bridge string, meters []int) error {
	for _, id := range meters {
		if _, err := c.ofctl(ctx, "del-meter", c.target(bridge), fmt.Sprintf("meter=%d", id)); err != nil {
			return err
		}
	}
	return nil
}

var meterPattern = regexp.MustCompile(`(?s)\bmeter=(\d+) .*?\brate=(\d+)`)

// metersIn reads what ovs-ofctl dump-meters prints: the rate of each meter.
func metersIn(dump []byte) map[int]int {
	meters := map[int]int{}
	for _, found := range meterPattern.FindAllSubmatch(dump, -1) {
		id, _ := strconv.Atoi(string(found[1])) // digits, by the pattern
		meters[id], _ = strconv.Atoi(string(found[2]))
	}
	return meters
}

// ofctl runs what the library has no call for.
func (c controller) ofctl(ctx context.Context, args ...string) ([]byte, error) {
	return run(exec.CommandContext(ctx, "ovs-ofctl", append([]string{"--protocols=" + openFlowVersion}, args...)...))
}
