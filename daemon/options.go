package daemon

import (
	"bytes"
	"cmp"
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
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/internal/strictyaml"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/ovs"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/trust"
	"github.com/isonet/isonet/wire"
)

// Options are the settings as an operator writes them, in the configuration file or as
// flags of the same names. This is the one place of a setting: the comment is what the
// documents say of it and of those below it that have none, usage is what the flag
// says, live says that it can change while isonetd runs, and Parse checks it.
type Options struct {
	// The host's Open vSwitch database: unix:PATH or tcp:HOST:PORT.
	OVSDB string `yaml:"ovsdb" default:"unix:/run/openvswitch/db.sock" usage:"the host's Open vSwitch database: unix:PATH or tcp:HOST:PORT"`
	// The directory where ovs-vswitchd creates its sockets (OVS_RUNDIR), an absolute
	// path. Empty: the directory of the socket of ovsdb, or for tcp the one that Open
	// vSwitch's database has in external_ids:rundir, or /run/openvswitch.
	OVSRunDir string `yaml:"ovs-rundir" usage:"directory of ovs-vswitchd's sockets; empty is that of the socket of --ovsdb, else what its database tells"`
	// The server that has the desired state in the database Isolated_Networks:
	// unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT, or several servers of one cluster
	// with commas between them. Empty: isonetd runs its own ovsdb-server and keeps
	// the database in state-dir.
	Store string `yaml:"store" usage:"OVSDB server with the Isolated_Networks database, several of one cluster with commas; empty runs one on --state-dir"`
	// Servers by which this host follows what concerns it of the store: relays, or
	// members of its cluster, with commas between them. Empty: those of store. The
	// API of this host asks those of store.
	Relays string `yaml:"relays" usage:"OVSDB relays or members by which this host follows its part of --store, with commas; empty is those of --store"`
	// PEM files for a store on ssl: the CA that signs the servers' certificates, and
	// isonetd's own certificate and key. Such a store needs all three.
	StoreCA   string `yaml:"store-ca" usage:"PEM file with the CA of ssl: stores"`
	StoreCert string `yaml:"store-cert" usage:"PEM file with the certificate for ssl: stores"`
	StoreKey  string `yaml:"store-key" usage:"PEM file with the key of --store-cert"`
	// The servers to which the hosts of one store report how they stand, in the database
	// Isolated_Networks_Status: as for store, with commas between several, of which each
	// gets the reports of all hosts. With ssl the files of store are used. Empty: nothing
	// is known of other hosts. It needs store.
	FleetStatus string `yaml:"fleet-status" usage:"OVSDB servers with the Isolated_Networks_Status database, where hosts report, with commas; empty is none"`
	// Whether this isonetd runs on no host: without Open vSwitch it serves the API for all
	// hosts of store, from what they report to fleet-status, and exports metrics of the
	// fleet. It needs store.
	APIOnly string `yaml:"api-only" default:"false" usage:"serve the API for the hosts of --store, without a host here: true or false"`
	// URL under which other hosts reach the API of this isonetd: https://HOST:PORT. Empty:
	// the name of the machine with the port of listen, if that has a certificate and is
	// reached from elsewhere.
	APIURL string `yaml:"api-url" usage:"URL under which other hosts reach this API; empty is the machine's name and the port of --listen with TLS"`
	// The directory that "isonet host join" made, with the certificate of this machine:
	// isonetd renews it when a third of its life is left. An absolute path. Empty: the
	// certificates of store-cert are renewed by somebody else.
	FleetDir string `yaml:"fleet-dir" usage:"directory of 'isonet host join', whose certificate isonetd renews"`
	// The directory that "isonet cluster init" made, with the keys of the fleet's
	// authorities: isonetd lets machines join, and renews their certificates, over listen.
	// An absolute path. It needs tls-cert and ca-passphrase-file. Empty: it does not.
	CADir string `yaml:"ca-dir" usage:"directory of the fleet's authorities, to let machines join"`
	// File with the passphrase of the keys in ca-dir, in one line. With systemd a
	// credential: LoadCredential=ca:/root/ca-passphrase and
	// /run/credentials/isonetd.service/ca.
	CAPassphraseFile string `yaml:"ca-passphrase-file" usage:"file with the passphrase of the keys in --ca-dir"`
	// Directory of the store's own database, the history, the traffic totals, and what
	// isonetd remembers of bridges, ports and a shared store. An absolute path.
	StateDir string `yaml:"state-dir" default:"/var/lib/isonet" usage:"directory of the store's own database"`
	// Unix socket of the API, an absolute path. Users who may write to it may do
	// everything: its mode is 0660.
	Socket string `yaml:"socket" default:"/run/isonet/isonetd.sock" usage:"unix socket of the API, mode 0660"`
	// Group of the socket: its members may do everything. Empty: the group that
	// isonetd runs as, which is isonet where it runs as the service of its packages.
	SocketGroup string `yaml:"socket-group" usage:"group of --socket, which may do everything; empty is isonetd's own"`
	// HOST:PORT of the API over TCP; empty is off. It needs users-file.
	Listen string `yaml:"listen" usage:"HOST:PORT of the API, with passwords from --users-file"`
	// The users of the API over TCP: an htpasswd file with bcrypt hashes, created
	// with "htpasswd -cB FILE USER".
	UsersFile string `yaml:"users-file" usage:"users of --listen: an htpasswd file with bcrypt hashes" live:"yes"`
	// Users of users-file who may read everything and change nothing, with commas
	// between them. The others may do everything.
	Readers string `yaml:"readers" usage:"users of --users-file who may only read, with commas between them" live:"yes"`
	// How long the token of a login lives without being used: a duration such as 8h
	// or 30m, at most 720h. Any token expires after 720h, however much it is used.
	// Sessions by cookie live 30m, or as long as the client asks, and never longer than
	// tokens.
	TokenTimeout string `yaml:"token-timeout" default:"8h" usage:"how long a login token lives without being used" live:"yes"`
	// PEM files with the certificate and the key of listen. Without them passwords
	// cross the network in the clear.
	TLSCert string `yaml:"tls-cert" usage:"PEM file with the certificate of --listen" live:"yes"`
	TLSKey  string `yaml:"tls-key" usage:"PEM file with the key of --tls-cert" live:"yes"`
	// PEM file with the CA certificate with which clients verify tls-cert, or with
	// tls-cert itself if it is self-signed. Anybody may fetch it, where oVirt's
	// clients look for it and at /ca.crt. It must not contain a key.
	TLSCA string `yaml:"tls-ca" usage:"PEM file with the CA certificate that clients fetch to trust --tls-cert" live:"yes"`
	// HOST:PORT of the Prometheus metrics, at /metrics; "" is off.
	MetricsListen string `yaml:"metrics-listen" default:"127.0.0.1:9475" usage:"HOST:PORT of /metrics; empty is off"`
	// File with the TLS certificate and the users of metrics-listen, in the form that
	// all exporters of Prometheus share. isonetd reads it again for every scrape.
	// https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
	MetricsConfig string `yaml:"metrics-web-config" usage:"file with TLS and users of --metrics-listen, as Prometheus' exporters have it"`
	// Whether every port has metrics of its own, isonet_port_*: 11 to 13 series for each.
	MetricsPorts string `yaml:"metrics-ports" default:"false" usage:"whether every port has metrics of its own: true or false"`
	// Regular expressions (RE2) that select ports: they must match the whole name of
	// the port or of its network. Without include all are selected. Exclude takes
	// precedence.
	PortsInclude string `yaml:"metrics-ports-include" usage:"regular expression of the ports or networks whose ports have metrics; empty is all"`
	PortsExclude string `yaml:"metrics-ports-exclude" usage:"regular expression of the ports or networks whose ports have none"`
	// Datapath of the bridges: system (the kernel's), netdev (userspace), or auto,
	// which is system where the kernel has it.
	DatapathType string `yaml:"datapath-type" default:"auto" usage:"datapath of the bridges: auto, system or netdev"`
	// Whether a new network is strict unless its request says otherwise. A strict
	// network forwards between members only, so not even the first frame of a foreign
	// port passes. A network with the policy report is strict only on request, because
	// that policy keeps nothing out. So is a network that adopts a bridge. Existing
	// networks stay as they are.
	StrictDefault string `yaml:"strict-default" default:"true" usage:"whether a new network is strict unless its request says: true or false" live:"yes"`
	// Whether isonetd keeps VMs from the host's own network stack, with nftables and
	// with disable_ipv6 on their devices: auto or off. auto does it where it is
	// possible, and reports where it is not. It needs CAP_NET_ADMIN.
	HostGuard string `yaml:"host-guard" default:"auto" usage:"keep VMs from the host's network stack: auto or off"`
	// How many bytes of state-dir the history may have, which says who did what: at least
	// 1MiB, or 0 for no history. The units are KiB, MiB and GiB. With 0 isonetd writes and
	// shows nothing, and leaves the files of an earlier history alone.
	HistorySize string `yaml:"history-size" default:"16MiB" usage:"bytes of the history of who did what, such as 16MiB; 0 is no history" live:"yes"`
	// How old an entry of the history may be: a duration such as 720h, or 0 for any age.
	HistoryAge string `yaml:"history-age" default:"8760h" usage:"how old entries of the history may be, such as 720h; 0 is any age" live:"yes"`
	// debug, info, warn or error.
	LogLevel string `yaml:"log-level" default:"info" usage:"debug, info, warn or error" live:"yes"`
	// text or json.
	LogFormat string `yaml:"log-format" default:"text" usage:"text or json"`
}

