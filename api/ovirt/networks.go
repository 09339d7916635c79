package ovirt

import (
	"slices"
	"strconv"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/change"
	"github.com/isonet/isonet/model"
)

// networkResource is the networks of the data center.
type networkResource struct {
	site
	// strict says that a new network is strict unless its request says.
	strict func() bool
}

// network renders a network of the data center.
func (v *view) network(n model.Network, f follow) *networkDTO {
	d := v.bareNetwork(n)
	d.Link = f.leave(d.Link)
	if f.has("networklabels") {
		d.NetworkLabels = v.labelsOfNetwork(n)
	}
	if f.has("vnicprofiles") {
		d.VnicProfiles = v.vnicProfiles([]model.Network{n}, nil)
	}
	if f.has("datacenter") {
		d.DataCenter = v.bareDataCenter()
	}
	return d
}

func networkLinks() links {
	return links{"datacenter": nil, "networklabels": nil, "vnicprofiles": nil}
}

func (v *view) networks(list []model.Network, f follow) *networksDTO {
	d := &networksDTO{}
	for _, n := range list {
		d.Network = append(d.Network, v.network(n, f))
	}
	return d
}

// referred returns the network that a body refers to by its id, name or both.
func referred(d *model.Desired, ref *networkDTO) (model.Network, error) {
	name := value(ref.Name)
	byName, named := d.NetworkByName(name)
	if ref.ID == "" {
		if !named {
			return model.Network{}, model.Invalidf("Logical Network (name '%s') doesn't exist.", name)
		}
		return byName, nil
	}
	id, _ := model.ParseID(ref.ID)
	n, ok := d.Networks[id]
	if !ok {
		return model.Network{}, model.Refuse(model.ErrInvalid, model.UnknownNetwork, "There is no network '%s'.", ref.ID)
	}
	if name != "" && name != n.Name {
		return model.Network{}, model.Invalidf(
			"The request does not reference network coherently. Network name and id reference different networks: networkId %s networkName %s.", ref.ID, name)
	}
	return n, nil
}

func (r networkResource) list() handler {
	return show(r.site, networkLinks(), searched((*view).sortedNetworks, fields[model.Network]{
		"name":        func(n model.Network) string { return n.Name },
		"description": func(n model.Network) string { return n.Description },
		"comment":     func(n model.Network) string { return n.Comment },
		"datacenter":  func(model.Network) string { return defaultName },
		"label":       func(n model.Network) string { return n.Label },
		"mtu":         func(n model.Network) string { return strconv.Itoa(n.MTU) },
		"stp":         func(model.Network) string { return "false" },
		"vmnetwork":   func(model.Network) string { return "true" },
	}), each("networks", (*view).network))
}

func (r networkResource) get() handler {
	return show(r.site, networkLinks(), in(networkAt), (*view).network)
}

var errNameless = rest.Refuse(rest.ErrIncomplete, "Network [name] required for add")

