package ovs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/isonet/isonet/model/plan"
)

const (
	// askEvery is how often ovs-vswitchd is asked for a sign of life.
	askEvery = time.Second
	// redialEvery is how often it is looked for while it does not run.
	redialEvery = 200 * time.Millisecond
	// callTimeout bounds connecting to a control socket.
	callTimeout = time.Second
	// leastWork is what a main thread at work has of its processor in askEvery, in
	// clock ticks of 10 ms.
	leastWork = 5
	// longestWork is how long ovs-vswitchd may use its processor without an answer
	// before that is taken for a hang and not for work.
	longestWork = time.Minute
	// beginning is how long an ovs-vswitchd that was just found may take until it
	// begins with its bridges.
	beginning = 3 * time.Second
	// startVSwitchd is what to do about one that does not run.
	// elsewhere is what else could be the matter.
	elsewhere     = "; or set the option ovs-rundir to the directory where it makes its sockets"
	startVSwitchd = "start Open vSwitch (\"systemctl start openvswitch-switch\", or openvswitch), and see the log of ovs-vswitchd if it does not stay"
	// restartVSwitchd is what to do about one that answers and does not forward.
	restartVSwitchd = "restart Open vSwitch (\"systemctl restart openvswitch-switch\", or openvswitch), and see the log of ovs-vswitchd if that does not help"
	// Why one does not. Open vSwitch 3.1.0 is idle when it starts within ten seconds
	// of the kernel's boot, and deaf after them.
	gone = "ovs-vswitchd does not have the datapath"
	idle = "ovs-vswitchd answers, but has no threads that handle what its datapath does not know: it forwards nothing new"
	deaf = "ovs-vswitchd answers, but does not listen to what the kernel's datapath does not know: it forwards nothing new"
)

// vswitchd asks ovs-vswitchd each second whether it is there and forwards, on its
// control socket (ovs-appctl(8)): its main thread answers, which is the one that
// configures the bridges and that moves frames on the userspace datapath.
type vswitchd struct {
	runDir *runDir
	// seen is the newest look; nil before the first.
	seen atomic.Pointer[look]
}

// look is what was seen of ovs-vswitchd.
type look struct {
	plan.Sighting // of its answers
	// version is the one of the process that answered last; "" before.
	version string
	// datapaths are those that it has had, by their types, and when each of them
	// forwarded last. The cause says why one did not at the last answer.
	datapaths map[string]plan.Sighting
}

// run asks until ctx ends.
func (v *vswitchd) run(ctx context.Context) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		call, err := dialVSwitchd(ctx, v.runDir.path())
		if err != nil {
			v.miss(err.cause, err.remedy, false)
		} else {
			v.accompany(ctx, call, ticker.C)
		}
		select {
		case <-ctx.Done():
		case <-time.After(redialEvery):
		}
	}
}

