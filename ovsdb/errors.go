package ovsdb

import (
	"errors"
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

var (
	// ErrLost says that a session ended because the server went away or
	// stopped answering.
	ErrLost = errors.New("session with the OVSDB server lost")
	// ErrStale says that a wait operation found the database changed since the
	// transaction was computed. Nothing was written: compute it again.
	ErrStale = errors.New("database changed since the transaction was computed")
	// ErrNotOwner says that another session has the lock. Nothing was written.
	ErrNotOwner = errors.New("another session has the lock of the OVSDB server")
	// ErrNoDatabase says that the server answers but does not have the
	// database.
	ErrNoDatabase = errors.New("the OVSDB server has no such database")
	// ErrIO says that the server could not write to its disk, for example because
	// it is full. Nothing was written.
	ErrIO = errors.New("the OVSDB server cannot write to its disk")
	// ErrForbidden says that the certificate of this client does not have the right
	// to do that (role-based access control, ovsdb-server(7)). Nothing was written.
	ErrForbidden = errors.New("the OVSDB server does not allow that to this client's certificate")
)

// Error is what the server said of a transaction that it refused. Nothing of
// the transaction was written.
type Error struct {
	// Class is the error string of RFC 7047 section 3.1, such as
	// "constraint violation".
	Class string
	// Details is the server's explanation; it may be empty.
	Details string
	// Op is the index of the operation that failed. It is len(operations) when
	// all of them succeeded and the commit did not (RFC 7047 section 4.1.3).
	Op int
}

// Error returns class and details.
func (e *Error) Error() string {
	if e.Details == "" {
		return fmt.Sprintf("the OVSDB server refused the transaction: %s", e.Class)
	}
	return fmt.Sprintf("the OVSDB server refused the transaction: %s: %s", e.Class, e.Details)
}

// Is makes a timed-out wait an ErrStale: isonet's waits have a timeout of 0,
// so the only thing that can time out is a guard. A failed assertion is an
// ErrNotOwner. An I/O error (RFC 7047 section 3.1) is an ErrIO, and a permission
// error, which ovsdb-server adds to the RFC, an ErrForbidden.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrStale:
		return e.Class == "timed out"
	case ErrNotOwner:
		return e.Class == "not owner"
	case ErrIO:
		return e.Class == "I/O error"
	case ErrForbidden:
		return e.Class == "permission error"
	}
	return false
}

// check finds the first error among the results, which may have one element
// more than there were operations.
func check(results []ovsdb.OperationResult, operations int) error {
	for i, r := range results {
		if r.Error != "" {
			return &Error{Class: r.Error, Details: r.Details, Op: i}
		}
	}
	if len(results) < operations {
		return fmt.Errorf("the OVSDB server answered %d of %d operations", len(results), operations)
	}
	return nil
}
