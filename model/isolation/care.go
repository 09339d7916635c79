package isolation

import (
	"fmt"
	"strings"

	"github.com/isonet/isonet/model/plan"
)

// openChecksums says why VMs may get checksums that their senders left open, and
// which VMs those are; "" if they get none.
func (in Input) openChecksums(vms []plan.Port) string {
	why := "other_config:userspace-tso-enable is not set"
	switch {
	case in.Bridge.DatapathType != plan.UserspaceDatapath || len(vms) < 2:
		return ""
	case in.Host.Offloads && in.offloading():
		return ""
	case in.Host.Offloads:
		why = "ovs-vswitchd was not restarted since other_config:userspace-tso-enable was set"
	}
	var senders []string
	for _, p := range vms {
		for _, i := range p.Interfaces {
			if d, _ := in.Devices.Of(i); d.Kind == "veth" || d.VnetHeader {
				senders = append(senders, named(p, i))
			}
		}
	}
	if len(senders) == 0 {
		return ""
	}
	return fmt.Sprintf("%s, and these can leave checksums open: %s", why, strings.Join(senders, ", "))
}

// offloading says that vswitchd does what userspace-tso-enable asks for, or that
// nobody knows: it reads the setting at its start only. With it, the bridge's own
// device has a header for what was left open, segments among that. Without it,
// Open vSwitch before 3.2 gives the device no header, and later ones one for
// checksums alone.
func (in Input) offloading() bool {
	own, seen := in.Devices.Named(in.Bridge.Name)
	return !seen || !own.Tap || own.VnetHeader && !own.NoTSO
}

// duplicates finds VMs that have the same MAC address.
func (in Input) duplicates(v *Verdict) {
	holders := map[string][]string{}
	for _, p := range v.Accepted {
		for _, i := range p.Interfaces {
			if mac := i.AttachedMAC(); mac != "" {
				holders[mac] = append(holders[mac], named(p, i))
			}
		}
	}
	for _, p := range v.Accepted {
		for _, i := range p.Interfaces {
			mac := i.AttachedMAC()
			if len(holders[mac]) < 2 {
				continue
			}
			v.Findings = append(v.Findings, Finding{
				Reason: DuplicateMAC, Bridge: in.Bridge.Name, Port: p.Name, Interface: i.Name, Action: Report, Notice: true,
				Detail: fmt.Sprintf("%s is the address of %s", mac, strings.Join(holders[mac], " and of ")),
			})
		}
	}
}

// denied tells what members were denied of late.
func (in Input) denied(v *Verdict) {
	add := func(reason Reason, p plan.Port, i plan.Interface, what string, frames uint64) {
		if frames > 0 {
			v.Findings = append(v.Findings, Finding{
				Reason: reason, Bridge: in.Bridge.Name, Port: p.Name, Interface: i.Name, Action: Report, Notice: true,
				Detail: fmt.Sprintf("%s sent %s; frames dropped so far: %d", named(p, i), what, frames),
			})
		}
	}
	for _, p := range v.Accepted {
		for _, i := range p.Interfaces {
			n := in.Denied[i.UUID]
			add(WrongMAC, p, i, "from other addresses than "+i.AttachedMAC(), n.WrongMAC)
			add(OverLimit, p, i, fmt.Sprintf("more than %d broadcasts and multicasts in a second", in.Network.BroadcastLimit), n.OverLimit)
		}
	}
}

// larger tells whose guests may have a larger MTU than the network.
func (in Input) larger(v *Verdict) {
	for _, p := range v.Accepted {
		for _, i := range p.Interfaces {
			if had, is := in.Larger[i.Name]; is {
				v.Findings = append(v.Findings, Finding{
					Reason: MTULowered, Bridge: in.Bridge.Name, Port: p.Name, Interface: i.Name, Action: Report, Notice: true,
					Detail: fmt.Sprintf("%s was plugged in with an MTU of %d bytes, and the network has %d", named(p, i), had, in.Network.EffectiveMTU()),
				})
			}
		}
	}
}

// named names an interface, with the VM that it is of as far as that is known.
func named(p plan.Port, i plan.Interface) string {
	if vm := p.VM(); vm != "" {
		return fmt.Sprintf("%s (VM %s)", i.Name, vm)
	}
	return i.Name
}
