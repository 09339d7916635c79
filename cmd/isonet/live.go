package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

const topKeys = `Keys:
  q, Esc, Ctrl-C               end
  Up, Down, PgUp, PgDn         scroll by a line or a page
  Home, End                    the first and the last line
  < and >                      sort by the column before or after
  r                            turn the order round
  p                            show the ports, or do not
  /                            filter: a part of a network's name, or as --filter;
                               Enter takes it, empty shows all, Esc leaves it
  ?                            show the keys`

// live is top on a terminal. Bubble Tea draws it, and leaves the terminal as it was
// whatever ends it.
type live struct {
	*app
	ctx  context.Context
	from *client.Client
	topFlags
	list  *list[load]
	asked grid.Options
	// status is the newest one, and trouble why there is no newer one.
	status  wire.Status
	trouble string
	// lines are what is below the heading, the first of those shown is at offset.
	heading       string
	lines         []string
	width, height int
	offset        int
	// typing says that typed is being typed, which was refused for a reason.
	typing         bool
	typed, refused string
	help           bool
}

// looked is what came of a look at the daemon.
type looked struct {
	status wire.Status
	err    error
}

func (a *app) live(ctx context.Context, c *client.Client, s wire.Status, f topFlags, l *list[load], asked grid.Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := &live{app: a, ctx: ctx, from: c, topFlags: f, list: l, asked: asked, status: s}
	profile := colorprofile.ANSI
	if a.painter() == nil {
		profile = colorprofile.NoTTY
	}
	program := tea.NewProgram(m, tea.WithOutput(a.stdout), tea.WithoutSignalHandler(), tea.WithColorProfile(profile))
	// Its own WithContext closes the terminal while it is still read.
	defer context.AfterFunc(ctx, program.Quit)()
	_, err := program.Run()
	return err
}

// Init begins to look at the daemon.
func (m *live) Init() tea.Cmd { return m.next }

// next looks at the daemon after the interval.
func (m *live) next() tea.Msg {
	select {
	case <-m.ctx.Done():
		return nil
	case <-time.After(m.interval):
	}
	status, err := m.look(m.ctx, m.from)
	return looked{status, err}
}

// Update takes in what happened.
func (m *live) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case looked:
		m.trouble = ""
		if msg.err != nil {
			m.trouble = "isonet: " + oneLine(m.explain(msg.err))
		} else {
			m.status = msg.status
		}
		cmd = m.next
	case tea.PasteMsg:
		if m.typing {
			m.typed += oneLine(msg.Content)
		}
	case tea.KeyPressMsg:
		cmd = m.key(msg)
	}
	m.fill()
	return m, cmd
}

func (m *live) key(key tea.KeyPressMsg) tea.Cmd {
	if key.String() == "ctrl+c" {
		return tea.Quit
	}
	switch {
	case m.typing:
		m.typeFilter(key)
		return nil
	case m.help:
		m.help = false
		return nil
	}
	page := max(m.room()-1, 1)
	switch key.String() {
	case "q", "esc":
		return tea.Quit
	case "up", "k":
		m.offset--
	case "down", "j":
		m.offset++
	case "pgup":
		m.offset -= page
	case "pgdown", "space":
		m.offset += page
	case "home", "g":
		m.offset = 0
	case "end", "G":
		m.offset = len(m.lines)
	case "<", "left":
		m.sortBy(-1)
	case ">", "right":
		m.sortBy(1)
	case "r":
		sort, backwards := strings.CutPrefix(m.asked.Sort, "-")
		if !backwards {
			sort = "-" + sort
		}
		m.refused = m.ask(sort, m.asked.Filter)
	case "p":
		m.ports = !m.ports
	case "/":
		m.typing, m.typed, m.refused = true, "", ""
	case "?":
		m.help = true
	}
	return nil
}

// sortBy sorts by a column that is so many places from the present one.
func (m *live) sortBy(step int) {
	names := m.list.names()
	at := slices.Index(names, strings.ToLower(strings.TrimPrefix(m.asked.Sort, "-")))
	m.refused = m.ask(names[(at+step+len(names))%len(names)], m.asked.Filter)
}

// ask changes what is asked for, unless it is wrong: then it says what is.
func (m *live) ask(sort string, filter []string) (wrong string) {
	asked := m.asked
	asked.Sort, asked.Filter = sort, filter
	if err := m.list.prepare(asked); err != nil {
		return err.Error()
	}
	m.asked = asked
	return ""
}

// typeFilter takes a key while a filter is typed.
func (m *live) typeFilter(key tea.KeyPressMsg) {
	switch key.String() {
	case "esc":
		m.typing = false
	case "enter":
		var filter []string
		switch {
		case strings.ContainsAny(m.typed, "=<>~"):
			filter = []string{m.typed}
		case m.typed != "":
			filter = []string{"network~" + m.typed}
		}
		if m.refused = m.ask(m.asked.Sort, filter); m.refused == "" {
			m.typing, m.offset = false, 0
		}
		return
	case "backspace":
		letters := []rune(m.typed)
		m.typed = string(letters[:max(len(letters)-1, 0)])
	case "ctrl+u":
		m.typed = ""
	default:
		m.typed += oneLine(key.Text)
	}
	m.refused = ""
}

// fill makes the lines anew, and keeps the offset within them.
func (m *live) fill() {
	rows := withPorts(pickLoads(m.list, loads(m.status.Networks, m.ports)))
	m.heading, m.lines, _ = m.list.view.Lines(rows, m.width, m.painter())
	m.offset = max(min(m.offset, len(m.lines)-m.room()), 0)
}

// room is how many lines there are for rows: two are above the heading, one is below.
func (m *live) room() int { return max(m.height-4, 0) }

// View draws it all.
func (m *live) View() tea.View {
	head := cmp.Or(m.trouble, m.topHead(m.status))
	lines := []string{head, m.what(), m.heading}
	last := min(m.offset+m.room(), len(m.lines))
	below := fmt.Sprintf("%d-%d of %d  q end  < > r sort  p ports  / filter  ? keys", min(m.offset+1, last), last, len(m.lines))
	switch {
	case m.help:
		lines = append([]string{head, ""}, strings.Split(topKeys, "\n")...)
		below = "any key goes back"
	case m.typing:
		below = cmp.Or(m.refused, "filter: "+m.typed+"_")
	}
	if !m.help {
		lines = append(lines, m.lines[m.offset:last]...)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(min(len(lines), m.height-1), 0)], below)
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "…")
	}
	view := tea.NewView(strings.Join(lines, "\n"))
	view.AltScreen = true
	return view
}

// what says what is shown, and in which order.
func (m *live) what() string {
	if len(m.status.Networks) == 0 {
		return "no network is attached to this host"
	}
	column, backwards := strings.CutPrefix(m.asked.Sort, "-")
	text := "by " + column
	if backwards {
		text += ", backwards"
	}
	if len(m.asked.Filter) > 0 {
		text += "; only " + strings.Join(m.asked.Filter, ", ")
	}
	return oneLine(text)
}
