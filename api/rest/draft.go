package rest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/s2"
)

const (
	// partSize is how much of a reply goes to the client at once. The client has the server's
	// WriteTimeout to take it.
	partSize = 64 << 10
	// maxKept is how much memory a reply may take before it is sent. Lists are packed to less
	// than a tenth.
	maxKept = 16 << 20
)

// draft takes a document before the client does: the header of the reply has its length
// and its sum, and a document that cannot be made is a fault and no reply that breaks off.
type draft struct {
	hash   hash.Hash
	length int
	// kept is the document; nil if it is too long to keep.
	kept *kept
}

func newDraft() *draft { return &draft{hash: sha256.New(), kept: &kept{}} }

// draft makes a document in the form of the reply.
func (c *Call) draft(d Document) (*draft, error) {
	made := newDraft()
	return made, c.format.Write(made, d)
}

// Write takes more of the document. It does not fail.
func (d *draft) Write(p []byte) (int, error) {
	d.hash.Write(p)
	d.length += len(p)
	if d.kept != nil && d.kept.add(p) != nil {
		d.kept = nil
	}
	return len(p), nil
}

// sum tells one document from another.
func (d *draft) sum() [sha256.Size]byte { return [sha256.Size]byte(d.hash.Sum(nil)) }

var errTooLong = errors.New("the document is too long to keep")

// kept is a document in memory. Parts of a long one are packed: documents repeat
// themselves, so that this costs little time and makes them small.
type kept struct {
	packed [][]byte
	size   int // bytes of packed
	last   []byte
	buffer []byte // to pack into
}

// add adds text. It fails with errTooLong.
func (k *kept) add(text []byte) error {
	for len(text) > 0 {
		n := min(len(text), partSize-len(k.last))
		k.last, text = append(k.last, text[:n]...), text[n:]
		if len(k.last) == partSize {
			k.pack()
		}
		if k.size > maxKept {
			return errTooLong
		}
	}
	return nil
}

// pack packs the last part.
func (k *kept) pack() {
	if k.buffer == nil {
		k.buffer = make([]byte, s2.MaxEncodedLen(partSize))
	}
	part := bytes.Clone(s2.Encode(k.buffer, k.last))
	k.packed, k.size, k.last = append(k.packed, part), k.size+len(part), k.last[:0]
}

// writeTo writes the document.
func (k *kept) writeTo(w io.Writer) error {
	for _, part := range k.packed {
		text, err := s2.Decode(k.buffer, part)
		if err != nil {
			return fmt.Errorf("unpack a reply: %w", err)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	_, err := w.Write(k.last)
	return err
}
