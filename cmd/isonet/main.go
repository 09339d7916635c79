// Isonet is the operators' command line of isonetd.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/isonet/isonet/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], system{
		stdin:     os.Stdin,
		stdout:    os.Stdout,
		stderr:    os.Stderr,
		terminal:  isTerminal(os.Stderr),
		screen:    func() (rows, columns int, ok bool) { return screen(os.Stdout) },
		ask:       asker(os.Stdin, os.Stderr),
		socket:    client.DefaultSocket,
		env:       os.Getenv,
		configDir: configDir(),
		now:       time.Now,
	})
	stop()
	os.Exit(code)
}

// configDir is empty where there is neither XDG_CONFIG_HOME nor HOME, as in a service.
func configDir() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return dir
}

// asker returns how to ask a question; nil if nobody is there to answer.
func asker(in, out *os.File) func(context.Context, string, bool) (string, error) {
	terminal := int(in.Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return nil
	}
	return func(ctx context.Context, question string, secret bool) (string, error) {
		if secret { // before the question: whoever answers fast is not to be seen either
			defer term.Restore(terminal, before) //nolint:errcheck // the answer is what counts
			if err := silence(terminal); err != nil {
				return "", err
			}
		}
		if _, err := fmt.Fprint(out, question); err != nil {
			return "", err
		}
		type typed struct {
			text string
			err  error
		}
		answered := make(chan typed, 1)
		go func() { // an interrupt does not end the reading
			// nor may it touch the terminal, which is restored meanwhile
			text, err := bufio.NewReader(in).ReadString('\n')
			answered <- typed{text, err}
		}()
		select {
		case answer := <-answered:
			if secret {
				_, _ = fmt.Fprintln(out) // the line end was not shown
				return strings.TrimRight(answer.text, "\r\n"), answer.err
			}
			return strings.TrimSpace(answer.text), answer.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// silence makes a terminal show nothing of what is typed.
func silence(terminal int) error {
	state, err := unix.IoctlGetTermios(terminal, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("hide what is typed: %w", err)
	}
	state.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(terminal, unix.TCSETS, state); err != nil {
		return fmt.Errorf("hide what is typed: %w", err)
	}
	return nil
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
