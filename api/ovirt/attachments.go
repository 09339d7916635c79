package ovirt

import (
	"maps"
	"slices"
	"strconv"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// attachmentResource is the attachments of networks to hosts.
type attachmentResource struct{ site }

// attachment renders an attachment with what Open vSwitch reports of it. It is
// in sync when all that is reported is, and nothing else keeps the network from
// being active. Where nobody can tell, in_sync is absent.
func (v *view) attachment(a model.Attachment, f follow) *attachmentDTO {
	e := v.at(string(a.ID), "hosts", string(a.Host), "networkattachments")
	reported := v.reported(a)
	var inSync *boolean
	if s, present := v.present(a.Host); present {
		inSync = inSyncOf(s, a.Network, reported)
	}
	d := &attachmentDTO{
		entity:                 e,
		Link:                   f.leave(linksTo(e, "statistics")),
		InSync:                 inSync,
		IPAddressAssignments:   &ipAssignmentsDTO{},
		Properties:             propertiesOf(a.Properties),
		Isolation:              v.isolation(a),
		ReportedConfigurations: &reportedConfigurations{append(reported, v.reportedIsolation(a))},
		Host:                   &hostDTO{entity: *v.ref("hosts", a.Host)},
		Network:                &networkDTO{entity: *v.ref("networks", a.Network)},
	}
	if f.has("host") {
		d.Host = v.bareHost(v.desired.Hosts[a.Host])
	}
	if f.has("network") {
		d.Network = v.network(v.desired.Networks[a.Network], f.under("network"))
	}
	if f.has("statistics") {
		d.Statistics = v.statistics(a)
	}
	return d
}

// inSyncOf says whether a network is on a host as it must be; nil is unknown. Another host
// reports no value that is as it must be.
func inSyncOf(s report.Status, network model.ID, reported []reportedConfiguration) *boolean {
	verdict := s.Network(network)
	if verdict.State == report.Unknown {
		return nil
	}
	differs := func(r reportedConfiguration) bool {
		return r.InSync == nil && s.Member == nil || r.InSync != nil && !bool(*r.InSync)
	}
	return new(boolean(verdict.State == report.Active && !slices.ContainsFunc(reported, differs)))
}

func (v *view) attachments(list []model.Attachment, f follow) *attachmentsDTO {
	d := &attachmentsDTO{}
	for _, a := range list {
		d.NetworkAttachment = append(d.NetworkAttachment, v.attachment(a, f))
	}
	return d
}

func attachmentLinks() links {
	return links{"host": nil, "network": networkLinks(), "statistics": nil}
}

// reported compares the values that the network asks for with those read back
// from Open vSwitch. A value that nobody reports is left out and not in sync.
func (v *view) reported(a model.Attachment) []reportedConfiguration {
	n := v.desired.Networks[a.Network]
	mtu := reportedConfiguration{Name: "mtu", ExpectedValue: strconv.Itoa(n.EffectiveMTU())}
	bridged := reportedConfiguration{Name: "bridged", ExpectedValue: "true"}
	if s, present := v.present(a.Host); present {
		bridge, exists := s.Host.Bridge(n)
		bridged.ActualValue, bridged.InSync = strconv.FormatBool(exists), new(boolean(exists))
		if actual := bridge.MTU; actual != 0 {
			mtu.ActualValue, mtu.InSync = strconv.Itoa(actual), new(boolean(actual == n.EffectiveMTU()))
		}
	}
	return []reportedConfiguration{mtu, bridged}
}

func propertiesOf(properties map[string]string) *propertiesDTO {
	if len(properties) == 0 {
		return nil
	}
	d := &propertiesDTO{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		d.Property = append(d.Property, propertyDTO{name, properties[name]})
	}
	return d
}

func (r attachmentResource) list() handler {
	return show(r.site, attachmentLinks(), func(c *rest.Call, v *view) ([]model.Attachment, error) {
		h, err := hostAt(c, v.desired)
		return rest.Limit(c, v.desired.On(h.ID)), err
	}, each("network_attachments", (*view).attachment))
}

func (r attachmentResource) get() handler {
	return show(r.site, attachmentLinks(), in(attachmentAt), (*view).attachment)
}

func (r attachmentResource) add(c *rest.Call) (rest.Document, error) {
	var body attachmentDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	if body.ID != "" {
		return nil, model.Invalidf("Cannot setup Networks. New Network attachment cannot be created with given ID. Please remove Network Attachment ID (id '%s') from request.", body.ID)
	}
	if !body.namesNetwork() {
		return nil, rest.Refuse(rest.ErrIncomplete, "NetworkAttachment [network.id|name] required for add")
	}
	f, err := followed(c, attachmentLinks())
	if err != nil {
		return nil, err
	}
	if err := body.refuseForm(); err != nil {
		return nil, err
	}
	var made model.Attachment
	after, err := r.Write(c, aboutHost(c, false), func(d *model.Desired) error {
		h, err := hostAt(c, d)
		if err != nil {
			return err
		}
		n, err := referred(d, body.Network)
		if at, attached := d.AttachmentOf(h.ID, n.ID); attached {
			err = model.Invalidf("Cannot setup Networks. Network %s is already attached via attachment %s. A new attachment cannot be used for the same network, please reuse the existing one.", n.Name, at.ID)
		}
		if err := model.Join(err, body.refuse(r.ownNICs(), h.ID)); err != nil {
			return err
		}
		made, err = body.attach(d, h.ID, n.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.viewOf(c, after).attachment(made, f), nil
}

func (r attachmentResource) update(c *rest.Call) (rest.Document, error) {
	var body attachmentDTO
	if err := c.Read(&body); err != nil {
		return nil, err
	}
	f, err := followed(c, attachmentLinks())
	if err != nil {
		return nil, err
	}
	if err := body.refuseForm(); err != nil {
		return nil, err
	}
	var updated model.Attachment
	after, err := r.Write(c, aboutHost(c, false), func(d *model.Desired) error {
		at, err := attachmentAt(c, d)
		if err != nil {
			return err
		}
		if err := sameID(body.entity, at.ID); err != nil {
			return err
		}
		if err := model.Join(body.keepsNetwork(d, at), body.refuse(r.ownNICs(), at.Host)); err != nil {
			return err
		}
		updated, err = body.attach(d, at.Host, at.Network)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.viewOf(c, after).attachment(updated, f), nil
}

func (r attachmentResource) remove(c *rest.Call) (rest.Document, error) {
	_, err := r.Write(c, aboutHost(c, c.Flag("force")), func(d *model.Desired) error {
		at, err := attachmentAt(c, d)
		if err != nil {
			return err
		}
		return d.Detach(at.Host, at.Network)
	})
	return complete(), err
}

func (d *attachmentDTO) namesNetwork() bool {
	return d.Network != nil && (d.Network.ID != "" || value(d.Network.Name) != "")
}

// keepsNetwork refuses an update that names another network.
func (d *attachmentDTO) keepsNetwork(desired *model.Desired, at model.Attachment) error {
	if !d.namesNetwork() {
		return nil
	}
	n, err := referred(desired, d.Network)
	if err != nil {
		return err
	}
	if n.ID != at.Network {
		return model.Invalidf("Cannot setup Networks. Network of given Network Attachment (id %s) cannot be updated.", at.ID)
	}
	return nil
}

// attach makes the attachment be as the body says. As in the oVirt engine, the
// attachment that is there is updated, whatever caused it: one that a label
// caused still ends with the label. Only properties make it one of its own,
// because a label has no place for them.
func (d *attachmentDTO) attach(desired *model.Desired, host, network model.ID) (model.Attachment, error) {
	properties, err := d.Properties.read()
	if err != nil {
		return model.Attachment{}, err
	}
	old, attached := desired.AttachmentOf(host, network)
	if attached && (d.Properties == nil || maps.Equal(properties, old.Properties)) {
		return old, nil
	}
	return desired.Attach(host, network, properties)
}

// refuseForm refuses values that oVirt does not have.
func (d *attachmentDTO) refuseForm() error {
	var wrong []error
	for _, assignment := range d.IPAddressAssignments.items() {
		switch method := value(assignment.AssignmentMethod); method {
		case "", "none", "autoconf", "dhcp", "poly_dhcp_autoconf", "static":
		default:
			wrong = append(wrong, rest.Refuse(rest.ErrValue, "Value '%s' isn't a valid assignment_method, it should be 'none'.", method))
		}
	}
	return model.Join(wrong...)
}

// refuse refuses all that the attachment of an isolated network to the host
// cannot have.
func (d *attachmentDTO) refuse(own ownNICs, host model.ID) error {
	_, wrong := d.Properties.read()
	refusals := []error{wrong, d.HostNIC.refuse(own, host), d.refuseAddresses()}
	if d.Host != nil && d.Host.ID != "" && !isID(d.Host.ID, host) {
		refusals = append(refusals, model.Invalidf("Cannot setup Networks. The host '%s' of the attachment is not the one in the path: remove it from the request.", d.Host.ID))
	}
	if d.DNS {
		refusals = append(refusals, model.Invalidf("Cannot setup Networks. The host has no IP address in an isolated network: remove dns_resolver_configuration from the request."))
	}
	if d.QoS {
		refusals = append(refusals, model.Invalidf("Cannot setup Networks. An isolated network has no NIC whose traffic could be shaped: remove qos from the request."))
	}
	return model.Join(refusals...)
}

// refuseAddresses refuses IP addresses: the host is not in its isolated
// networks.
func (d *attachmentDTO) refuseAddresses() error {
	var wrong []error
	for _, assignment := range d.IPAddressAssignments.items() {
		if method := value(assignment.AssignmentMethod); method != "" && method != "none" {
			wrong = append(wrong, model.Invalidf("Cannot setup Networks. The host cannot have an IP address in an isolated network: use the assignment_method 'none' instead of '%s'.", method))
			continue
		}
		if ip := value(assignment.IP); ip != (ipDTO{}) {
			wrong = append(wrong, model.Invalidf("Cannot setup Networks. The host cannot have an IP address in an isolated network: remove the ip '%s' from the request.", ip.Address))
		}
	}
	return model.Join(wrong...)
}

// read returns the properties; nil if there are none.
func (l *propertiesDTO) read() (map[string]string, error) {
	if l == nil || len(l.Property) == 0 {
		return nil, nil
	}
	var wrong []error
	properties := map[string]string{}
	for _, p := range l.Property {
		if _, twice := properties[p.Name]; twice {
			wrong = append(wrong, model.Invalidf("The property '%s' is given twice.", p.Name))
		}
		properties[p.Name] = p.Value
	}
	return properties, model.Join(append(wrong, model.ValidateProperties(properties))...)
}
