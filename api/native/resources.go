package native

import (
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
)

// resources are isonet's own.
type resources struct {
	rest.Backend
	draft func() (*rest.Mux, *change.Draft)
}
