package change

import (
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// Others tells how the other hosts of a fleet are. Package fleet has the real one.
type Others interface {
	// Status returns what a host last reported, with its Member; false when nothing is
	// known of it. Its Host answers from that report.
	Status(host model.ID) (report.Status, bool)
	// Changed returns a channel that is closed when the answer for a host is another
	// one.
	Changed() <-chan struct{}
}
