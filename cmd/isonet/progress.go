package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// patience is after how long a command shows that it is at work.
const patience = time.Second

// progress is a line on the terminal that is written over again and again: what the
// command is at, and the daemon's own numbers.
type progress struct {
	out   io.Writer
	width int

	mu            sync.Mutex
	step, numbers string
	// due says that the command has lasted long enough, shown that the line stands
	// there, and hidden that something else is printed or asked.
	due, shown, hidden bool
}

// The terminal control sequences (ECMA-48): back to the first column, erase to
// the end of the line.
const eraseLine = "\r\x1b[K"

// say tells what the command is at. A nil progress tells nobody.
func (p *progress) say(format string, args ...any) {
	if p == nil {
		return
	}
	p.change(func() { p.step = fmt.Sprintf(format, args...) })
}

// change changes what is told and shows it.
func (p *progress) change(how func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how()
	if !p.due || p.hidden {
		return
	}
	text := p.step
	if p.numbers != "" {
		text += "; " + p.numbers
	}
	if p.width > 1 {
		text = ansi.Truncate(text, p.width-1, "…")
	}
	_, _ = io.WriteString(p.out, eraseLine+oneLine(text)) // progress may get lost
	p.shown = true
}

// hide takes the line away, so that something else can be printed, until show.
func (p *progress) hide() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		_, _ = io.WriteString(p.out, eraseLine) // progress may get lost
	}
	p.shown, p.hidden = false, true
}

// show lets the line come back.
func (p *progress) show() {
	if p != nil {
		p.change(func() { p.hidden = false })
	}
}

// track shows what the command is at and how far Open vSwitch is, as soon as it lasts,
// until the returned function is called. It shows nothing when standard error is no
// terminal. That it cannot is no error: it is only a help.
func (a *app) track(ctx context.Context, c *client.Client) (stop func()) {
	if !a.terminal {
		return func() {}
	}
	p := &progress{out: a.stderr, step: "waiting for isonetd"}
	p.width, _ = a.width()
	a.progress = p
	if ask := a.ask; ask != nil {
		a.ask = func(ctx context.Context, question string, secret bool) (string, error) {
			p.hide()
			defer p.show()
			return ask(ctx, question, secret)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(patience):
		}
		p.change(func() { p.due = true })
		for s, err := range c.Watch(ctx) {
			if err != nil {
				return
			}
			p.change(func() { p.numbers = stands(s.Progress) })
		}
	})
	return func() {
		cancel()
		working.Wait()
		p.hide()
		p.change(func() { p.due = false }) // an error that is told later does not bring it back
	}
}

// stands says how far Open vSwitch is; "" if it has nothing to do.
func stands(p wire.Progress) string {
	switch {
	case p.Made < p.Wanted:
		return fmt.Sprintf("bridges made: %d of %d", p.Made, p.Wanted)
	case p.Active < p.Wanted:
		return fmt.Sprintf("networks active: %d of %d", p.Active, p.Wanted)
	case p.Leaving > 0:
		return fmt.Sprintf("bridges to remove: %d", p.Leaving)
	}
	return ""
}
