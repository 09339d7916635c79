package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Certificate is a certificate with its key, in two files. A renewed one is noticed by
// itself.
type Certificate struct {
	mu        sync.Mutex
	cert, key string
	pair      *tls.Certificate
	// read is how the files were when they were read last.
	read [2]fileState
}

// fileState tells a file from what it was before.
type fileState struct {
	size     int64
	modified time.Time
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}
	}
	return fileState{info.Size(), info.ModTime()}
}

func loadCertificate(cert, key string) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key}
	return c, c.load()
}

// load reads the files. What was read before stays when they cannot be.
func (c *Certificate) load() error {
	c.read = [2]fileState{stateOf(c.cert), stateOf(c.key)}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.pair = &pair
	return nil
}

// current returns the certificate, from its files if they have changed. While a new
// one cannot be read the one before it goes on, which is logged once.
func (c *Certificate) current(log *slog.Logger) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read != [2]fileState{stateOf(c.cert), stateOf(c.key)} {
		if err := c.load(); err != nil {
			log.Warn("cannot read the renewed certificate and go on with the one before: mend the files", "certificate", c.cert, "key", c.key, "error", err)
		} else {
			log.Info("the certificate was renewed", "certificate", c.cert, "until", c.pair.Leaf.NotAfter)
		}
	}
	return c.pair
}

// expiries returns until when certificates are valid, without those that are nil.
func expiries(certificates map[string]*Certificate, log *slog.Logger) map[string]time.Time {
	until := map[string]time.Time{}
	for name, c := range certificates {
		if c != nil {
			until[name] = c.current(log).Leaf.NotAfter
		}
	}
	return until
}

// become takes the files of another certificate.
func (c *Certificate) become(other *Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cert, c.key, c.pair, c.read = other.cert, other.key, other.pair, other.read
}

// server returns the TLS of a listener with the certificate.
func (c *Certificate) server(log *slog.Logger) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(log), nil },
	}
}

// client returns the TLS of a client with the certificate, for servers of a CA. It is
// nil for no certificate.
func (c *Certificate) client(ca *x509.CertPool, log *slog.Logger) *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: ca,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.current(log), nil },
	}
}

// suites returns the cipher suites of TLS 1.2 but for those of CBC, whose padding has
// been attacked again and again. Those of TLS 1.3 are all good.
func suites() []uint16 {
	var ids []uint16
	for _, s := range tls.CipherSuites() {
		if !strings.Contains(s.Name, "_CBC_") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
