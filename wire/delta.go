package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Version is that of the form of isonet's own resources. It grows when a member
// goes or means something else. Members that are added do not change it.
const Version = 1

// Delta is a line of GET isonet/watch?deltas=true: the whole status, or what
// differs from the line before. The first line of a stream is whole, and a reader
// takes a later one that is as well.
type Delta struct {
	// Sequence counts the lines of a stream from 1, so that none is missed unseen.
	Sequence int64 `json:"sequence"`
	// Status is nil in a line that tells what differs.
	Status *Status `json:"status,omitempty"`
	// Changed are the members of the status beside networks that differ, by their
	// names. null says that one is absent.
	Changed map[string]json.RawMessage `json:"changed,omitempty"`
	// Networks are those that came or differ, each whole, and Gone the ids of those
	// that are there no more.
	Networks []NetworkStatus `json:"networks,omitempty"`
	Gone     []string        `json:"gone,omitempty"`
}

// ErrGap says that a line of a stream is missing: the stream has to begin again.
var ErrGap = errors.New("a line of the stream is missing")

// Deltas makes the lines of one stream. The zero value begins it.
type Deltas struct {
	sequence int64
	head     map[string]json.RawMessage
	networks map[string]NetworkStatus
}

// Next returns the line that tells a status, nil if it is the one before. Nobody
// changes the status afterwards. It fails for a value that JSON does not have.
func (d *Deltas) Next(s Status) ([]byte, error) {
	line := Delta{Sequence: d.sequence + 1, Changed: map[string]json.RawMessage{}}
	head, err := headOf(s)
	if err != nil {
		return nil, err
	}
	for name, value := range head {
		if !bytes.Equal(value, d.head[name]) {
			line.Changed[name] = value
		}
	}
	for name := range d.head {
		if _, still := head[name]; !still {
			line.Changed[name] = json.RawMessage("null")
		}
	}
	networks := make(map[string]NetworkStatus, len(s.Networks))
	for _, n := range s.Networks {
		networks[n.ID] = n
		if !reflect.DeepEqual(n, d.networks[n.ID]) { // a third of the time that JSON takes
			line.Networks = append(line.Networks, n)
		}
	}
	for id := range d.networks {
		if _, still := networks[id]; !still {
			line.Gone = append(line.Gone, id)
		}
	}
	switch {
	case d.sequence == 0:
		line = Delta{Sequence: 1, Status: &s}
	case len(line.Changed)+len(line.Networks)+len(line.Gone) == 0:
		return nil, nil
	}
	d.sequence, d.head, d.networks = line.Sequence, head, networks
	return json.Marshal(line)
}

// headOf returns the members of a status beside networks.
func headOf(s Status) (head map[string]json.RawMessage, err error) {
	s.Networks = nil
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(data, &head)
	delete(head, "networks")
	return head, err
}

// Replica makes statuses of the lines of one stream. The zero value awaits its
// beginning.
type Replica struct {
	sequence int64
	head     map[string]json.RawMessage
	networks []NetworkStatus
}

// Apply takes the next line and returns the status that it tells, in the order
// that isonetd has the networks in: by name. It changes no status that it
// returned before. It returns ErrGap if a line is missing, and another error for
// what is no line of a stream.
func (r *Replica) Apply(d Delta) (s Status, err error) {
	switch {
	case d.Status != nil:
		if r.head, err = headOf(*d.Status); err != nil {
			return Status{}, err
		}
		r.networks = d.Status.Networks
	case r.sequence == 0 || d.Sequence != r.sequence+1:
		return Status{}, fmt.Errorf("%w: number %d comes after number %d", ErrGap, d.Sequence, r.sequence)
	default:
		r.merge(d)
	}
	r.sequence = d.Sequence
	head, err := json.Marshal(r.head)
	if err != nil {
		return Status{}, err
	}
	err = json.Unmarshal(head, &s)
	s.Networks = r.networks
	return s, err
}

func (r *Replica) merge(d Delta) {
	for name, value := range d.Changed {
		r.head[name] = value // null leaves a member as in an empty status
	}
	replaced := make(map[string]bool, len(d.Networks)+len(d.Gone))
	for _, n := range d.Networks {
		replaced[n.ID] = true
	}
	for _, id := range d.Gone {
		replaced[id] = true
	}
	if len(replaced) == 0 {
		return
	}
	stay := slices.DeleteFunc(slices.Clone(r.networks), func(n NetworkStatus) bool { return replaced[n.ID] })
	r.networks = append(stay, d.Networks...)
	slices.SortFunc(r.networks, func(a, b NetworkStatus) int { return cmp.Compare(a.Name, b.Name) })
}