// Visit calls f for each setting, with what the flag says of it.
func (o *Options) Visit(f func(name string, value *string, usage string)) {
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		f(tag.Get("yaml"), v.Field(i).Addr().Interface().(*string), tag.Get("usage"))
	}
}

// DefaultOptions returns the settings of a host where nothing is configured.
func DefaultOptions() Options {
	var o Options
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		v.Field(i).SetString(v.Type().Field(i).Tag.Get("default"))
	}
	return o
}

// ReadOptions reads a YAML file over the defaults in o. It refuses keys that do
// not exist, because a misspelt one would silently be a default. A key without a value
// is an empty one. What is wrong is told all at once, with its place in the file of
// that name.
func (o *Options) ReadOptions(name string, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	return strictyaml.Decode(name, data, o, nil)
}

// restart returns the settings that differ from those of another o and need a restart.
func (o Options) restart(other Options) []string {
	var names []string
	mine, others := reflect.ValueOf(o), reflect.ValueOf(other)
	for i := range mine.NumField() {
		if tag := mine.Type().Field(i).Tag; mine.Field(i).String() != others.Field(i).String() && tag.Get("live") == "" {
			names = append(names, tag.Get("yaml"))
		}
	}
	if (o.TLSCert == "") != (other.TLSCert == "") { // the listener speaks TLS or does not
		names = append(names, "tls-cert")
	}
	return names
}

