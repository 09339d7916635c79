package ovs

import (
	"path/filepath"
	"strings"
	"sync/atomic"
)

// defaultRunDir is where vswitchd makes its sockets as packages configure it.
const defaultRunDir = "/run/openvswitch"

// runDir is the directory where vswitchd makes its sockets (OVS_RUNDIR): the one
// that is configured, else that of its database's socket, else the one that its
// database tells (Open_vSwitch external_ids:rundir).
type runDir struct {
	known string // "" leaves it to the database
	told  atomic.Pointer[string]
}

func newRunDir(cfg Config) *runDir {
	r := &runDir{known: cfg.RunDir}
	for _, e := range cfg.Endpoints {
		if path, ok := strings.CutPrefix(e, "unix:"); ok && r.known == "" {
			r.known = filepath.Dir(path)
		}
	}
	return r
}

// tell takes what the database says of it.
func (r *runDir) tell(dir string) {
	if filepath.IsAbs(dir) {
		r.told.Store(&dir)
	}
}

func (r *runDir) path() string {
	if r.known != "" {
		return r.known
	}
	if told := r.told.Load(); told != nil {
		return *told
	}
	return defaultRunDir
}
