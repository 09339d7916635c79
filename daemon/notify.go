package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

const (
	// readyPatience is how long the service manager waits for the first look at
	// both databases. Afterwards isonetd is ready all the same, and its status
	// says what it waits for: units that come after it must not hang at boot
	// because Open vSwitch does.
	readyPatience = 5 * time.Second
	// statusInterval is how often the status is looked at when nothing else asks
	// for it.
	statusInterval = 5 * time.Second
	// notifyTimeout is how long a message waits for a service manager that does not
	// read.
	notifyTimeout = time.Second
	// beatsPerTimeout is how many signs of life the watchdog gets in its time.
	beatsPerTimeout = 3
)

// notifier tells the service manager how the daemon stands, see sd_notify(3).
// Without one it does nothing.
type notifier struct {
	subject subject
	log     *slog.Logger
	said    string // by run only
	ready   atomic.Bool
}

// subject is what the service manager is told of.
type subject interface {
	// status is one line for people, and news is closed when it may be another one.
	status() string
	news() <-chan struct{}
	// begun says that it has looked at its databases.
	begun() bool
	// alive returns an error if it gives no sign of life before ctx ends.
	alive(ctx context.Context) error
}

// run tells until ctx ends.
func (n *notifier) run(ctx context.Context) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	timeout, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read the watchdog's time: %w", err)
	}
	every := statusInterval
	if timeout > 0 {
		every = min(every, timeout/beatsPerTimeout)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	patience := time.NewTimer(readyPatience)
	defer patience.Stop()
	late := false
	for {
		changed := n.subject.news()
		n.tell(n.subject.status())
		if !n.ready.Load() && (late || n.subject.begun()) {
			n.ready.Store(true)
			n.send(systemd.SdNotifyReady)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-patience.C:
			late = true
		case <-tick.C:
			if timeout > 0 {
				n.beat(ctx, every)
			}
		}
	}
}

// beat gives the watchdog a sign of life if its subject gives one in time.
func (n *notifier) beat(ctx context.Context, patience time.Duration) {
	asking, done := context.WithTimeout(ctx, patience)
	defer done()
	switch err := n.subject.alive(asking); {
	case err == nil:
		n.send(systemd.SdNotifyWatchdog)
	case ctx.Err() == nil:
		n.log.Error("the watchdog gets no sign of life", "error", err)
	}
}

// tell sends a status that is news.
func (n *notifier) tell(status string) {
	if status != n.said {
		n.said = status
		n.send("STATUS=" + status)
	}
}

// reloading says that the daemon reads its configuration, reloaded that it has. A
// daemon that is still starting says neither: the second one would mean that it has
// started.
func (n *notifier) reloading() {
	if n.ready.Load() {
		n.send(systemd.SdNotifyReloading)
	}
}

func (n *notifier) reloaded() {
	if n.ready.Load() {
		n.send(systemd.SdNotifyReady)
	}
}

// stopping says that the daemon begins to stop.
func (n *notifier) stopping() {
	n.send(systemd.SdNotifyStopping + "\nSTATUS=Stopping; bridges and traffic stay as they are")
}

func (n *notifier) send(state string) {
	if err := notify(state); err != nil {
		n.log.Warn("cannot tell the service manager", "state", state, "error", err)
	}
}

// notify sends a message as sd_notify(3) does, and does not wait for a service
// manager that does not read.
func notify(state string) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // what was sent has arrived
	if err := conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}
