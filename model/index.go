package model

import (
	"maps"
	"slices"
	"strings"
)

// HostIndex finds the attachments of many hosts of a Desired. It looks once at all there
// is, where Desired.On does so for each host.
type HostIndex struct {
	desired *Desired
	// networks are all, by name. What follows has places in it.
	networks []Network
	explicit map[ID][]int     // by host
	labelled map[string][]int // by label
}

// NewHostIndex returns the index of a desired state that nobody changes.
func NewHostIndex(d *Desired) *HostIndex {
	x := &HostIndex{
		desired:  d,
		networks: slices.SortedFunc(maps.Values(d.Networks), func(a, b Network) int { return strings.Compare(a.Name, b.Name) }),
		explicit: map[ID][]int{}, labelled: map[string][]int{},
	}
	places := make(map[ID]int, len(x.networks))
	for i, n := range x.networks {
		places[n.ID] = i
		if n.Label != "" {
			x.labelled[n.Label] = append(x.labelled[n.Label], i)
		}
	}
	for _, a := range d.Attachments {
		if place, exists := places[a.Network]; exists {
			x.explicit[a.Host] = append(x.explicit[a.Host], place)
		}
	}
	return x
}

// On returns what Desired.On returns.
func (x *HostIndex) On(host ID) []Attachment {
	h, ok := x.desired.Hosts[host]
	if !ok {
		return nil
	}
	places := slices.Clone(x.explicit[host])
	for _, label := range h.Labels {
		places = append(places, x.labelled[label]...)
	}
	slices.Sort(places)
	var list []Attachment
	for _, place := range slices.Compact(places) {
		if a, ok := x.desired.attachment(h, x.networks[place]); ok {
			list = append(list, a)
		}
	}
	return list
}
