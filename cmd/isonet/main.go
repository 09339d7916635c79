// Isonet is the operators' command line of isonetd.
package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isonet/isonet/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], system{
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		terminal: isTerminal(os.Stderr),
		screen:   func() (rows, columns int, ok bool) { return screen(os.Stdout) },
		socket:   cmp.Or(os.Getenv("ISONET_SOCKET"), client.DefaultSocket),
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

// screen returns the size of a terminal.
func screen(f *os.File) (rows, columns int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, false
	}
	return int(size.Row), int(size.Col), true
}
