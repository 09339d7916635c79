package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
)

// waitFlag makes a command of networks wait for all hosts that its writes touch.
const waitFlag = "wait-hosts"

// usualWait is how long that is without a time, and mostWait is as long as isonetd waits.
const (
	usualWait = time.Minute
	mostWait  = time.Hour
)

// waits gives a command the flag to wait for hosts. The time counts beside --timeout.
func (a *app) waits(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().DurationVar(&a.waitHosts, waitFlag, 0, "wait until all hosts that report have it, a minute or the time that is given as --wait-hosts=TIME; exit code 3 if one does not")
	cmd.Flags().Lookup(waitFlag).NoOptDefVal = usualWait.String()
	must(cmd.RegisterFlagCompletionFunc(waitFlag, cobra.NoFileCompletions))
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed(waitFlag) && (a.waitHosts < time.Second || a.waitHosts > mostWait) {
			return usageFor(cmd, fmt.Sprintf("--%s must be 1s to %s", waitFlag, mostWait))
		}
		if check == nil {
			return nil
		}
		return check(cmd, args)
	}
	return cmd
}

// awaiting is what became on hosts of what a command wrote.
type awaiting struct {
	// written is the sum of the writes, with the newest revision.
	written client.Written
	writes  int
	// networks are the ids of those that were written.
	networks []string
}

// waiting makes the session wait for hosts if that is asked for.
func (a *app) waiting(s session) session {
	if a.waitHosts == 0 {
		return s
	}
	waited := &awaiting{}
	s.waited = waited
	s.Client = s.WaitingForHosts(a.waitHosts, func(w client.Written) {
		sum := &waited.written
		waited.writes++
		sum.Revision = max(sum.Revision, w.Revision)
		sum.Realised, sum.Pending, sum.Failed, sum.Unreachable = sum.Realised+w.Realised, sum.Pending+w.Pending, sum.Failed+w.Failed, sum.Unreachable+w.Unreachable
	})
	return s
}

// wrote says which networks the command wrote.
func (s session) wrote(networks ...client.Network) {
	if s.waited == nil {
		return
	}
	for _, n := range networks {
		s.waited.networks = append(s.waited.networks, n.ID)
	}
}

// tellHosts tells what became of what was written on the hosts that it touches.
func (a *app) tellHosts(s session) error {
	if s.waited == nil {
		return nil
	}
	ctx, cancel := a.limit(s.cmd.Context())
	defer cancel()
	w := s.waited.written
	if s.waited.writes == 0 {
		return a.tell("hosts: isonetd has waited for none")
	}
	lines := []string{fmt.Sprintf("hosts: %d have it, %d pending, %d failed, %d unreachable", w.Realised, w.Pending, w.Failed, w.Unreachable)}
	if w.Pending+w.Failed+w.Unreachable > 0 && w.Revision > 0 {
		reply, err := s.Outcomes(ctx, w.Revision, 0, s.waited.networks...)
		if err != nil {
			return fmt.Errorf("the change is made; which hosts lack it: %w", err)
		}
		for _, state := range []string{"pending", "failed", "unreachable"} {
			left := 0
			for _, h := range reply.Hosts {
				switch {
				case h.Change != state:
				case left >= mostUnwell:
					left++
				default:
					left++
					lines = append(lines, fmt.Sprintf("%s: host '%s': %s", state, h.Name, h.ChangeReason))
				}
			}
			if left > mostUnwell {
				lines = append(lines, fmt.Sprintf("%s: %s more", state, count(left-mostUnwell, "host")))
			}
		}
	}
	if err := a.tell(lines...); err != nil {
		return err
	}
	if w.Pending+w.Failed > 0 {
		return errNotActive
	}
	return nil
}

// tell adds lines to a table; beside a form for programs they go to standard error.
func (a *app) tell(lines ...string) error {
	if a.output == "table" {
		for i, line := range lines {
			lines[i] = oneLine(line) + "\n"
		}
		return a.write([]byte(strings.Join(lines, "")))
	}
	for _, line := range lines {
		a.complain(line)
	}
	return nil
}