// Config is the typed configuration of a daemon.
type Config struct {
	// Options are what the rest was parsed from.
	Options     Options
	OVSDB       []string
	OVSRunDir   string       // "" is found out
	Store       []string     // empty: a database of its own in StateDir
	Relays      []string     // empty: those of Store
	StoreCert   *Certificate // for ssl endpoints of Store and Relays; nil for none of them
	StoreCA     *x509.CertPool
	FleetStatus []string // where hosts report; empty is nowhere
	APIOnly     bool     // there is no host here
	APIURL      string   // where other hosts reach the API; "" is nowhere
	FleetDir    string   // "" is none
	// Authorities let machines join; nil is off. Fleet is what these are told.
	Authorities  *trust.Authorities
	Fleet        wire.Fleet
	StateDir     string
	Socket       string
	SocketGID    int    // of Socket; -1 is the process's own
	Listen       string // "" is off
	UsersFile    string
	Readers      []string // those of UsersFile who may only read
	TokenTimeout time.Duration
	TLS          *Certificate // of Listen; nil is off
	CA           []byte       // certificates by which clients trust Listen, in PEM form; nil is none
	Metrics      string       // "" is off
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
	History       history.Bounds
	LogLevel      *slog.LevelVar
	JSONLog       bool
}

// Parse checks the settings and reads the files that they name. Its error
// names every setting that is wrong.
func (o Options) Parse() (Config, error) {
	cfg := Config{
		Options: o, LogLevel: new(slog.LevelVar),
		OVSRunDir: o.OVSRunDir, FleetDir: o.FleetDir, StateDir: o.StateDir, Socket: o.Socket, Listen: o.Listen, UsersFile: o.UsersFile,
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
	if cfg.FleetStatus, err = o.fleetStatus(); err != nil {
		fail("fleet-status", err)
	}
	if cfg.APIOnly, err = o.apiOnly(); err != nil {
		fail("api-only", err)
	}
	if cfg.Relays, err = o.relays(); err != nil {
		fail("relays", err)
	}
	if cfg.StoreCert, cfg.StoreCA, err = o.storeTLS(slices.Concat(cfg.Store, cfg.Relays, cfg.FleetStatus)); err != nil {
		fail("store", err)
	}
	if cfg.APIURL, err = o.apiURL(); err != nil {
		fail("api-url", err)
	}
	if cfg.Authorities, cfg.Fleet, err = o.authorities(); err != nil {
		fail("ca-dir", err)
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
		{"ovs-rundir", cmp.Or(o.OVSRunDir, "/")}, {"state-dir", o.StateDir}, {"socket", o.Socket}, {"fleet-dir", cmp.Or(o.FleetDir, "/")},
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
	if cfg.History.Size, err = parseHistorySize(o.HistorySize); err != nil {
		fail("history-size", err)
	}
	if cfg.History.Age, err = time.ParseDuration(o.HistoryAge); err != nil || cfg.History.Age < 0 || cfg.History.Age%time.Second != 0 {
		fail("history-age", fmt.Errorf("%q is not a duration in whole seconds, such as 720h, or 0", o.HistoryAge))
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

func (o Options) listenTLS() (*Certificate, error) {
	if o.TLSCert == "" && o.TLSKey == "" {
		return nil, nil //nolint:nilnil // no certificate, no TLS, no error
	}
	c, err := loadCertificate(o.TLSCert, o.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("load the certificate and tls-key: %w", err)
	}
	return c, nil
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

// parseHistorySize reads a number of bytes, which may have a unit.
func parseHistorySize(text string) (int64, error) {
	number, unit := text, int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB"} {
		if n, has := strings.CutSuffix(text, suffix); has {
			number, unit = strings.TrimSpace(n), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > history.MaxSize/unit || n > 0 && n*unit < history.MinSize {
		return 0, fmt.Errorf("%q is not 0 and no number of bytes from %dMiB to %dGiB, such as 16MiB", text, history.MinSize>>20, int64(history.MaxSize)>>30)
	}
	return n * unit, nil
}

func usesTLS(endpoints []string) bool {
	return slices.ContainsFunc(endpoints, func(e string) bool { return strings.HasPrefix(e, "ssl:") })
}

func (o Options) storeTLS(endpoints []string) (*Certificate, *x509.CertPool, error) {
	if !usesTLS(endpoints) {
		return nil, nil, nil
	}
	ca, err := os.ReadFile(o.StoreCA)
	if err != nil {
		return nil, nil, fmt.Errorf("an ssl endpoint needs store-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, nil, fmt.Errorf("store-ca %s has no certificate in PEM form", o.StoreCA)
	}
	own, err := loadCertificate(o.StoreCert, o.StoreKey)
	if err != nil {
		return nil, nil, fmt.Errorf("an ssl endpoint needs store-cert and store-key: %w", err)
	}
	return own, pool, nil
}
