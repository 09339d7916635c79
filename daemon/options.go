package daemon

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/ovsdb"
)

// Options are the settings as an operator writes them, in the configuration
// file or as flags of the same names.
type Options struct {
	OVSDB         string `yaml:"ovsdb"`
	OVSRunDir     string `yaml:"ovs-rundir"`
	Store         string `yaml:"store"`
	StoreCA       string `yaml:"store-ca"`
	StoreCert     string `yaml:"store-cert"`
	StoreKey      string `yaml:"store-key"`
	StateDir      string `yaml:"state-dir"`
	Socket        string `yaml:"socket"`
	SocketGroup   string `yaml:"socket-group"`
	Listen        string `yaml:"listen"`
	UsersFile     string `yaml:"users-file"`
	Readers       string `yaml:"readers"`
	TokenTimeout  string `yaml:"token-timeout"`
	TLSCert       string `yaml:"tls-cert"`
	TLSKey        string `yaml:"tls-key"`
	TLSCA         string `yaml:"tls-ca"`
	MetricsListen string `yaml:"metrics-listen"`
	MetricsConfig string `yaml:"metrics-web-config"`
	MetricsPorts  string `yaml:"metrics-ports"`
	PortsInclude  string `yaml:"metrics-ports-include"`
	PortsExclude  string `yaml:"metrics-ports-exclude"`
	DatapathType  string `yaml:"datapath-type"`
	StrictDefault string `yaml:"strict-default"`
	HostGuard     string `yaml:"host-guard"`
	LogLevel      string `yaml:"log-level"`
	LogFormat     string `yaml:"log-format"`
}

// DefaultOptions returns the settings of a host where nothing is configured.
func DefaultOptions() Options {
	return Options{
		OVSDB:         "unix:/run/openvswitch/db.sock",
		StateDir:      "/var/lib/isonet",
		Socket:        "/run/isonet/isonetd.sock",
		TokenTimeout:  "8h",
		MetricsListen: "127.0.0.1:9475",
		MetricsPorts:  "false",
		DatapathType:  ovs.AutoDatapath,
		StrictDefault: "true",
		HostGuard:     hostGuardAuto,
		LogLevel:      "info",
		LogFormat:     "text",
	}
}

// ReadOptions reads a YAML file over the defaults in o. It refuses keys that do
// not exist, because a misspelt one would silently be a default.
func (o *Options) ReadOptions(r io.Reader) error {
	decoder := yaml.NewDecoder(r)
	decoder.KnownFields(true)
	if err := decoder.Decode(o); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the configuration: %w", err)
	}
	return nil
}

// Config is the typed configuration of a daemon.
type Config struct {
	OVSDB        []string
	OVSRunDir    string      // "" is found out
	Store        []string    // empty: a database of its own in StateDir
	StoreTLS     *tls.Config // for ssl endpoints of Store
	StateDir     string
	Socket       string
	SocketGID    int    // of Socket; -1 is the process's own
	Listen       string // "" is off
	UsersFile    string
	Readers      []string // those of UsersFile who may only read
	TokenTimeout time.Duration
	TLS          *tls.Config // of Listen; nil is off
	CA           []byte      // certificates by which clients trust Listen, in PEM form; nil is none
	Metrics      string      // "" is off
	// MetricsWebConfig is the file that says who may scrape, and with which
	// certificate; "" is everybody, without TLS.
	MetricsWebConfig string
	MetricsPorts     bool           // whether single ports have metrics
	MetricsInclude   *regexp.Regexp // of ports; nil is all
	MetricsExclude   *regexp.Regexp // of ports; nil is none
	DatapathType     string
	// StrictDefault says that a new network is strict unless its request says.
	StrictDefault bool
	HostGuardOff  bool
	LogLevel      slog.Level
	JSONLog       bool
}

