package ovsdb

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// ParseEndpoints reads a comma-separated list of OVSDB connection methods
// (ovsdb(7)): unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT.
func ParseEndpoints(text string) ([]string, error) {
	endpoints := strings.Split(text, ",")
	for _, e := range endpoints {
		kind, address, _ := strings.Cut(e, ":")
		switch kind {
		case "unix":
			if !filepath.IsAbs(address) {
				return nil, fmt.Errorf("OVSDB endpoint %q: a unix socket needs an absolute path, such as unix:/run/openvswitch/db.sock", e)
			}
		case "tcp", "ssl":
			if _, _, err := net.SplitHostPort(address); err != nil {
				return nil, fmt.Errorf("OVSDB endpoint %q: want %s:HOST:PORT: %w", e, kind, err)
			}
		default:
			return nil, fmt.Errorf("OVSDB endpoint %q: want unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT", e)
		}
	}
	return endpoints, nil
}
