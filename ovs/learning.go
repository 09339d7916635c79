package ovs

import (
	"maps"
	"slices"

	"github.com/isonet/isonet/ovs/openflow"
)

// learning follows how many addresses are remembered of each member.
type learning struct {
	// count is about how many there are: an address that moves to another member
	// is counted twice.
	count map[int]int
	// full are the members that are not learned of, unsure those that may have to
	// be among them, or not any more.
	full, unsure map[int]bool
}

func newLearning() learning {
	return learning{count: map[int]int{}, full: map[int]bool{}, unsure: map[int]bool{}}
}

// forget says that nothing is remembered any more.
func (l learning) forget() {
	clear(l.count)
	for port := range l.full {
		l.unsure[port] = true
	}
}

// happened takes what happened to a flow that was learned.
func (l learning) happened(event openflow.Event, f openflow.Flow) {
	if f.Table != openTable { // it has all of them
		return
	}
	port := learnedAt(f)
	switch event {
	case openflow.Added:
		l.count[port]++
	case openflow.Removed:
		l.count[port]--
	}
	if l.full[port] && l.count[port] < learnedAgain || !l.full[port] && l.count[port] >= learnedLimit {
		l.unsure[port] = true
	}
}

// settle finds out whether the members that it is unsure of are full.
func (l learning) settle(x *exchange) error {
	for _, port := range slices.Sorted(maps.Keys(l.unsure)) {
		err := x.ask(func(m openflow.Message) error {
			part, err := openflow.DecodePart(m)
			if err == nil {
				l.count[port], err = openflow.Count(part.Body)
			}
			return err
		}, nil, openflow.CountRequest(openTable, learnedCookie(port)))
		if err != nil {
			return err
		}
		switch n := l.count[port]; {
		case n >= learnedLimit:
			l.full[port] = true
		case n < learnedAgain:
			delete(l.full, port)
		}
		delete(l.unsure, port)
	}
	return nil
}
