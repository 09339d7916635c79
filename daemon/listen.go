package daemon

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"

	"github.com/isonet/isonet/api/rest"
)

const (
	socketUmask = 0o117 // leaves 0660: the owner and the group
	runDirMode  = 0o755 // the socket's own mode decides who may use it
	// scrapeTimeout bounds how long a slow reader of the metrics is served.
	scrapeTimeout = 30 * time.Second
	// scrapeHeaderBytes bounds the header of a scrape, which has some hundred.
	scrapeHeaderBytes = 16 << 10
	// maxConnections bounds the connections of each listener: all of them leave
	// file descriptors for Open vSwitch and the store under a limit of 1024,
	// and who fills one listener does not close the others. More connections
	// wait until one ends.
	maxConnections = 256
)

// listen opens the listeners that the configuration asks for.
func (d *Daemon) listen(cfg Config, metrics http.Handler, apiLog *slog.Logger) error {
	socket, err := listenUnix(cfg.Socket, cfg.SocketGID)
	if err != nil {
		return err
	}
	d.serve("socket", rest.NewServer(d.api.Local(), apiLog), netutil.LimitListener(peers{socket}, maxConnections))
	if cfg.Listen != "" {
		users, err := rest.LoadUsers(cfg.UsersFile, cfg.Readers...)
		if err != nil {
			return err
		}
		tcp, err := net.Listen("tcp", cfg.Listen)
		if err != nil {
			return fmt.Errorf("listen for the API: %w", err)
		}
		tcp = rest.NewGate(tcp)
		if cfg.TLS != nil {
			tcp = tls.NewListener(tcp, cfg.TLS.server(apiLog))
		} else {
			apiLog.Warn("the API is served over TCP without TLS: passwords cross the network in the clear", "listen", cfg.Listen)
		}
		d.serve("listen", rest.NewServer(d.api.Remote(users), apiLog), tcp)
	}
	if cfg.Metrics != "" {
		tcp, err := net.Listen("tcp", cfg.Metrics)
		if err != nil {
			return fmt.Errorf("listen for metrics: %w", err)
		}
		d.serveMetrics(metrics, netutil.LimitListener(tcp, maxConnections), cfg.MetricsWebConfig)
	}
	return nil
}

func (d *Daemon) serve(name string, server *http.Server, l net.Listener) {
	d.listeners = append(d.listeners, listener{name, server, l, func() error { return server.Serve(l) }})
}

// serveMetrics serves the metrics with what a web configuration file of the
// Prometheus exporters says of TLS and users; "" is no file.
func (d *Daemon) serveMetrics(metrics http.Handler, l net.Listener, webConfig string) {
	server := &http.Server{
		Handler: metrics, ReadTimeout: scrapeTimeout, WriteTimeout: scrapeTimeout, MaxHeaderBytes: scrapeHeaderBytes,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	flags := &web.FlagConfig{WebConfigFile: &webConfig}
	d.listeners = append(d.listeners, listener{"metrics", server, l, func() error {
		return web.Serve(l, server, flags, d.log.With("component", "metrics"))
	}})
}

// listenUnix opens a unix socket that its owner and group may use. A socket
// that nobody answers is a left-over of a crash and is replaced; anything else
// in its place is not. A gid of -1 leaves the group as it is.
func listenUnix(path string, gid int) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), runDirMode); err != nil {
		return nil, fmt.Errorf("make the directory of the API's socket: %w", err)
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("look at the API's socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is not a socket: remove it, or choose another --socket", path)
	default:
		if conn, err := net.Dial("unix", path); err == nil {
			_ = conn.Close() // it only had to be opened
			return nil, fmt.Errorf("another isonetd serves %s: stop it, or choose another --socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace the API's old socket: %w", err)
		}
	}
	// The mode must be right from the first moment, so it is the umask that
	// sets it. Nothing else of the process makes files yet.
	old := syscall.Umask(socketUmask)
	defer syscall.Umask(old)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the API: %w", err)
	}
	if gid == -1 {
		return l, nil
	}
	if err := os.Lchown(path, -1, gid); err != nil {
		return nil, errors.Join(fmt.Errorf("give the API's socket its socket-group "+
			"(systemd: SupplementaryGroups= with the group in a drop-in for isonetd.service): %w", err), l.Close())
	}
	return l, nil
}
