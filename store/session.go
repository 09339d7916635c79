package store

import (
	"time"

	"github.com/isonet/isonet/ovsdb"
)

// leaderTimeout is how long the leader of a cluster may be silent. Each second it is asked for a
// sign of life: one that hangs is given up after 3 seconds, as others can take its place.
const leaderTimeout = 2 * time.Second

// session describes a session with a store that others run: with the leader of several servers,
// because only there a writer sees at once what it has written.
func (c Config) session() ovsdb.Config {
	cfg := ovsdb.Config{Endpoints: c.Endpoints, Member: ovsdb.Connected, TLS: c.TLS, Logger: c.Logger}
	if len(c.Endpoints) > 1 {
		cfg.Member, cfg.ProbeTimeout = ovsdb.Leader, leaderTimeout
	}
	return cfg
}
