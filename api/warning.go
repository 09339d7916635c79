package api

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// warningHeader is in the reply of a write that was done, or would be, and that
// VMs will notice: a sentence in ASCII for each thing.
const warningHeader = "Isonet-Warning"

// warnedPorts is how many ports a warning names.
const warnedPorts = 8

// warn tells the client what a change means for VMs.
func (c *call) warn(texts []string) {
	for _, text := range texts {
		c.w.Header().Add(warningHeader, ascii(text))
	}
}

// ascii writes text so that it fits into a header.
func ascii(text string) string {
	quoted := strconv.QuoteToASCII(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// cutMTUs warns of networks whose MTU gets smaller than that of the devices that
// are plugged in. Their guests are told nothing, and what they send
// in larger frames gets lost without a word.
func (i impact) cutMTUs(actual *plan.Actual) []string {
	var warnings []string
	for _, n := range i.shrunk {
		b, _ := actual.Bridge(n)
		if users := largerThan(b, n.EffectiveMTU()); len(users) > 0 {
			warnings = append(warnings, mtuWarning(n, users))
		}
	}
	return warnings
}

func mtuWarning(n model.Network, users []string) string {
	more := ""
	if len(users) > warnedPorts {
		more = fmt.Sprintf(" and %d more", len(users)-warnedPorts)
		users = users[:warnedPorts]
	}
	mtu := n.EffectiveMTU()
	return fmt.Sprintf("The MTU of the network '%s' is smaller than before, %d bytes, and these guests do not learn of it: %s%s. "+
		"Larger frames of theirs get lost. Set the MTU in the guests, or give their interfaces <mtu size='%d'/> and start them anew.",
		n.Name, mtu, strings.Join(users, ", "), more, mtu)
}

// largerThan names the ports whose devices have a larger MTU, each with its VM.
func largerThan(b plan.Bridge, mtu int) []string {
	var names []string
	for _, p := range b.Endpoints() {
		for _, i := range p.Interfaces {
			switch vm := p.VM(); {
			case i.MTU <= mtu || i.Failed():
			case vm == "":
				names = append(names, i.Name)
			default:
				names = append(names, fmt.Sprintf("%s (VM %s)", i.Name, vm))
			}
		}
	}
	return names
}
