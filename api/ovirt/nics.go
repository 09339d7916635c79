package ovirt

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// nicResource is the network interfaces of hosts.
type nicResource struct{ site }

// nic renders a network interface of a host.
func (v *view) nic(n hostNIC, f follow) *hostNICDTO {
	e := v.nicRef(n.host, n.Name)
	d := &hostNICDTO{
		entity: e, Name: n.Name, MTU: integer(n.MTU), Status: "down",
		Link: f.leave(linksTo(e, "networkattachments", "networklabels", "statistics")),
		IP:   ipOf(n.Addresses, "v4"), IPv6: ipOf(n.Addresses, "v6"),
		Bonding: v.bonding(n.host, n.Bond),
		Host:    &hostDTO{entity: *v.ref("hosts", n.host)},
	}
	if n.Up {
		d.Status = "up"
	}
	if n.MAC != "" {
		d.MAC = &macDTO{n.MAC}
	}
	if n.Speed != 0 {
		d.Speed = new(long(n.Speed))
	}
	if n.VLAN != nil {
		d.VLAN, d.BaseInterface = &vlanDTO{ID: new(integer(n.VLAN.ID))}, n.VLAN.Base
	}
	if f.has("host") {
		d.Host = v.bareHost(v.desired.Hosts[n.host])
	}
	if f.has("statistics") {
		d.Statistics = v.nicStatistics(n)
	}
	return d
}

func (v *view) nicRef(host model.ID, name string) entity {
	return v.at(string(model.NICID(host, name)), "hosts", string(host), "nics")
}

func (v *view) nicsOf(host model.ID) []hostNIC {
	var list []hostNIC
	for _, n := range v.nics.of(host) {
		list = append(list, hostNIC{n, host})
	}
	return list
}

func (v *view) nicList(list []hostNIC, f follow) *hostNICsDTO {
	d := &hostNICsDTO{}
	for _, n := range list {
		d.HostNIC = append(d.HostNIC, v.nic(n, f))
	}
	return d
}

// bonding renders what a bond is made of. Its options are the engine's, with
// the names of the kernel's.
func (v *view) bonding(host model.ID, b *model.Bond) *bondingDTO {
	if b == nil {
		return nil
	}
	d := &bondingDTO{}
	if b.Active != "" {
		d.ActiveSlave = new(v.nicRef(host, b.Active))
	}
	for _, slave := range b.Slaves {
		d.Slaves.HostNIC = append(d.Slaves.HostNIC, v.nicRef(host, slave))
	}
	if b.Mode == model.NoBondMode {
		return d
	}
	d.Options = &optionsDTO{[]optionDTO{{Name: "mode", Type: bondModeType(b.Mode), Value: strconv.Itoa(b.Mode)}}}
	if b.LinkMonitoring != 0 {
		d.Options.Option = append(d.Options.Option, optionDTO{Name: "miimon", Value: strconv.Itoa(b.LinkMonitoring)})
	}
	return d
}

// bondModeType returns the engine's text for a mode, which Ansible compares; ""
// where the engine has none.
func bondModeType(mode int) string {
	switch mode {
	case 1:
		return "Active-Backup"
	case 2:
		return "Load balance (balance-xor)"
	case 4:
		return "Dynamic link aggregation (802.3ad)"
	case 5:
		return "Adaptive transmit load balancing (balance-tlb)"
	}
	return ""
}

// ipOf renders the first address of a version, as an interface has one of each
// in oVirt. One that is valid on the link only is none.
func ipOf(addresses []netip.Prefix, version string) *nicIPDTO {
	for _, p := range addresses {
		ip := p.Addr()
		switch {
		case ip.IsLinkLocalUnicast():
		case ip.Is4() && version == "v4":
			return &nicIPDTO{ip.String(), net.IP(net.CIDRMask(p.Bits(), ip.BitLen())).String(), version}
		case ip.Is6() && version == "v6":
			return &nicIPDTO{ip.String(), strconv.Itoa(p.Bits()), version}
		}
	}
	return nil
}

func nicLinks() links { return links{"host": nil, "statistics": nil} }

func (r nicResource) list() handler {
	return show(r.site, nicLinks(), func(c *rest.Call, v *view) ([]hostNIC, error) {
		h, err := hostAt(c, v.desired)
		return rest.Limit(c, v.nicsOf(h.ID)), err
	}, each("host_nics", (*view).nic))
}

func (r nicResource) get() handler { return show(r.site, nicLinks(), nicAt, (*view).nic) }

// nicStatistics renders the statistics of a network interface, whose received
// is what came from outside.
func (v *view) nicStatistics(n hostNIC) *statisticsDTO {
	e := v.nicRef(n.host, n.Name)
	parent := func(d *statisticDTO) { d.HostNIC = &e }
	return statisticsBelow(e, parent, statisticTable(), model.Traffic{Total: n.Total, Rate: n.Rate}, true)
}

func (r nicResource) listStatistics(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	n, err := nicAt(c, v)
	if err != nil {
		return nil, err
	}
	return listOf("statistics", rest.Limit(c, v.nicStatistics(n).Statistic)), nil
}

func (r nicResource) getStatistic(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	n, err := nicAt(c, v)
	if err != nil {
		return nil, err
	}
	return statisticAt(c, v.nicStatistics(n))
}

// empty answers for a sub-collection that is empty on every interface.
func (r nicResource) empty(name string) handler {
	return func(c *rest.Call) (rest.Document, error) {
		_, err := nicAt(c, r.view(c))
		return emptyList{name}, err
	}
}

// none answers for a member of such a collection.
func (r nicResource) none(member string) handler {
	return func(c *rest.Call) (rest.Document, error) {
		if _, err := nicAt(c, r.view(c)); err != nil {
			return nil, err
		}
		return nil, model.Unknown(c.PathValue(member))
	}
}

// refuse refuses to change such a collection and names the one of the
// host.
func (r nicResource) refuse(what, collection string) handler {
	return func(c *rest.Call) (rest.Document, error) {
		n, err := nicAt(c, r.view(c))
		if err != nil {
			return nil, err
		}
		return nil, model.Invalidf("%s of isolated networks belong to the host and not to its network interface '%s': use hosts/%s/%s.",
			what, n.Name, n.host, collection)
	}
}

// refuse refuses a NIC in a request about a host. An empty element means that
// there is none.
func (n *nicDTO) refuse(own ownNICs, host model.ID) error {
	if n == nil || (n.ID == "" && strings.TrimSpace(n.Name) == "") {
		return nil
	}
	if n.isOne(own, host) {
		return model.Invalidf("Cannot setup Networks. isonet has isolated networks only and sets up nothing on the host network interface (id %s, name %s): remove host_nic from the request.",
			n.ID, n.Name)
	}
	return model.Invalidf("Cannot setup Networks. The host network interface (id %s, name %s) does not exist. Isolated networks have no NIC: remove host_nic from the request.",
		n.ID, n.Name)
}

// isOne reports whether the host has the NIC. What a client leaves out, the id
// or the name, can be any.
func (n *nicDTO) isOne(own ownNICs, host model.ID) bool {
	id, _ := model.ParseID(n.ID)
	for _, nic := range own.of(host) {
		if (n.ID == "" || id == model.NICID(host, nic.Name)) && (n.Name == "" || strings.TrimSpace(n.Name) == nic.Name) {
			return true
		}
	}
	return false
}
