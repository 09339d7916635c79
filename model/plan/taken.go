package plan

import (
	"fmt"

	"github.com/isonet/isonet/model"
)

// Taken says what has a name on a host, so that no bridge can be made of that name. The
// zero value is nothing.
type Taken struct {
	// Bridge is the UUID of the row of a bridge, and Network the network whose bridge it
	// is; "" for somebody else's.
	Bridge  string
	Network model.ID
	// Device says that a network device of the host has the name, as its own or as an
	// altname.
	Device bool
	// Port is a port that has the name, or whose interface has it, and On the bridge
	// that it is on.
	Port, On string
}

// Refuses says why a network cannot have its bridge while its name is taken like that; ""
// if it can. A bridge that isonet did not make can be taken over by a permission.
func (t Taken) Refuses(n model.Network, permission Permission, permitted bool) string {
	switch {
	case t.Bridge != "":
		return t.forbids(n, permission, permitted)
	case t.Device:
		return fmt.Sprintf("a network device '%s' exists on the host: rename or remove it, or create the network again under another name", n.VdsmName)
	case t.Port != "":
		return fmt.Sprintf("the bridge '%s' has a port '%s': remove it ('ovs-vsctl del-port %s %s'), or create the network again under another name",
			t.On, t.Port, t.On, t.Port)
	}
	return ""
}

// taken returns what has a name.
func (a *Actual) taken(name string, holders map[string][]Holder) Taken {
	if b, there := a.Bridges[name]; there {
		return Taken{Bridge: b.UUID, Network: b.Network}
	}
	if a.Foreign(name) {
		return Taken{Device: true}
	}
	if has := holders[name]; len(has) > 0 {
		return Taken{Port: has[0].Port.Name, On: has[0].BridgeName}
	}
	return Taken{}
}

// Names returns all names that are taken. Those of devices that are left of bridges
// which were removed a moment ago are not.
func (a *Actual) Names() map[string]Taken {
	names, holders := map[string]Taken{}, a.holders()
	note := func(name string) {
		if t := a.taken(name, holders); t != (Taken{}) {
			names[name] = t
		}
	}
	for name := range a.Bridges {
		note(name)
	}
	for name := range holders {
		note(name)
	}
	for d := range a.Links.All() {
		for name := range d.names() {
			note(name)
		}
	}
	return names
}
