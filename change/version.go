package change

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/isonet/isonet/model"
)

// Subject finds what a write is about: all that the write could overwrite, and
// nothing else. It fails when there is no such thing. nil is all of the desired
// state.
type Subject func(*model.Desired) (any, error)

// Version names the version that a desired state has of the subject. It is false
// when there is no such thing.
func (s Subject) Version(d *model.Desired) (version string, exists bool) {
	if s == nil {
		return strconv.FormatInt(d.Revision, 16), true
	}
	value, err := s(d)
	if err != nil {
		return "", false
	}
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // what it finds is strings and numbers
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), true
}

// Condition is what a write may overwrite: one of some versions of a subject.
type Condition struct {
	Subject  Subject
	Versions []string
}

// ErrOutdated says that a subject has none of the versions of a condition any
// more.
var ErrOutdated = errors.New("changed since it was read")

// check leaves what does not exist to the write.
func (c *Condition) check(d *model.Desired) error {
	if c == nil {
		return nil
	}
	d.RestsOnAll = true // on more than is written
	if version, exists := c.Subject.Version(d); exists && !slices.Contains(c.Versions, version) {
		return ErrOutdated
	}
	return nil
}
