package store

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// process is what the kernel tells of a process (proc_pid_status(5)).
type process struct {
	pid    int
	name   string
	state  string // its first letter is the code, such as T for stopped
	parent int
}

func processOf(pid int) (process, bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return process{}, false // it has ended
	}
	p := process{pid: pid}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			p.name = value
		case "State":
			p.state = value
		case "PPid":
			p.parent, _ = strconv.Atoi(value) // the kernel wrote it
		}
	}
	return p, true
}

// stopped says that a signal or a debugger has stopped it.
func (p process) stopped() bool {
	return strings.HasPrefix(p.state, "T") || strings.HasPrefix(p.state, "t")
}

// holders returns the processes that have a file open, as far as this process may
// see it, without this one.
func holders(path string) []process {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	var found []process
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != path {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err != nil || pid == os.Getpid() || len(found) > 0 && found[len(found)-1].pid == pid {
			continue
		}
		if p, there := processOf(pid); there {
			found = append(found, p)
		}
	}
	return found
}

// orphans says that those who hold a state directory are servers whose isonetd has
// ended: it would hold the directory too.
func orphans(holders []process) bool {
	return !slices.ContainsFunc(holders, func(p process) bool { return p.name != serverName || p.parent == os.Getpid() })
}

// rouse lets the server of an isonetd that was killed end, if it was stopped: the
// signal to end waits for it, or it was about to heed it, and it holds the state
// directory.
func rouse(path string, log *slog.Logger) {
	all := holders(path)
	for _, p := range all {
		if !p.stopped() || !orphans(all) {
			continue
		}
		if err := syscall.Kill(p.pid, syscall.SIGCONT); err == nil {
			log.Warn("the ovsdb-server of an isonetd that has ended was stopped and is to end: it was continued", "pid", p.pid)
		}
	}
}

// inUse says who holds a state directory, and what to do.
func inUse(path, owner string) error {
	all := holders(path)
	if len(all) == 0 {
		return fmt.Errorf("the state directory is in use by another isonetd or by its ovsdb-server (process %s): stop it, or use another directory", owner)
	}
	who := make([]string, len(all))
	for i, p := range all {
		who[i] = fmt.Sprintf("%s (process %d, %s)", p.name, p.pid, p.state)
	}
	todo := "stop it"
	if orphans(all) {
		todo = fmt.Sprintf("its isonetd has ended, so end it ('kill %d')", all[0].pid)
		if all[0].stopped() {
			todo = fmt.Sprintf("its isonetd has ended, so end it ('kill %[1]d' and 'kill -CONT %[1]d')", all[0].pid)
		}
	}
	return fmt.Errorf("the state directory is in use by %s: %s, or use another directory", strings.Join(who, " and "), todo)
}
