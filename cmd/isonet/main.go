// Isonet is the operators' command line of isonetd.
package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// defaultSocket is where isonetd listens unless its configuration says
// otherwise.
const defaultSocket = "/run/isonet/isonetd.sock"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], system{
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		terminal: isTerminal(os.Stderr),
		socket:   cmp.Or(os.Getenv("ISONET_SOCKET"), defaultSocket),
		now:      time.Now,
	})
	stop()
	os.Exit(code)
}

// isTerminal is true for /dev/null too, where it does no harm.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