// Parse checks the settings and reads the files that they name. Its error
// names every setting that is wrong.
func (o Options) Parse() (Config, error) {
	cfg := Config{
		OVSRunDir: o.OVSRunDir, StateDir: o.StateDir, Socket: o.Socket, Listen: o.Listen, UsersFile: o.UsersFile,
		Metrics: o.MetricsListen, DatapathType: o.DatapathType, HostGuardOff: o.HostGuard == hostGuardOff,
		JSONLog: o.LogFormat == "json",
	}
	var errs []error
	fail := func(setting string, err error) { errs = append(errs, fmt.Errorf("%s: %w", setting, err)) }
	var err error
	if cfg.OVSDB, err = ovsdb.ParseEndpoints(o.OVSDB); err != nil {
		fail("ovsdb", err)
	} else if usesTLS(cfg.OVSDB) {
		fail("ovsdb", errors.New("the host's own Open vSwitch is reached by unix:PATH or tcp:HOST:PORT, not by ssl"))
	}
	if o.Store != "" {
		if cfg.Store, err = ovsdb.ParseEndpoints(o.Store); err != nil {
			fail("store", err)
		}
	}
	if cfg.StoreTLS, err = o.storeTLS(cfg.Store); err != nil {
		fail("store", err)
	}
	if cfg.SocketGID, err = parseGroup(o.SocketGroup); err != nil {
		fail("socket-group", err)
	}
	if cfg.TLS, err = o.listenTLS(); err != nil {
		fail("tls-cert", err)
	}
	if cfg.CA, err = o.listenCA(); err != nil {
		fail("tls-ca", err)
	}
	if cfg.Readers, err = parseNames(o.Readers); err != nil {
		fail("readers", err)
	}
	if cfg.TokenTimeout, err = parseTokenTimeout(o.TokenTimeout); err != nil {
		fail("token-timeout", err)
	}
	if err := o.checkListeners(); err != nil {
		fail("listen", err)
	}
	if err := o.parseMetrics(&cfg); err != nil {
		errs = append(errs, err)
	}
	for _, path := range []struct{ setting, value string }{
		{"ovs-rundir", cmp.Or(o.OVSRunDir, "/")}, {"state-dir", o.StateDir}, {"socket", o.Socket},
	} {
		if !filepath.IsAbs(path.value) {
			fail(path.setting, fmt.Errorf("%q is not an absolute path", path.value))
		}
	}
	if o.DatapathType != ovs.AutoDatapath && o.DatapathType != plan.KernelDatapath && o.DatapathType != plan.UserspaceDatapath {
		fail("datapath-type", fmt.Errorf("%q is not auto, system or netdev", o.DatapathType))
	}
	if o.DatapathType == plan.KernelDatapath && !ovs.HasKernelDatapath() {
		fail("datapath-type", errors.New("the kernel of this host has no datapath of Open vSwitch: load its module (\"modprobe openvswitch\"), or use auto or netdev"))
	}
	if cfg.StrictDefault, err = strconv.ParseBool(o.StrictDefault); err != nil {
		fail("strict-default", fmt.Errorf("%q is not true or false", o.StrictDefault))
	}
	if o.HostGuard != hostGuardAuto && o.HostGuard != hostGuardOff {
		fail("host-guard", fmt.Errorf("%q is not auto or off", o.HostGuard))
	}
	if err := cfg.LogLevel.UnmarshalText([]byte(o.LogLevel)); err != nil {
		fail("log-level", fmt.Errorf("%q is not debug, info, warn or error", o.LogLevel))
	}
	if o.LogFormat != "text" && o.LogFormat != "json" {
		fail("log-format", fmt.Errorf("%q is not text or json", o.LogFormat))
	}
	return cfg, errors.Join(errs...)
}

func (o Options) checkListeners() error {
	if o.MetricsListen != "" {
		if _, _, err := net.SplitHostPort(o.MetricsListen); err != nil {
			return fmt.Errorf("metrics-listen: want HOST:PORT: %w", err)
		}
	}
	if o.Listen == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return fmt.Errorf("want HOST:PORT: %w", err)
	}
	if o.UsersFile == "" {
		return errors.New("users-file is needed with it: the API is not served over TCP without passwords")
	}
	return nil
}

func (o Options) listenTLS() (*tls.Config, error) {
	if o.TLSCert == "" && o.TLSKey == "" {
		return nil, nil //nolint:nilnil // no certificate, no TLS, no error
	}
	pair, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("load the certificate and tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// listenCA reads the certificates that everybody may fetch. It refuses a file
// with anything else in it, because that could be a key.
func (o Options) listenCA() ([]byte, error) {
	if o.TLSCA == "" {
		return nil, nil
	}
	rest, err := os.ReadFile(o.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificate: %w", err)
	}
	var certificates []byte
	for len(bytes.TrimSpace(rest)) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("%s is not in PEM form", o.TLSCA)
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s has a %s, and everybody may fetch the file: leave only certificates in it", o.TLSCA, block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("%s has a certificate that cannot be read: %w", o.TLSCA, err)
		}
		certificates = append(certificates, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if certificates == nil {
		return nil, fmt.Errorf("%s has no certificate", o.TLSCA)
	}
	return certificates, nil
}

// parseNames reads names with commas between them.
func parseNames(text string) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	names := strings.Split(text, ",")
	for i, name := range names {
		if names[i] = strings.TrimSpace(name); names[i] == "" {
			return nil, fmt.Errorf("%q has an empty name: put one comma between names", text)
		}
	}
	return names, nil
}

// parseGroup returns the id of a group, -1 for none.
func parseGroup(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("%w: make it with \"groupadd --system %s\", or name another", err, name)
	}
	return strconv.Atoi(group.Gid)
}

func parseTokenTimeout(text string) (time.Duration, error) {
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 || timeout > rest.MaxTokenLife {
		return 0, fmt.Errorf("%q is not a duration of more than 0 and at most %.0fh, such as 8h or 30m", text, rest.MaxTokenLife.Hours())
	}
	return timeout, nil
}

func usesTLS(endpoints []string) bool {
	return slices.ContainsFunc(endpoints, func(e string) bool { return strings.HasPrefix(e, "ssl:") })
}

func (o Options) storeTLS(endpoints []string) (*tls.Config, error) {
	if !usesTLS(endpoints) {
		return nil, nil //nolint:nilnil // no ssl endpoint, no TLS, no error
	}
	ca, err := os.ReadFile(o.StoreCA)
	if err != nil {
		return nil, fmt.Errorf("an ssl endpoint needs store-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("store-ca %s has no certificate in PEM form", o.StoreCA)
	}
	pair, err := tls.LoadX509KeyPair(o.StoreCert, o.StoreKey)
	if err != nil {
		return nil, fmt.Errorf("an ssl endpoint needs store-cert and store-key: %w", err)
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
