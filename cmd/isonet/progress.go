package main

import (
	"context"
	"fmt"
	"io"

	"github.com/isonet/isonet/client"
)

// progress is a line on the terminal that is written over again and again. It
// writes nothing when stderr is not a terminal.
type progress struct {
	out io.Writer
}

func (a *app) progress() *progress {
	if !a.terminal {
		return &progress{out: io.Discard}
	}
	return &progress{out: a.stderr}
}

// The terminal control sequences (ECMA-48): back to the first column, erase to
// the end of the line.
const eraseLine = "\r\x1b[K"

func (p *progress) show(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, eraseLine+format, args...) // progress may get lost
}

func (p *progress) clear() {
	_, _ = io.WriteString(p.out, eraseLine) // progress may get lost
}

// follow shows how many networks are active until the returned function is
// called. That it cannot is no error: the progress is only a help.
func (a *app) follow(ctx context.Context, c *client.Client, p *progress) (stop func()) {
	if !a.terminal {
		return func() {}
	}
	p.show("waiting for Open vSwitch")
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s, err := range c.Watch(ctx) {
			if err != nil {
				return
			}
			active := 0
			for _, n := range s.Networks {
				if n.Active() {
					active++
				}
			}
			p.show("networks active: %d of %d", active, len(s.Networks))
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