// accompany asks over one connection until it ends. It waits for an answer
// however long that takes: a stopped ovs-vswitchd answers when it goes on, and
// that it has not yet is for whoever reads the time of the last answer.
func (v *vswitchd) accompany(ctx context.Context, c *call, tick <-chan time.Time) {
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	work, found := &labour{pid: c.pid}, time.Now()
	for {
		next := tick
		answers := make(chan answer, 1)
		go func() { answers <- c.question() }()
		for waiting := true; waiting; {
			select {
			case a := <-answers:
				waiting = false
				busy := work.rest()
				switch {
				case errors.Is(a.err, errRefused):
					// Who starts it and writes at once is not refused: it is about to begin.
					v.miss("ovs-vswitchd has not begun with its bridges", "see its log: perhaps it does not reach its database, or another ovs-vswitchd has the database",
						time.Since(found) < beginning)
					next = time.After(redialEvery)
				case a.err != nil:
					v.miss("ovs-vswitchd has ended", startVSwitchd, false)
					return
				default:
					v.answered(a, busy)
				}
			case <-tick:
				cause, remedy, busy := work.judge(time.Now())
				v.miss(cause, remedy, busy)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
	}
}

// answered takes what ovs-vswitchd says of itself.
func (v *vswitchd) answered(a answer, busy bool) {
	now, before := time.Now(), v.look()
	seen := look{Sighting: plan.Sighting{Seen: now, Busy: busy}, version: a.version, datapaths: map[string]plan.Sighting{}}
	for kind, s := range before.datapaths {
		seen.datapaths[kind] = plan.Sighting{Seen: s.Seen, Cause: gone}
	}
	for name, threads := range a.datapaths {
		kind, _, _ := strings.Cut(name, "@")
		s := plan.Sighting{Seen: now}
		// A new one may need a moment to begin. Which ones are new is not known at first.
		if last, had := before.datapaths[kind]; had || before.Seen.IsZero() {
			s.Seen = last.Seen
		}
		switch {
		case threads == 0:
			s.Cause, s.Remedy = idle, restartVSwitchd
		case kind == plan.KernelDatapath && deafKernel():
			s.Cause, s.Remedy = deaf, restartVSwitchd
		default:
			s.Seen = now
		}
		seen.datapaths[kind] = s
	}
	v.seen.Store(&seen)
}

// deafKernel says that nobody listens to the kernel's datapath, if that is known:
// isonetd may be in another network namespace.
func deafKernel() bool {
	nobody, err := nobodyListens()
	return nobody && err == nil
}

// miss says why there was no answer, and keeps what the last one said.
func (v *vswitchd) miss(cause, remedy string, busy bool) {
	missed := v.look()
	missed.Cause, missed.Remedy, missed.Busy = cause, remedy, busy
	v.seen.Store(&missed)
}

// look returns what was seen of ovs-vswitchd last.
func (v *vswitchd) look() look {
	if seen := v.seen.Load(); seen != nil {
		return *seen
	}
	return look{}
}

// labour tells work from a hang by the time that the main thread of a process
// has had on a processor.
type labour struct {
	pid   int // 0 is unknown
	used  uint64
	since time.Time // of the first look without an answer
}

// rest begins anew after an answer, and says whether the process has worked since
// the look before.
func (l *labour) rest() (worked bool) {
	l.since = time.Time{}
	before := l.used
	if _, used, err := mainThread(l.pid); err == nil {
		l.used = used
	}
	return before > 0 && l.used-before >= leastWork
}

// judge says what a process that does not answer is doing.
func (l *labour) judge(now time.Time) (cause, remedy string, busy bool) {
	state, used, err := mainThread(l.pid)
	before, first := l.used, l.since.IsZero()
	l.used = used
	if first {
		l.since = now
	}
	silent := now.Sub(l.since).Round(time.Second)
	switch {
	case l.pid == 0 || err != nil:
		return "ovs-vswitchd does not answer", "check that it runs and is not stopped, and see its log", false
	case state == "T" || state == "t":
		return fmt.Sprintf("ovs-vswitchd (process %d) was stopped by a signal", l.pid),
			fmt.Sprintf("let it go on with \"kill -CONT %d\", or restart Open vSwitch", l.pid), false
	case silent > longestWork:
		return fmt.Sprintf("ovs-vswitchd (process %d) has not answered for %v", l.pid, silent), "see its log, and restart Open vSwitch if that does not end", false
	case state == "R" || state == "D" || !first && used >= before+leastWork: // "R" waits for a processor, which a busy machine does not give it
		return fmt.Sprintf("ovs-vswitchd (process %d) is busy", l.pid), "wait until it has done what it was asked to do", true
	}
	return fmt.Sprintf("ovs-vswitchd (process %d) hangs: it neither answers nor works", l.pid), "see its log, and restart Open vSwitch if that does not end", false
}

// mainThread returns the state of a process's main thread and the time that it
// has had on a processor, in clock ticks (proc(5)).
func mainThread(pid int) (state string, used uint64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, pid))
	if err != nil {
		return "", 0, fmt.Errorf("read the state of the process %d: %w", pid, err)
	}
	// The name before it may have anything in it.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 13 {
		return "", 0, fmt.Errorf("read the state of the process %d: it has %d fields", pid, len(fields))
	}
	for _, field := range fields[11:13] { // utime and stime
		ticks, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return "", 0, fmt.Errorf("read the state of the process %d: %w", pid, err)
		}
		used += ticks
	}
	return fields[0], used, nil
}

// trouble says why something cannot be reached, and what to do.
type trouble struct{ cause, remedy string }

// dialVSwitchd connects to the control socket of the ovs-vswitchd that has its
// files in a directory.
func dialVSwitchd(ctx context.Context, runDir string) (*call, *trouble) {
	sockets, err := controlSockets(runDir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, &trouble{fmt.Sprintf("isonetd may not look into Open vSwitch's run directory %s", runDir), "let it: it must be able to use the sockets there"}
	case err != nil:
		return nil, &trouble{fmt.Sprintf("Open vSwitch's run directory %s is not there", runDir), startVSwitchd + elsewhere}
	}
	denied := ""
	for _, socket := range sockets {
		c, err := dialControl(ctx, socket)
		switch {
		case errors.Is(err, syscall.EAGAIN): // those who wait for it to answer fill its queue
			return nil, &trouble{"ovs-vswitchd does not answer", "check that it is not stopped, and see its log"}
		case errors.Is(err, fs.ErrPermission):
			denied = socket
		case err != nil:
		case strings.Contains(filepath.Base(socket), "vswitchd") || c.program() == "ovs-vswitchd":
			return c, nil // even if it does not answer: nobody else listens there
		default:
			c.close()
		}
	}
	if denied != "" {
		return nil, &trouble{fmt.Sprintf("isonetd may not use ovs-vswitchd's control socket %s", denied), "run isonetd as a user who may, such as root"}
	}
	return nil, &trouble{fmt.Sprintf("ovs-vswitchd does not run: nobody answers at its control socket in %s", runDir), startVSwitchd + elsewhere}
}

