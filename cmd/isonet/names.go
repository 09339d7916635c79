package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hbollon/go-edlib"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/wire"
)

// mostSuggestions bounds how many names a message suggests.
const mostSuggestions = 3

// unknownNames says that nothing has the names, with those that were meant perhaps.
// NoSuch says what it is that there is none of, and seeIn the command that lists all.
func unknownNames(noSuch, seeIn string, known []string, names ...string) error {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = fmt.Sprintf("'%s'%s", name, didYouMean(near(name, known)))
	}
	return &unknownError{fmt.Sprintf("%s %s; see '%s'", noSuch, strings.Join(texts, ", "), seeIn)}
}

// unknownError says that a name names nothing.
type unknownError struct{ text string }

func (e *unknownError) Error() string { return e.text }

// didYouMean is a question for suggestions; empty without any.
func didYouMean(suggestions []string) string {
	most := len(suggestions) - 1
	if most < 0 {
		return ""
	}
	text := "'" + suggestions[most] + "'"
	if most > 0 {
		text = "'" + strings.Join(suggestions[:most], "', '") + "' or " + text
	}
	return fmt.Sprintf(" (did you mean %s?)", text)
}

// near returns the names that are the most like a word: those with few letters that are
// added, left out, changed or swapped, and those that begin with it. A short word may
// differ in one letter, and not in all of them.
func near(word string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	length := utf8.RuneCountInString(word)
	most := min(max(length/3, 1), length-1)
	var found []candidate
	for _, name := range names {
		a, b := strings.ToLower(word), strings.ToLower(name)
		if utf8.RuneCountInString(b)-length > most && !strings.HasPrefix(b, a) {
			continue // too long to be near, and costly to compare
		}
		d := edlib.OSADamerauLevenshteinDistance(a, b)
		if d <= most || (length > 1 && strings.HasPrefix(b, a)) {
			found = append(found, candidate{name, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Or(a.distance-b.distance, strings.Compare(a.name, b.name)) })
	var list []string
	for _, c := range found[:min(len(found), mostSuggestions)] {
		list = append(list, c.name)
	}
	return list
}

// absent says that a name is not among those of the daemon's host. What is wrong with
// it, session.named finds out.
type absent struct {
	kind, name string
	err        error
}

func (e *absent) Error() string { return e.err.Error() }
func (e *absent) Unwrap() error { return e.err }

// The kinds of what can be absent.
const (
	aNetwork = "network"
	aDevice  = "device"
)

// ifAbsent marks a refusal of the daemon that says that what is named does not exist.
func ifAbsent(kind, name string, err error) error {
	if fault, ok := errors.AsType[*client.Fault](err); ok && fault.Status == http.StatusNotFound {
		return &absent{kind, name, err}
	}
	return err
}

// named tells what is wrong with a name that the host does not have: that
// nothing has it, or what to do first.
func (s session) named(ctx context.Context, err error) error {
	missing, ok := errors.AsType[*absent](err)
	if !ok {
		return err
	}
	status, failed := s.Status(ctx)
	if failed != nil {
		return err
	}
	if missing.kind == aDevice {
		return unknownNames("the host guard is on no device that left the networks and is called", "isonet guard list", status.LeftGuarded, missing.name)
	}
	networks, failed := s.Networks(ctx)
	if failed != nil {
		return err
	}
	found, unknown := resolve(networks, []string{missing.name})
	switch {
	case unknown != nil:
		return unknown
	case slices.ContainsFunc(status.Networks, func(n wire.NetworkStatus) bool { return n.ID == found[0].ID }):
		return err
	}
	if s.host.ID != "" {
		return fmt.Errorf("network '%[1]s' is not attached to the host '%[2]s'; attach it: isonet attach '%[1]s' --host '%[2]s'", found[0].Name, s.host.Name)
	}
	return fmt.Errorf("network '%[1]s' is not attached to this host; attach it: isonet attach '%[1]s'", found[0].Name)
}
