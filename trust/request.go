package trust

import (
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
	"regexp"
)

// Request is what somebody asks an authority for: a certificate of a name for a key.
type Request struct {
	Name string
	Key  *ecdsa.PublicKey
	// Fingerprint names the key: the SHA-256 of it in hexadecimal digits.
	Fingerprint string
}

// names are those of certificates: a system-id, an address. ovsdb-server compares them
// with columns of rows, and they get into logs.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// CheckName returns an error for a name that no certificate may have: 64 letters,
// digits and "._:-" (RFC 5280 appendix A.1 has the bound).
func CheckName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a certificate: use up to 64 letters, digits and any of \"._:-\"", name)
	}
	return nil
}

// NewRequest writes a request for a certificate of a name, signed by its key (PKCS #10,
// RFC 2986), in PEM form.
func NewRequest(name string, key *ecdsa.PrivateKey) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: der}), nil
}

// ParseRequest reads a request from a stranger. It takes nothing of it but the name and
// the key, and refuses what asks for more.
func ParseRequest(text []byte) (*Request, error) {
	der, err := block(text, pemRequest)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request is not signed by its key: %w", err)
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key of the request is not one of ECDSA on P-256")
	}
	if len(r.Subject.Names) != 1 || len(r.Extensions) > 0 {
		return nil, errors.New("the request must have a common name and nothing else")
	}
	if err := CheckName(r.Subject.CommonName); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(r.RawSubjectPublicKeyInfo)
	return &Request{Name: r.Subject.CommonName, Key: key, Fingerprint: hex.EncodeToString(sum[:])}, nil
}

// renewal sets what is signed for a renewal apart from all else that the key signs.
const renewal = "isonet renews a certificate\n"

// SignRenewal signs a request with the key of the certificate that it is to replace.
func SignRenewal(request []byte, old *ecdsa.PrivateKey) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(renewal), request...))
	signature, err := ecdsa.SignASN1(rand.Reader, old, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign the renewal: %w", err)
	}
	return signature, nil
}

// CheckRenewal returns nil if the key of a certificate signed a request.
func CheckRenewal(request, signature []byte, old *x509.Certificate) error {
	key, ok := old.PublicKey.(*ecdsa.PublicKey)
	sum := sha256.Sum256(append([]byte(renewal), request...))
	if !ok || !ecdsa.VerifyASN1(key, sum[:], signature) {
		return errors.New("the renewal is not signed by the key of the certificate")
	}
	return nil
}
