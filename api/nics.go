package api

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/isonet/isonet/model"
)

// ownNICs are the network interfaces of the daemon's own host. It cannot see
// those of others.
type ownNICs struct {
	host model.ID // "" before it is known
	nics []model.NIC
}

func (a *API) ownNICs() ownNICs { return ownNICs{a.loop.Status().HostID, a.nics.Snapshot()} }

// of returns the interfaces of a host as far as they are known.
func (o ownNICs) of(host model.ID) []model.NIC {
	if o.host != host {
		return nil
	}
	return o.nics
}

// nic renders a network interface of a host.
func (v *view) nic(host model.ID, n model.NIC, f follow) *hostNICDTO {
	e := v.nicRef(host, n.Name)
	d := &hostNICDTO{
		entity: e, Name: n.Name, MTU: integer(n.MTU), Status: "down",
		IP: ipOf(n.Addresses, "v4"), IPv6: ipOf(n.Addresses, "v6"),
		Bonding: v.bonding(host, n.Bond),
		Host:    &hostDTO{entity: *v.ref("hosts", host)},
	}
	for _, rel := range []string{"networkattachments", "networklabels"} {
		d.Link = append(d.Link, linkTo(e, rel))
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
		d.Host = v.host(v.desired.Hosts[host], nil)
	}
	if f.has("statistics") {
		d.Statistics = v.nicStatistics(host, n)
	} else {
		d.Link = append(d.Link, linkTo(e, "statistics"))
	}
	return d
}

func (v *view) nicRef(host model.ID, name string) entity {
	return v.at(string(model.NICID(host, name)), "hosts", string(host), "nics")
}

func (v *view) nicsOf(host model.ID, f follow) []*hostNICDTO {
	var list []*hostNICDTO
	for _, n := range v.nics.of(host) {
		list = append(list, v.nic(host, n, f))
	}
	return list
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

// nic returns the network interface that the path names, and its host.
func (c *call) nic(v *view) (model.Host, model.NIC, error) {
	h, err := c.host(v.desired)
	if err != nil {
		return h, model.NIC{}, err
	}
	id, err := c.id("nic")
	if err != nil {
		return h, model.NIC{}, err
	}
	for _, n := range v.nics.of(h.ID) {
		if model.NICID(h.ID, n.Name) == id {
			return h, n, nil
		}
	}
	return h, model.NIC{}, model.Unknown(id)
}

func nicLinks() links { return links{"host": nil, "statistics": nil} }

func (a *API) listNICs(c *call) (document, error) {
	f, err := c.follow(nicLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	h, err := c.host(v.desired)
	if err != nil {
		return nil, err
	}
	return &hostNICsDTO{limit(c, v.nicsOf(h.ID, f))}, nil
}

func (a *API) getNIC(c *call) (document, error) {
	f, err := c.follow(nicLinks())
	if err != nil {
		return nil, err
	}
	v := a.view(c)
	h, n, err := c.nic(v)
	if err != nil {
		return nil, err
	}
	return v.nic(h.ID, n, f), nil
}

// nicStatistics renders the statistics of a network interface, whose received
// is what came from outside.
func (v *view) nicStatistics(host model.ID, n model.NIC) *statisticsDTO {
	e := v.nicRef(host, n.Name)
	parent := func(d *statisticDTO) { d.HostNIC = &e }
	return statisticsBelow(e, parent, model.Traffic{Total: n.Total, Rate: n.Rate}, true)
}

func (a *API) listNICStatistics(c *call) (document, error) {
	v := a.view(c)
	h, n, err := c.nic(v)
	if err != nil {
		return nil, err
	}
	return &statisticsDTO{limit(c, v.nicStatistics(h.ID, n).Statistic)}, nil
}

func (a *API) getNICStatistic(c *call) (document, error) {
	v := a.view(c)
	h, n, err := c.nic(v)
	if err != nil {
		return nil, err
	}
	return c.statistic(v.nicStatistics(h.ID, n))
}

// emptyOfNIC answers for a sub-collection that is empty on every interface.
func (a *API) emptyOfNIC(name string) func(*call) (document, error) {
	return func(c *call) (document, error) {
		_, _, err := c.nic(a.view(c))
		return emptyList{name}, err
	}
}

// noneOfNIC answers for a member of such a collection.
func (a *API) noneOfNIC(member string) func(*call) (document, error) {
	return func(c *call) (document, error) {
		if _, _, err := c.nic(a.view(c)); err != nil {
			return nil, err
		}
		return nil, model.Unknown(c.r.PathValue(member))
	}
}

// refuseOnNIC refuses to change such a collection and names the one of the
// host.
func (a *API) refuseOnNIC(what, collection string) func(*call) (document, error) {
	return func(c *call) (document, error) {
		h, n, err := c.nic(a.view(c))
		if err != nil {
			return nil, err
		}
		return nil, model.Invalidf("%s of isolated networks belong to the host and not to its network interface '%s': use hosts/%s/%s.",
			what, n.Name, h.ID, collection)
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
