package plan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/isonet/isonet/model"
)

// Plan is what to change so that a host has the networks it must have. One
// Plan becomes one OVSDB transaction.
type Plan struct {
	Create []Spec
	// Plug are ports to plug in again.
	Plug   []Plug
	Repair []Repair
	// Ports are what isolation asks for.
	Ports []PortChange
	MTU   []MTU
	// Protect are ports to isolate from each other, or not any more.
	Protect []Protect
	Delete  []Bridge
	// Adopt are bridges of others that become networks'. Each repair sets the
	// marks as well.
	Adopt []Repair
	// Release are bridges that are isonet's no longer.
	Release []Release
	// Conflicts are networks that cannot be made.
	Conflicts []Conflict
	// Held are bridges of networks that are no longer wanted but whose ports
	// are in use.
	Held []Held
}

// Empty reports whether there is nothing to change.
func (p Plan) Empty() bool {
	return len(p.Create)+len(p.Plug)+len(p.Repair)+len(p.Ports)+len(p.MTU)+len(p.Protect)+len(p.Delete)+len(p.Adopt)+len(p.Release) == 0
}

// String says in one line what the plan does.
func (p Plan) String() string {
	return fmt.Sprintf("create %d, plug %d, repair %d, isolate %d ports, set mtu %d, protect %d, delete %d, adopt %d, release %d",
		len(p.Create), len(p.Plug), len(p.Repair), len(p.Ports), len(p.MTU), len(p.Protect), len(p.Delete), len(p.Adopt), len(p.Release))
}

// Repair sets columns of a bridge, or of its local port and interface, that
// differ from the Spec.
type Repair struct {
	Spec Spec
	Have Bridge
	// Bridge, Port and Interface name the columns to set.
	Bridge, Port, Interface []Column
	// Silence are settings of ports and interfaces to put back.
	Silence []Setting
	// AddLocal says that the bridge lacks its local port.
	AddLocal bool
	// Elsewhere are the ports of other bridges that have the name of the local
	// port or its interface. They go when it is added.
	Elsewhere []Holder
	// Reset makes vswitchd take the bridge down and, after the next plan, up
	// again: see ResetDatapath.
	Reset bool
}

// Columns names all that the repair sets, for people.
func (r Repair) Columns() string {
	var columns []string
	add := func(prefix string, list ...Column) {
		for _, c := range list {
			columns = append(columns, prefix+string(c))
		}
	}
	add("", r.Bridge...)
	add("port:", r.Port...)
	add("interface:", r.Interface...)
	for _, d := range r.Silence {
		add(cmp.Or(d.Interface.Name, d.Port.Name)+":", d.Column)
	}
	if r.AddLocal {
		columns = append(columns, "local port")
	}
	return strings.Join(columns, ",")
}

// MTU requests a network's MTU from an interface that somebody plugged in.
type MTU struct {
	Bridge    string
	Interface Interface
	Bytes     int
}

// Plug plugs a port in again.
type Plug struct {
	Network model.ID
	Name    string // of the bridge
	Bridge  string // the UUID of its row; "" for one that the plan creates
	Port    Port
}

// Protect makes a port reach only those that are not protected, or all.
type Protect struct {
	Port Port
	On   bool
}

// Conflict says why a network cannot be made on this host.
type Conflict struct {
	Network model.Network
	Reason  string
}

// Held says which ports keep a bridge that should be removed.
type Held struct {
	Bridge    string
	NetworkID model.ID
	Ports     []string
}

// Problem says in what a network on this host is not as it must be.
type Problem struct {
	NetworkID model.ID
	Reason    string
	// Final says that OVS has tried and failed: waiting does not help.
	Final bool
}
