package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/isonet/isonet/wire"
)

// changes tells in a line each what is different between two statuses. Of the
// first status, which has no before, it tells all.
func changes(before, now wire.Status, first bool) []string {
	var c changeLog
	switch {
	case now.Connected && (first || !before.Connected):
		c.say("Open vSwitch: connected, %s", kind(now))
	case !now.Connected && (first || before.Connected):
		c.say("Open vSwitch: NOT CONNECTED")
	}
	if now.LastError != before.LastError && now.LastError != "" {
		c.say("last error: %s", now.LastError)
	}
	if !first && now.Repairs > before.Repairs {
		c.say("put back what others had changed, %d in all", now.Repairs)
	}
	c.held(before.Held, now.Held)
	c.networks(before.Networks, now.Networks)
	return c
}

type changeLog []string

func (c *changeLog) say(format string, args ...any) {
	*c = append(*c, fmt.Sprintf(format, args...))
}

func (c *changeLog) held(before, now []wire.Held) {
	describe := func(h wire.Held) string { return strings.Join(h.Ports, ", ") }
	was, is := map[string]string{}, map[string]string{}
	for _, h := range before {
		was[h.Bridge] = describe(h)
	}
	for _, h := range now {
		is[h.Bridge] = describe(h)
		if ports, held := was[h.Bridge]; !held || ports != is[h.Bridge] {
			c.say("bridge %s: should go and stays while these ports are in use: %s", h.Bridge, is[h.Bridge])
		}
	}
	for _, h := range before {
		if _, held := is[h.Bridge]; !held {
			c.say("bridge %s: no longer held by ports", h.Bridge)
		}
	}
}

func (c *changeLog) networks(before, now []wire.NetworkStatus) {
	was := make(map[string]wire.NetworkStatus, len(before))
	for _, n := range before {
		was[n.ID] = n
	}
	for _, n := range now {
		old, known := was[n.ID]
		delete(was, n.ID)
		c.network(old, n, known)
	}
	for _, n := range before {
		if _, gone := was[n.ID]; gone {
			c.say("network '%s': gone from this host", n.Name)
		}
	}
}

func (c *changeLog) network(before, now wire.NetworkStatus, known bool) {
	say := func(format string, args ...any) {
		c.say("network '%s': %s", now.Name, fmt.Sprintf(format, args...))
	}
	if known && now.Name != before.Name {
		say("was called '%s'", before.Name)
	}
	if !known || now.State != before.State || now.Reason != before.Reason {
		if now.Reason == "" {
			say("%s", now.State)
		} else {
			say("%s: %s", now.State, now.Reason)
		}
	}
	learned := before.MTU.Actual == 0 && now.MTU.Actual == now.MTU.Wanted // of a bridge that came
	if known && now.MTU != before.MTU && !learned {
		say("mtu %s", mtuStatus(now.MTU))
	}
	if known && now.Cause != before.Cause {
		say("cause %s", cause(now.Cause))
	}
	portChanges(say, before.Ports, now.Ports)
}

func portChanges(say func(string, ...any), before, now []wire.Port) {
	was, is := portsByName(before), portsByName(now)
	for _, name := range slices.Sorted(maps.Keys(is)) {
		old, known := was[name]
		p := is[name]
		switch {
		case !known && p.VMID != "":
			say("port %s of VM %s plugged in, link %s", name, p.VMID, link(p))
		case !known:
			say("port %s plugged in, link %s", name, link(p))
		case p.Elsewhere && !old.Elsewhere:
			say("port %s moved to another network namespace", name)
		case link(old) != link(p):
			say("port %s link %s", name, link(p))
		}
		if known && old.MTU != p.MTU {
			say("port %s mtu %s", name, number(p.MTU))
		}
		if p.Error != old.Error && p.Error != "" {
			say("port %s error: %s", name, p.Error)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, there := is[name]; !there {
			say("port %s unplugged", name)
		}
	}
}

func portsByName(ports []wire.Port) map[string]wire.Port {
	byName := make(map[string]wire.Port, len(ports))
	for _, p := range ports {
		byName[p.Name] = p
	}
	return byName
}
