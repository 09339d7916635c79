package rest

import (
	"time"

	"github.com/isonet/isonet/change"
)

// maxPatience bounds how long a client can make a write wait.
const maxPatience = time.Hour

// Patience returns how long a write waits for Open vSwitch when the client says how
// many seconds; 0 is the default.
func Patience(seconds int) (time.Duration, error) {
	if seconds < 0 || seconds > int(maxPatience.Seconds()) {
		return 0, Refuse(ErrValue, "The connectivity_timeout must be from 0 (the default of %d) to %d seconds.",
			int(change.Timeout.Seconds()), int(maxPatience.Seconds()))
	}
	return time.Duration(seconds) * time.Second, nil
}
