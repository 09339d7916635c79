package daemon

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/api/rest"
)

// api returns what the API has of the configuration.
func (c Config) api() api.Settings {
	return api.Settings{TokenTimeout: c.TokenTimeout, CA: c.CA, StrictDefault: c.StrictDefault}
}

// Check reports what Parse does not look at: the users.
func (c Config) Check() error {
	if c.Listen == "" {
		return nil
	}
	_, err := rest.LoadUsers(c.UsersFile, c.Readers...)
	return err
}

// Follow reads the configuration at each signal and makes it be in force, until ctx
// ends. With one that is wrong it goes on as before.
func (d *Daemon) Follow(ctx context.Context, reload <-chan os.Signal, read func() (Config, error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
		}
		d.notify.reloading()
		cfg, err := read()
		if err == nil {
			err = d.Reload(cfg)
		}
		if err != nil {
			d.log.Error("cannot reload the configuration and go on as before: mend it, and reload again", "error", err)
		}
		d.notify.reloaded()
	}
}

// Reload makes another configuration be in force as far as it can change while the
// daemon runs: users, certificates and what they may do, the default of networks, the
// log's level. It logs which other settings need a restart. An error changes nothing.
// Not more than one Reload may run at a time.
func (d *Daemon) Reload(cfg Config) error {
	restart := d.cfg.Options.restart(cfg.Options)
	var users *rest.Users
	if d.cfg.Listen != "" {
		path := cfg.UsersFile
		if path == "" { // checked with listen, which cannot change
			path, restart = d.cfg.UsersFile, append(restart, "users-file")
		}
		var err error
		if users, err = rest.LoadUsers(path, cfg.Readers...); err != nil {
			return fmt.Errorf("reload the configuration: %w", err)
		}
	}
	d.api.Reload(cfg.api(), users)
	d.cfg.UsersFile = cmp.Or(cfg.UsersFile, d.cfg.UsersFile)
	if d.cfg.TLS != nil && cfg.TLS != nil {
		d.cfg.TLS.become(cfg.TLS)
	}
	d.history.Rebound(cfg.History)
	d.cfg.LogLevel.Set(cfg.LogLevel.Level())
	d.log.Info("reloaded the configuration")
	if len(restart) > 0 {
		d.log.Warn("settings that cannot change while isonetd runs keep their values: restart isonetd", "settings", strings.Join(restart, ", "))
	}
	return nil
}