func (r networkResource) add(c *rest.Call) (rest.Document, error) {
	var body networkDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	if value(body.Name) == "" {
		return nil, errNameless
	}
	if err := body.refuseForm(); err != nil {
		return nil, err
	}
	if body.ID != "" {
		return nil, model.Invalidf("A new network cannot be created with a given id: remove the id '%s' from the request.", body.ID)
	}
	f, err := followed(c, networkLinks())
	if err != nil {
		return nil, err
	}
	var made model.Network
	after, err := r.Write(c, change.Options{}, func(d *model.Desired) error {
		var err error
		made, err = body.made(r.ownNICs(), r.strict(), d.AddNetwork)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.viewOf(c, after).network(after.Networks[made.ID], f), nil
}

func (r networkResource) update(c *rest.Call) (rest.Document, error) {
	var body networkDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	if err := body.refuseForm(); err != nil {
		return nil, err
	}
	f, err := followed(c, networkLinks())
	if err != nil {
		return nil, err
	}
	var id model.ID
	after, err := r.Write(c, change.Options{}, func(d *model.Desired) error {
		n, err := networkAt(c, d)
		if err != nil {
			return err
		}
		id = n.ID
		if err := sameID(body.entity, id); err != nil {
			return err
		}
		return body.change(n, r.ownNICs(), d.UpdateNetwork)
	})
	if err != nil {
		return nil, err
	}
	return r.viewOf(c, after).network(after.Networks[id], f), nil
}

func (r networkResource) remove(c *rest.Call) (rest.Document, error) {
	_, err := r.Write(c, change.Options{Force: c.Flag("force")}, func(d *model.Desired) error {
		n, err := networkAt(c, d)
		if err != nil {
			return err
		}
		return d.RemoveNetwork(n.ID)
	})
	return complete(), err
}

// sameID refuses a body that carries another object's id.
func sameID(e entity, id model.ID) error {
	if e.ID != "" && !isID(e.ID, id) {
		return rest.Refuse(rest.ErrImmutable, "Attempt to set immutable field: id. The id '%s' in the body is not the one in the path: remove it from the request.", e.ID)
	}
	return nil
}

func isID(text string, id model.ID) bool {
	parsed, ok := model.ParseID(text)
	return ok && parsed == id
}

// refuseForm refuses values that oVirt does not have.
func (d *networkDTO) refuseForm() error {
	var wrong []error
	for _, usage := range d.usages() {
		switch usage {
		case "vm", "default_route", "display", "gluster", "management", "migration":
		default:
			wrong = append(wrong, rest.Refuse(rest.ErrValue, "Value '%s' isn't a valid usage, it should be 'vm'.", usage))
		}
	}
	for _, l := range d.NetworkLabels.items() {
		if l.ID == "" {
			wrong = append(wrong, rest.Refuse(rest.ErrIncomplete, "NetworkLabel [id] required for add"))
		}
	}
	return model.Join(wrong...)
}

// made returns the new network that the body asks for, as add has filed it, and
// all that is wrong with it. Strict is for a body that does not say. Who asks for
// the policy to report wants nothing to be held off, and so nothing strict.
func (d *networkDTO) made(own ownNICs, strict bool, add func(model.Network) (model.Network, error)) (model.Network, error) {
	var n model.Network
	wrong := d.apply("add", own, &n)
	if d.Strict == nil {
		n.Strict = strict && n.EffectiveIsolation() != model.PolicyReport
	}
	made, err := add(n)
	if err == nil {
		err = model.Join(made.Validate(), d.sameBridge(made))
	}
	return made, model.Join(wrong, err)
}

// change lets update file what the body makes of a network, and returns all that
// is wrong with it.
func (d *networkDTO) change(n model.Network, own ownNICs, update func(model.Network) error) error {
	bridge, wrong := d.sameBridge(n), d.apply("update", own, &n)
	return model.Join(bridge, wrong, n.Validate(), update(n))
}

// apply sets what the body has and leaves the rest as it is. It refuses what an
// isolated network cannot have. Action is "add" or "update".
func (d *networkDTO) apply(action string, own ownNICs, n *model.Network) error {
	set(&n.Name, d.Name)
	set(&n.Description, d.Description)
	set(&n.Comment, d.Comment)
	if d.MTU != nil {
		n.MTU = int(*d.MTU)
	}
	if d.PortIsolation != nil {
		n.PortIsolation = bool(*d.PortIsolation)
	}
	n.Apply(d.Settings)
	refusals := d.foreign(n.Name)
	refusals = append(refusals, d.notForVMs(action, n)...)
	if labels := d.NetworkLabels.items(); len(labels) > 1 {
		refusals = append(refusals, model.Invalidf("A network can have one label, but the request has %d.", len(labels)))
	} else if len(labels) == 1 {
		n.Label = labels[0].ID
		refusals = append(refusals, labels[0].HostNIC.refuse(own, own.host))
	} else if d.NetworkLabels != nil {
		n.Label = ""
	}
	return model.Join(refusals...)
}

func set(to *string, from *string) {
	if from != nil {
		*to = *from
	}
}

// foreign returns what is wrong with members that only networks with a NIC have.
func (d *networkDTO) foreign(name string) []error {
	var wrong []error
	refuse := func(format string, args ...any) { wrong = append(wrong, model.Invalidf(format, args...)) }
	if dc := d.DataCenter; dc != nil && !isDefaultDataCenter(dc) {
		refuse("Data Center doesn't exist.")
	}
	if tag := d.VLAN.tag(); tag != nil {
		if id := *tag; id < 0 || id > maxVLAN {
			refuse("VLAN ID must be a number between 0 and %d.", maxVLAN)
		}
		refuse("The isolated network '%s' cannot have the VLAN %d: it has no physical NIC. Remove the vlan from the request.", name, *tag)
	}
	if d.DNS {
		refuse("The isolated network '%s' cannot have name servers: the host has no IP address in it. Remove dns_resolver_configuration from the request.", name)
	}
	if d.QoS {
		refuse("The isolated network '%s' cannot have QoS: it has no NIC whose traffic could be shaped. Remove qos from the request.", name)
	}
	for _, usage := range d.usages() {
		if usage != "vm" {
			refuse("The isolated network '%s' cannot have the usage '%s': the host does not reach it. Use 'vm' only.", name, usage)
		}
	}
	return wrong
}

// maxVLAN is the highest VLAN ID that the oVirt engine takes.
const maxVLAN = 4094

func isDefaultDataCenter(dc *dataCenterDTO) bool {
	return (dc.ID == "" || isID(dc.ID, dataCenterID())) && (dc.Name == nil || *dc.Name == defaultName)
}

// usages returns the usages that the body asks for.
func (d *networkDTO) usages() []string {
	if d.Usages == nil {
		return nil
	}
	return d.Usages.Usage
}

// notForVMs refuses a network that is not for VMs, with all that only such for
// VMs have. STP is refused in any case, since a loop would need a second switch.
func (d *networkDTO) notForVMs(action string, n *model.Network) []error {
	stp := bool(value(d.STP))
	if d.Usages == nil || slices.Contains(d.Usages.Usage, "vm") {
		if stp {
			return []error{model.Invalidf("STP cannot be enabled on the isolated network '%s': there is no other switch to make a loop with. Remove stp from the request.", n.Name)}
		}
		return nil
	}
	wrong := []error{model.Conflictf("The following networks (%s) are not defined as VM networks. An isolated network must have the usage 'vm'.", n.Name)}
	if stp {
		wrong = append(wrong, model.Conflictf("Cannot %s Network. STP can only be enabled on VM Networks.", action))
	}
	if n.PortIsolation {
		wrong = append(wrong, model.Conflictf("Cannot %s Network. Port isolation can only be enabled on VM Networks.", action))
	}
	return wrong
}

// sameBridge refuses another bridge name than the one that the network has.
func (d *networkDTO) sameBridge(n model.Network) error {
	if name := value(d.VdsmName); name != "" && name != n.VdsmName {
		return model.Invalidf("The vdsm_name of the network '%s' is '%s' and cannot be set: remove it from the request.", n.Name, n.VdsmName)
	}
	return nil
}
