package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/isonet/isonet/internal/statefile"
)

const (
	// Life is how long a certificate is valid, and authorityLife how long that of an
	// authority is.
	Life          = 90 * 24 * time.Hour
	authorityLife = 20 * 365 * 24 * time.Hour
	// skew is how much earlier than now a certificate begins: clocks differ.
	skew = 10 * time.Minute
	// leastPassphrase is how many bytes a passphrase has at least.
	leastPassphrase = 12
	// workFactor is the binary logarithm of what it costs to try a passphrase (scrypt's
	// N): about half a second and 128 MiB.
	workFactor = 17
	// maxFile bounds in bytes what is read of a file of certificates or keys.
	maxFile = 64 << 10
)

// ErrPassphrase says that a passphrase is not the one of the authorities' keys.
var ErrPassphrase = errors.New("the passphrase is wrong")

// Authorities are the two certificate authorities of a fleet, with their keys.
type Authorities struct {
	Servers, Hosts *Authority
}

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// The names of the authorities, and of their files.
const (
	serversName = "servers"
	hostsName   = "hosts"
	// keysName is the file of both keys, encrypted.
	keysName = "keys.age"
)

// Create makes the authorities of a new fleet in a directory that does not exist yet.
// Their keys are encrypted with the passphrase, which has at least 12 bytes (age,
// https://age-encryption.org/v1, so that "age --decrypt" reads them). A crash leaves
// the whole directory or none.
func Create(dir string, passphrase []byte, now time.Time) (*Authorities, error) {
	return create(dir, passphrase, now, workFactor)
}

