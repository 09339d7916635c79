package rest

import (
	"strconv"
	"time"

	"github.com/isonet/isonet/change"
)

// maxPatience bounds how long a client can make a write wait.
const maxPatience = time.Hour

// Seconds reads a query parameter that says how long to wait; 0 if it is not there.
func (c *Call) Seconds(name string) (time.Duration, error) {
	text := c.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 || seconds > int(maxPatience.Seconds()) {
		return 0, Refuse(ErrValue, "The value %q of %s is none: it is a number of seconds from 0 to %d.", text, name, int(maxPatience.Seconds()))
	}
	return time.Duration(seconds) * time.Second, nil
}

// Patience returns how long a write waits for Open vSwitch when the client says how
// many seconds; 0 is the default.
func Patience(seconds int) (time.Duration, error) {
	if seconds < 0 || seconds > int(maxPatience.Seconds()) {
		return 0, Refuse(ErrValue, "The connectivity_timeout must be from 0 (the default of %d) to %d seconds.",
			int(change.Timeout.Seconds()), int(maxPatience.Seconds()))
	}
	return time.Duration(seconds) * time.Second, nil
}
