package fleet

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/isolation"
	"github.com/isonet/isonet/report"
)

// The bounds of a row. What is beyond them is left out, and that is told.
const (
	// maxText is how many bytes of a text are reported.
	maxText = 400
	// maxPorts is how many ports of a bridge are reported with their interfaces, those in
	// use first. An entry of Networks with that many has about 40 KB.
	maxPorts = 256
	// maxInterfaces is how many interfaces of a port are reported.
	maxInterfaces = 8
	// maxItems is how many findings and pending ports of a network, ports that are
	// not guarded, notices and other lists are reported.
	maxItems = 16
	// maxNames is how many bridges of others, and how many further names, are reported.
	maxNames = 4096
	// maxName is how long the name of a network's bridge can be, see model.VdsmName.
	maxName = 15
)

// details is the column of that name: of the host as a whole, for the API.
type details struct {
	Since      int64  `json:"since,omitempty"` // Unix milliseconds
	Reconnects uint64 `json:"reconnects,omitempty"`
	Repairs    uint64 `json:"repairs,omitempty"`
	Schema     string `json:"schema,omitempty"`   // of Open vSwitch's database
	Datapath   string `json:"datapath,omitempty"` // of new bridges
	// Lingering is how many devices are left of bridges that are gone.
	Lingering int     `json:"lingering,omitempty"`
	Guard     *guards `json:"guard,omitempty"`
	// Cut is how many entries of Foreign and of Names are left out.
	Cut int `json:"cut,omitempty"`
}

// guards is the host guard: nil before anybody looked.
type guards struct {
	Failed      string   `json:"failed,omitempty"`
	Unavailable string   `json:"unavailable,omitempty"`
	Limited     string   `json:"limited,omitempty"`
	Left        []string `json:"left,omitempty"`
}

// lacking is an element of the column missing.
type lacking struct {
	Ground string `json:"ground"`
	Since  int64  `json:"since,omitempty"` // Unix milliseconds
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	Busy   bool   `json:"busy,omitempty"`
}