func create(dir string, passphrase []byte, now time.Time, work int) (*Authorities, error) {
	if len(passphrase) < leastPassphrase {
		return nil, fmt.Errorf("the passphrase has %d bytes: use at least %d", len(passphrase), leastPassphrase)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s exists: a fleet has one pair of authorities; use another directory for another fleet", dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the authorities: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), ".new-authorities-")
	if err != nil {
		return nil, fmt.Errorf("make the directory of the authorities: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }() // nothing is there after the rename
	all := &Authorities{}
	var keys []byte
	for _, one := range all.byName() {
		if *one.authority, err = newAuthority("isonet fleet "+one.name, now); err != nil {
			return nil, err
		}
		key, err := MarshalKey((*one.authority).key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key...)
		if err := statefile.Replace(filepath.Join(fresh, one.name+".crt"), (*one.authority).PEM()); err != nil {
			return nil, fmt.Errorf("write the authority of the %s: %w", one.name, err)
		}
	}
	sealed, err := seal(keys, passphrase, work)
	if err != nil {
		return nil, fmt.Errorf("encrypt the keys of the authorities: %w", err)
	}
	if err := errors.Join(statefile.Replace(filepath.Join(fresh, keysName), sealed), os.Rename(fresh, dir), statefile.Flush(filepath.Dir(dir))); err != nil {
		return nil, fmt.Errorf("keep the authorities: %w", err)
	}
	return all, nil
}

// Open reads the authorities of a directory. The error is ErrPassphrase if the
// passphrase is not that of Create.
func Open(dir string, passphrase []byte) (*Authorities, error) {
	sealed, err := readFile(filepath.Join(dir, keysName))
	if err != nil {
		return nil, fmt.Errorf("read the keys of the authorities: %w", err)
	}
	keys, err := unseal(sealed, passphrase)
	if err != nil {
		return nil, fmt.Errorf("decrypt the keys of the authorities in %s: %w", dir, err)
	}
	all := &Authorities{}
	for _, one := range all.byName() {
		var b *pem.Block
		if b, keys = pem.Decode(keys); b == nil {
			return nil, fmt.Errorf("%s has no key of the authority of the %s", keysName, one.name)
		}
		if *one.authority, err = load(filepath.Join(dir, one.name+".crt"), pem.EncodeToMemory(b)); err != nil {
			return nil, fmt.Errorf("read the authority of the %s: %w", one.name, err)
		}
	}
	return all, nil
}

type named struct {
	name      string
	authority **Authority
}

func (a *Authorities) byName() []named {
	return []named{{serversName, &a.Servers}, {hostsName, &a.Hosts}}
}

func newAuthority(name string, now time.Time) (*Authority, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	id := make([]byte, 4) // tells the authorities of two fleets apart
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("make a name: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name + " " + hex.EncodeToString(id)},
		NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &Authority{key: key}
	a.certificate, err = sign(template, template, &key.PublicKey, key)
	return a, err
}

// seal encrypts a text with a passphrase.
func seal(text, passphrase []byte, work int) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(work)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

// unseal decrypts what seal encrypted.
func unseal(sealed, passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(workFactor)
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	var wrong *age.NoIdentityMatchError
	switch {
	case errors.As(err, &wrong):
		return nil, ErrPassphrase
	case err != nil:
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxFile))
}

// load reads the certificate that belongs to a key.
func load(path string, keyText []byte) (*Authority, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certificate, err := ParseCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, err := ParseKey(keyText)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(certificate.PublicKey) || !certificate.IsCA {
		return nil, fmt.Errorf("%s is not the certificate of the authority's key", path)
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// PEM returns the authority's certificate, by which others know what it signed.
func (a *Authority) PEM() []byte { return encodeCertificate(a.certificate) }

// Server signs a certificate for a server of the fleet, which it has as server and as
// client. The addresses are IP addresses and names of DNS under which others reach it.
func (a *Authority) Server(r *Request, now time.Time, addresses ...string) ([]byte, error) {
	template := leaf(r.Name, now, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	for _, address := range addresses {
		if ip := net.ParseIP(address); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, address)
		}
	}
	return a.issue(template, r)
}

// Host signs a certificate for the isonetd of a host, whose name is the host's
// system-id. It has it as a client: nobody takes it for a server.
func (a *Authority) Host(r *Request, now time.Time) ([]byte, error) {
	return a.issue(leaf(r.Name, now, x509.ExtKeyUsageClientAuth), r)
}

func leaf(name string, now time.Time, usages ...x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(Life),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usages,
	}
}

func (a *Authority) issue(template *x509.Certificate, r *Request) ([]byte, error) {
	certificate, err := sign(template, a.certificate, r.Key, a.key)
	if err != nil {
		return nil, err
	}
	return encodeCertificate(certificate), nil
}

// sign makes a certificate with a random serial number (RFC 5280 section 4.1.2.2).
func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1)) // not 0
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// Verify returns nil if the authority signed a certificate that is valid now, and is
// for clients.
func (a *Authority) Verify(certificate *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	_, err := certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

// Identity writes a key, its certificate and that of the authority as one text, which
// ovsdb-server and Go's TLS read.
func Identity(key *ecdsa.PrivateKey, certificate, authority []byte) ([]byte, error) {
	text, err := MarshalKey(key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(text, certificate, authority), nil
}

// NewKey makes a key (ECDSA on P-256).
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// Fingerprint is the SHA-256 of a public key in hexadecimal digits (RFC 7469 section
// 2.4 has the same in base64).
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// The types of PEM blocks (RFC 7468).
const (
	pemCertificate = "CERTIFICATE"
	pemRequest     = "CERTIFICATE REQUEST"
	pemKey         = "PRIVATE KEY"
)

func encodeCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})
}

// MarshalKey writes a key as PKCS #8 in PEM form, which ovsdb-server reads.
func MarshalKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

// block returns the one PEM block of a text, which is of a type.
func block(text []byte, kind string) ([]byte, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	b, rest := pem.Decode(text)
	if b == nil || b.Type != kind || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("it is not one PEM block of the type %s", kind)
	}
	return b.Bytes, nil
}

// ParseCertificate reads one certificate in PEM form.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	der, err := block(text, pemCertificate)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return certificate, nil
}

// ParseKey reads a key that MarshalKey wrote.
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	der, err := block(text, pemKey)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not one of ECDSA on P-256")
	}
	return key, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}
