package history

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// Bounds of what is told of one write.
const (
	maxText  = 2000        // characters
	maxBytes = 4 * maxText // of as many characters
	maxValue = 200         // characters of a value
)

// What becomes of objects.
const (
	Added   = "added"
	Removed = "removed"
	Updated = "updated"
)

// What is kept has the form in which the API tells it.
type (
	// Entry is one thing that was done.
	Entry = wire.HistoryEntry
	// Change is what a write did to one object.
	Change = wire.HistoryChange
	// Member is a member of an object that differs.
	Member = wire.HistoryMember
)

// words says a change in words.
func words(c Change) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q", c.Did, c.Kind, c.Name)
	for i, m := range c.Members {
		b.WriteString([]string{": ", ", "}[min(i, 1)])
		if c.Did == Updated {
			fmt.Fprintf(&b, "%s %q to %q", m.Name, m.Before, m.After)
		} else {
			fmt.Fprintf(&b, "%s %q", m.Name, m.Before+m.After)
		}
	}
	return b.String()
}

// Text says in one line what changes a write made, at most 2,000 characters of it.
func Text(changes ...Change) string {
	var b strings.Builder
	for i, c := range changes {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(words(c))
		if b.Len() > maxBytes {
			break // the rest is cut off
		}
	}
	return clip(b.String(), maxText)
}

// Changes returns what differs between two desired states, by kind and name.
func Changes(before, after *model.Desired) []Change {
	return slices.Concat(
		differ("network", before.Networks, after.Networks, networkMembers,
			func(_ *model.Desired, n model.Network) string { return n.Name }, before, after),
		differ("host", before.Hosts, after.Hosts, hostMembers,
			func(_ *model.Desired, h model.Host) string { return h.Name }, before, after),
		differ("attachment", before.Attachments, after.Attachments, attachmentMembers, func(d *model.Desired, a model.Attachment) string {
			return d.Networks[a.Network].Name + " on " + d.Hosts[a.Host].Name
		}, before, after),
	)
}

// differ compares the objects of one kind.
func differ[T any](
	kind string, was, is map[model.ID]T, members func(*model.Desired, T) map[string]string, name func(*model.Desired, T) string, before, after *model.Desired,
) []Change {
	var changes []Change
	add := func(c Change, old, fresh map[string]string) {
		if c.Members = membersOf(old, fresh); len(c.Members) > 0 || c.Did != Updated {
			c.Name = clip(c.Name, maxValue)
			changes = append(changes, c)
		}
	}
	for id, fresh := range is {
		c := Change{Kind: kind, Name: name(after, fresh), Did: Added}
		old, existed := was[id]
		switch {
		case !existed:
			add(c, nil, members(after, fresh))
		case !reflect.DeepEqual(old, fresh):
			c.Did, c.Name = Updated, name(before, old)
			add(c, members(before, old), members(after, fresh))
		}
	}
	for id, old := range was {
		if _, still := is[id]; !still {
			add(Change{Kind: kind, Name: name(before, old), Did: Removed}, members(before, old), nil)
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Did, b.Did)) })
	return changes
}

// membersOf returns the members that differ, by name.
func membersOf(before, after map[string]string) []Member {
	names := maps.Clone(before)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, after)
	var members []Member
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != after[name] {
			members = append(members, Member{Name: name, Before: clip(before[name], maxValue), After: clip(after[name], maxValue)})
		}
	}
	return members
}

// inner finds where a word begins in a name of Go.
var inner = regexp.MustCompile(`([a-z])([A-Z])|([A-Z])([A-Z][a-z])`)

// networkMembers are the fields of a network, under the names that the API has.
func networkMembers(_ *model.Desired, n model.Network) map[string]string {
	members := map[string]string{}
	for field, value := range reflect.ValueOf(n).Fields() {
		if field.Name != "ID" && field.Name != "Revision" && !value.IsZero() {
			members[strings.ToLower(inner.ReplaceAllString(field.Name, "${1}${3}_${2}${4}"))] = fmt.Sprint(value)
		}
	}
	return members
}

func hostMembers(d *model.Desired, h model.Host) map[string]string {
	names := func(ids []model.ID) string {
		var list []string
		for _, id := range ids {
			list = append(list, cmp.Or(d.Networks[id].Name, string(id)))
		}
		return strings.Join(list, ", ")
	}
	return map[string]string{
		"maintenance": flag(h.Maintenance), "decommissioned": flag(h.Decommissioned),
		"name": h.Name, "system_id": h.SystemID, "labels": strings.Join(h.Labels, ", "), "released": names(h.Released), "evicted": names(h.Evicted),
	}
}

// flag is nothing when it is not set, so that only what changes it tells of it.
func flag(set bool) string {
	if !set {
		return ""
	}
	return "true"
}

func attachmentMembers(_ *model.Desired, a model.Attachment) map[string]string {
	members := map[string]string{"adopts": a.Adopts}
	for name, value := range a.Properties {
		members["property "+name] = value
	}
	return members
}

// Clip shortens a value to as much of it as is told.
func Clip(value string) string { return clip(value, maxValue) }

// clip shortens a text to a number of characters.
func clip(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