// notice is an element of the column notices.
type notice struct {
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// network is an entry of the column networks.
type network struct {
	// Verdict is nil for a network that the host must not have, and for one that nobody
	// has looked at.
	Verdict *verdict `json:"verdict,omitempty"`
	Bridge  *bridge  `json:"bridge,omitempty"`
	// Held are the ports that keep the bridge of a network that should go.
	Held []string `json:"held,omitempty"`
	// Guarded says that the host guard looks after the network, Unguarded are its devices
	// that the guard is not on.
	Guarded   bool     `json:"guarded,omitempty"`
	Unguarded []string `json:"unguarded,omitempty"`
}

// verdict is a report.NetworkStatus.
type verdict struct {
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	Conflict  bool      `json:"conflict,omitempty"`
	Since     int64     `json:"since,omitempty"` // Unix milliseconds
	Strict    bool      `json:"strict,omitempty"`
	Isolation string    `json:"isolation,omitempty"`
	Unknown   string    `json:"unknown,omitempty"` // why the isolation is
	Contested bool      `json:"contested,omitempty"`
	Judged    int64     `json:"judged,omitempty"` // Unix milliseconds
	Findings  []finding `json:"findings,omitempty"`
	Pending   []string  `json:"pending,omitempty"` // ports
}

// finding is an isolation.Finding.
type finding struct {
	Reason      string `json:"reason"`
	Bridge      string `json:"bridge,omitempty"`
	Port        string `json:"port,omitempty"`
	Interface   string `json:"interface,omitempty"`
	Column      string `json:"column,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Action      string `json:"action,omitempty"`
	Quarantined bool   `json:"quarantined,omitempty"`
	Notice      bool   `json:"notice,omitempty"`
}

// bridge is a report.Bridge.
type bridge struct {
	UUID      string `json:"uuid"`
	Name      string `json:"name"`
	Datapath  string `json:"datapath,omitempty"`
	Strict    bool   `json:"strict,omitempty"`
	Made      bool   `json:"made,omitempty"`
	Unsettled bool   `json:"unsettled,omitempty"`
	MTU       int    `json:"mtu,omitempty"`
	Local     *port  `json:"local,omitempty"`
	Ports     []port `json:"ports,omitempty"`
	More      int    `json:"more,omitempty"`
}

// port is a report.Port.
type port struct {
	Name        string `json:"name"`
	VM          string `json:"vm,omitempty"`
	Live        bool   `json:"live,omitempty"`
	Stale       bool   `json:"stale,omitempty"`
	Quarantined bool   `json:"quarantined,omitempty"`
	Protected   bool   `json:"protected,omitempty"`
	// Interfaces are nil for one with the port's name and nothing else to tell.
	Interfaces []iface `json:"if,omitempty"`
}

// iface is a report.Interface; Name is "" for that of the port.
type iface struct {
	Name      string `json:"name,omitempty"`
	Type      string `json:"type,omitempty"`
	MTU       int    `json:"mtu,omitempty"`
	Up        bool   `json:"up,omitempty"`
	Failed    bool   `json:"failed,omitempty"`
	Error     string `json:"error,omitempty"`
	Elsewhere bool   `json:"elsewhere,omitempty"`
	MAC       string `json:"mac,omitempty"`
	VMID      string `json:"vm_id,omitempty"`
	IfaceID   string `json:"iface_id,omitempty"`
}

// taken is an entry of the column names: a device, or a port and the bridge that it is
// on.
type taken struct {
	Port string `json:"port,omitempty"`
	On   string `json:"on,omitempty"`
}

// text returns a text as it may stand in the database: OVSDB takes no NUL and nothing
// that is not UTF-8.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// texts returns the first few of a list.
func texts(list []string) []string {
	var few []string
	for _, s := range list[:min(len(list), maxItems)] {
		few = append(few, text(s))
	}
	return few
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}

// compact returns JSON; "" for an empty list.
func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // the types of this file have no values that cannot be written
	}
	return string(data)
}

func missingOf(list []report.Missing) string {
	if len(list) == 0 {
		return ""
	}
	var told []lacking
	for _, m := range list[:min(len(list), maxItems)] {
		told = append(told, lacking{string(m.Ground), millis(m.Since), text(m.Cause), text(m.Remedy), m.Busy})
	}
	return compact(told)
}

func noticesOf(list []report.Notice) string {
	if len(list) == 0 {
		return ""
	}
	var told []notice
	for _, n := range list[:min(len(list), maxItems)] {
		told = append(told, notice{text(n.Text), text(n.Remedy)})
	}
	return compact(told)
}

func verdictOf(s report.NetworkStatus) *verdict {
	i := s.Isolation
	v := &verdict{
		State: string(s.State), Reason: text(s.Reason), Conflict: s.Conflict, Since: millis(s.Since), Strict: s.Strict,
		Isolation: string(i.Verdict), Unknown: text(i.Reason), Contested: i.Contested, Judged: millis(i.Since),
	}
	for _, f := range i.Findings[:min(len(i.Findings), maxItems)] {
		v.Findings = append(v.Findings, finding{
			string(f.Reason), text(f.Bridge), text(f.Port), text(f.Interface), f.Column, text(f.Detail), string(f.Action), f.Quarantined, f.Notice,
		})
	}
	for _, p := range i.Pending[:min(len(i.Pending), maxItems)] {
		v.Pending = append(v.Pending, text(p.Port))
	}
	return v
}

func (v *verdict) status() report.NetworkStatus {
	s := report.NetworkStatus{
		State: report.State(v.State), Reason: v.Reason, Conflict: v.Conflict, Since: moment(v.Since), Strict: v.Strict,
		Isolation: report.Isolation{Verdict: report.Verdict(v.Isolation), Reason: v.Unknown, Contested: v.Contested, Since: moment(v.Judged)},
	}
	for _, f := range v.Findings {
		s.Isolation.Findings = append(s.Isolation.Findings, isolation.Finding{
			Reason: isolation.Reason(f.Reason), Bridge: f.Bridge, Port: f.Port, Interface: f.Interface, Column: f.Column, Detail: f.Detail,
			Action: isolation.Action(f.Action), Quarantined: f.Quarantined, Notice: f.Notice,
		})
	}
	for _, p := range v.Pending {
		s.Isolation.Pending = append(s.Isolation.Pending, isolation.Pending{Port: p})
	}
	return s
}

func bridgeOf(b report.Bridge) *bridge {
	told := &bridge{
		UUID: b.UUID, Name: b.Name, Datapath: b.DatapathType, Strict: b.Strict, Made: b.Made, Unsettled: b.Unsettled, MTU: b.MTU,
		More: b.More + max(0, len(b.Ports)-maxPorts),
	}
	if b.Local.Name != "" {
		local := portOf(b.Local)
		told.Local = &local
	}
	for _, p := range reported(b.Ports) {
		told.Ports = append(told.Ports, portOf(p))
	}
	return told
}

// reported returns the ports that are reported of a bridge, those in use first.
func reported(ports []report.Port) []report.Port {
	if len(ports) <= maxPorts {
		return ports
	}
	first := slices.Clone(ports)
	slices.SortStableFunc(first, func(a, b report.Port) int {
		switch {
		case a.Live == b.Live:
			return 0
		case a.Live:
			return -1
		}
		return 1
	})
	first = first[:maxPorts]
	slices.SortFunc(first, func(a, b report.Port) int { return strings.Compare(a.Name, b.Name) })
	return first
}

func (b *bridge) report(network model.ID) report.Bridge {
	told := report.Bridge{
		UUID: b.UUID, Name: b.Name, Network: network, DatapathType: b.Datapath, Strict: b.Strict, Made: b.Made, Unsettled: b.Unsettled,
		MTU: b.MTU, More: b.More,
	}
	if b.Local != nil {
		told.Local = b.Local.report()
	}
	for _, p := range b.Ports {
		told.Ports = append(told.Ports, p.report())
	}
	return told
}

func portOf(p report.Port) port {
	told := port{Name: text(p.Name), VM: text(p.VM), Live: p.Live, Stale: p.Stale, Quarantined: p.Quarantined, Protected: p.Protected}
	for _, i := range p.Interfaces[:min(len(p.Interfaces), maxInterfaces)] {
		one := iface{
			Name: text(i.Name), Type: i.Type, MTU: i.MTU, Up: i.LinkUp, Failed: i.Failed, Error: text(i.Error), Elsewhere: i.Elsewhere,
			MAC: text(i.MAC), VMID: text(i.VMID), IfaceID: text(i.IfaceID),
		}
		if i.Name == p.Name {
			one.Name = ""
		}
		told.Interfaces = append(told.Interfaces, one)
	}
	return told
}

func (p port) report() report.Port {
	told := report.Port{
		Name: p.Name, VM: p.VM, Live: p.Live, Stale: p.Stale, Quarantined: p.Quarantined, Protected: p.Protected,
		Interfaces: make([]report.Interface, len(p.Interfaces)),
	}
	for at, i := range p.Interfaces {
		if i.Name == "" {
			i.Name = p.Name
		}
		told.Interfaces[at] = report.Interface{
			Name: i.Name, Type: i.Type, MTU: i.MTU, LinkUp: i.Up, Failed: i.Failed, Error: i.Error, Elsewhere: i.Elsewhere,
			MAC: i.MAC, VMID: i.VMID, IfaceID: i.IfaceID,
		}
	}
	return told
}
