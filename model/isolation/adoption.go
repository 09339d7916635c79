package isolation

import (
	"fmt"
	"strings"
	"time"

	"github.com/isonet/isonet/model/plan"
)

// Objections says why a bridge that isonet did not make must not become a
// network's: what breaks the isolation, what is not known for sure, and what
// would disturb those who use the bridge. Each has its evidence and what to do.
// No grace time is given: who asks can ask again.
//
// Link-local addresses of ports are no objection, because the host guard removes
// them.
func Objections(in Input) []string {
	in.Age = func(Unclear) time.Duration { return Grace }
	in.guarded = true
	v := Judge(in)
	var list []string
	for _, f := range v.Findings {
		switch {
		case f.Reason == LocalUp:
			list = append(list, fmt.Sprintf("%s (%s), and the host would be cut off: 'ip link set %s down'", f.Detail, f.Reason, f.Bridge))
		case !f.Notice && !plan.Harmless(plan.Column(f.Column)):
			list = append(list, f.objection())
		}
	}
	for _, p := range v.Pending {
		list = append(list, fmt.Sprintf("port '%s': too little is known of it: try again, or unplug it ('ovs-vsctl del-port %s %s')", p.Port, in.Bridge.Name, p.Port))
	}
	return append(list, plan.Disturbances(in.Network, in.Bridge, in.DatapathType)...)
}

// objection tells a finding to who wants to adopt the bridge.
func (f Finding) objection() string {
	text := fmt.Sprintf("%s (%s)", f.Detail, f.Reason)
	switch f.Column {
	case "":
	case string(plan.FlowSamples):
		return text + ": remove these rows"
	default:
		return text + ": '" + f.reset() + "'"
	}
	e, _ := Find(f.Reason)
	text = fmt.Sprintf("port '%s': %s: ", f.Port, text)
	if e.Enforce != Report {
		text += fmt.Sprintf("unplug it ('ovs-vsctl del-port %s %s'). ", f.Bridge, f.Port)
	}
	return text + e.Remedy
}

// reset returns the command that puts a setting to what it must be.
func (f Finding) reset() string {
	column, key, _ := strings.Cut(f.Column, ":")
	switch {
	case strings.HasSuffix(f.Column, "_enable"):
		return fmt.Sprintf("ovs-vsctl set Bridge %s %s=false", f.Bridge, f.Column)
	case column == "lldp" || column == "bfd":
		return fmt.Sprintf("ovs-vsctl remove Interface %s %s enable", f.Interface, column)
	case column == "interfaces":
		return fmt.Sprintf("ovs-vsctl set Port %[1]s interfaces=$(ovs-vsctl get Interface %[1]s _uuid)", f.Bridge)
	case column == "lacp":
		return fmt.Sprintf("ovs-vsctl clear Port %s lacp", f.Port)
	case f.Interface != "":
		return fmt.Sprintf("ovs-vsctl clear Interface %s %s", f.Interface, column)
	case key != "":
		return fmt.Sprintf("ovs-vsctl remove Bridge %s %s %s", f.Bridge, column, key)
	}
	return fmt.Sprintf("ovs-vsctl clear Bridge %s %s", f.Bridge, column)
}