// controlSockets returns the control sockets in a directory, that of the process
// in ovs-vswitchd's pid file first. Others count as well, because the file is an
// option of ovs-vswitchd's; their names or answers say whose they are.
func controlSockets(runDir string) ([]string, error) {
	if _, err := os.ReadDir(runDir); err != nil {
		return nil, fmt.Errorf("look for ovs-vswitchd's control socket: %w", err)
	}
	sockets, err := filepath.Glob(filepath.Join(runDir, "*.ctl"))
	if err != nil {
		return nil, fmt.Errorf("look for ovs-vswitchd's control socket: %w", err)
	}
	if pid, err := os.ReadFile(filepath.Join(runDir, "ovs-vswitchd.pid")); err == nil {
		first := filepath.Join(runDir, fmt.Sprintf("ovs-vswitchd.%s.ctl", strings.TrimSpace(string(pid))))
		sockets = slices.DeleteFunc(sockets, func(s string) bool { return s == first })
		sockets = append([]string{first}, sockets...)
	}
	return sockets, nil
}

// call is a connection to a control socket.
type call struct {
	conn   net.Conn
	reader *json.Decoder
	asked  int
	// pid is the process at the other end; 0 is unknown.
	pid int
	// version is what ovs-vswitchd says; "" before it was asked.
	version string
}

// errRefused says that a program does not know a command, or not yet.
var errRefused = errors.New("it was refused")

func dialControl(ctx context.Context, socket string) (*call, error) {
	dialer := net.Dialer{Timeout: callTimeout}
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", socket, err)
	}
	return &call{conn: conn, reader: json.NewDecoder(bufio.NewReader(conn)), pid: peer(conn)}, nil
}

// peer returns the process that listens at the other end of a connection; 0 when
// it is in another PID namespace.
func peer(conn net.Conn) int {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// program returns the name of the program that answers; "" if none does in time.
func (c *call) program() string {
	_ = c.conn.SetDeadline(time.Now().Add(callTimeout))
	defer c.conn.SetDeadline(time.Time{}) //nolint:errcheck // of a connection that ends, which the next question finds
	text, err := c.ask("version")
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(text, " ")
	return name
}

// answer is what ovs-vswitchd says of itself.
type answer struct {
	version string
	// datapaths are the threads of each datapath that handle what it does not know,
	// by its name, such as system@ovs-system.
	datapaths map[string]int
	err       error
}

// question asks for an answer, and waits for it.
func (c *call) question() answer {
	if c.version == "" {
		text, err := c.ask("version")
		if err != nil {
			return answer{err: err}
		}
		c.version = versionOf(text)
	}
	text, err := c.ask("upcall/show")
	return answer{c.version, threadsOf(text), err}
}

// versionOf reads the answer to version: "ovs-vswitchd (Open vSwitch) 3.1.0", and
// what others add in lines of their own.
func versionOf(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	if i := strings.LastIndexByte(first, ' '); i >= 0 {
		return first[i+1:]
	}
	return first
}

// threadsOf counts the threads of each datapath in the answer to upcall/show
// (upcall_unixctl_show in ofproto/ofproto-dpif-upcall.c), which is the same from
// Open vSwitch 2.17 to 4.0:
//
//	system@ovs-system:
//	  flows         : (current 0) (avg 0) (max 0) (limit 10000)
//	  dump duration : 1ms
//	  ufid enabled : true
//
//	  12: (keys 0)
//
// The last kind of line is there for each revalidator. Those are started with the
// threads that handle frames, and with what lets the userspace datapath handle
// them itself, or not at all (udpif_start_threads).
func threadsOf(text string) map[string]int {
	threads := map[string]int{}
	datapath := ""
	for line := range strings.Lines(text) {
		switch line = strings.TrimRight(line, "\n"); {
		case strings.Contains(line, ": (keys "):
			threads[datapath]++
		case strings.HasSuffix(line, ":") && !strings.HasPrefix(line, " "):
			datapath = strings.TrimSuffix(line, ":")
			threads[datapath] = 0
		}
	}
	return threads
}

// ask runs a command of ovs-appctl(8) and returns its output.
func (c *call) ask(command string) (string, error) {
	c.asked++
	if _, err := fmt.Fprintf(c.conn, `{"id":%d,"method":%q,"params":[]}`, c.asked, command); err != nil {
		return "", fmt.Errorf("ask %s: %w", command, err)
	}
	var reply struct {
		Result *string
		Error  any
	}
	if err := c.reader.Decode(&reply); err != nil {
		return "", fmt.Errorf("ask %s: %w", command, err)
	}
	if reply.Result == nil {
		return "", fmt.Errorf("ask %s: %w: %v", command, errRefused, reply.Error)
	}
	return *reply.Result, nil
}

func (c *call) close() { _ = c.conn.Close() }
