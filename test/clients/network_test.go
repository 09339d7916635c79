package clients

import (
	"regexp"
	"strings"
	"testing"

	ovirtsdk "github.com/ovirt/go-ovirt"
)

func TestT3T22Network(t *testing.T) {
	s := newSDK(t)
	id := s.addNetwork(vmNetwork("iso1").Description("isolated").Mtu(1400).ProfileRequired(false))
	s.addNetwork(vmNetwork("iso2"))

	got := has(s.host, sent(s.host, s.networks().NetworkService(id).Get().Send).Network)
	same(s.host, "the name", has(s.host, got.Name), "iso1")
	same(s.host, "the description", has(s.host, got.Description), "isolated")
	same(s.host, "the MTU", has(s.host, got.Mtu), 1400)
	same(s.host, "the bridge's name", has(s.host, got.VdsmName), "iso1")
	usages := has(s.host, got.Usages)
	if len(usages) != 1 || usages[0] != ovirtsdk.NETWORKUSAGE_VM {
		t.Errorf("the usages are %v", usages)
	}
	center, err := s.conn.FollowLink(has(s.host, got.DataCenter))
	if err != nil {
		t.Fatal(err)
	}
	same(s.host, "the data center", has(s.host, center.(*ovirtsdk.DataCenter).Name), "Default")

	sent(s.host, s.networks().NetworkService(id).Update().Network(
		ovirtsdk.NewNetworkBuilder().Mtu(9000).Comment("jumbo").MustBuild()).Send)
	got = has(s.host, sent(s.host, s.networks().NetworkService(id).Get().Send).Network)
	same(s.host, "the updated MTU", has(s.host, got.Mtu), 9000)
	same(s.host, "the updated comment", has(s.host, got.Comment), "jumbo")
	same(s.host, "the description, which the update did not have", has(s.host, got.Description), "isolated")

	for search, want := range map[string]int{
		"": 2, "name=iso1": 1, `name="iso1" and datacenter="Default"`: 1, "name=iso*": 2, "mtu=9000": 1, "name=none": 0,
	} {
		found := has(s.host, sent(s.host, s.networks().List().Search(search).Send).Networks)
		same(s.host, "the number of networks with "+search, len(found.Slice()), want)
	}
	same(s.host, "the number of networks at most", len(has(s.host, sent(s.host, s.networks().List().Max(1).Send).Networks).Slice()), 1)
	same(s.host, "the bridges of networks that are not attached", s.bridges(), "")

	sent(s.host, s.networks().NetworkService(id).Remove().Send)
	fails[*ovirtsdk.NotFoundError](s.host, s.networks().NetworkService(id).Remove().Send)
	same(s.host, "the number of networks left", len(has(s.host, sent(s.host, s.networks().List().Send).Networks).Slice()), 1)
}

func TestT11NetworkLabel(t *testing.T) {
	s := newSDK(t)
	plain := s.networks().NetworkService(s.addNetwork(vmNetwork("iso1")))
	labelled := s.networks().NetworkService(s.addNetwork(vmNetwork("iso2").NetworkLabelsOfAny(label("lab1"))))

	ids := func(network *ovirtsdk.NetworkService) string {
		var ids []string
		for _, l := range has(s.host, sent(s.host, network.NetworkLabelsService().List().Send).Labels).Slice() {
			ids = append(ids, has(s.host, l.Id))
		}
		return strings.Join(ids, " ")
	}
	same(s.host, "the label of a network made with one", ids(labelled), "lab1")
	same(s.host, "the label of a network made without", ids(plain), "")
	added := sent(s.host, plain.NetworkLabelsService().Add().Label(label("lab1")).Send)
	same(s.host, "the added label", has(s.host, has(s.host, added.Label).Id), "lab1")
	same(s.host, "the label afterwards", ids(plain), "lab1")
	refused(s.host, plain.NetworkLabelsService().Add().Label(label("lab2")).Send, `"400"`, "already labeled")
	refused(s.host, labelled.NetworkLabelsService().Add().Label(label("a b")).Send, `"400"`)
	sent(s.host, plain.NetworkLabelsService().LabelService("lab1").Remove().Send)
	fails[*ovirtsdk.NotFoundError](s.host, plain.NetworkLabelsService().LabelService("lab1").Remove().Send)
	refused(s.host, plain.NetworkLabelsService().Add().Label(label("a b")).Send, `"400"`,
		"Network label must be formed only from: English letters, numbers, hyphen or underscore.")
	same(s.host, "the label at the end", ids(plain), "")
}

func TestT12NetworkThatCannotBeIsolated(t *testing.T) {
	s := newSDK(t)
	add := func(n *ovirtsdk.NetworkBuilder) func() (*ovirtsdk.NetworksServiceAddResponse, error) {
		return s.networks().Add().Network(n.MustBuild()).Send
	}
	refused(s.host, add(vmNetwork("storage").Usages([]ovirtsdk.NetworkUsage{ovirtsdk.NETWORKUSAGE_GLUSTER})), "Operation Failed")
	refused(s.host, add(ovirtsdk.NewNetworkBuilder().Name("plain").Usages([]ovirtsdk.NetworkUsage{}).
		DataCenterBuilder(ovirtsdk.NewDataCenterBuilder().Name("Default"))), `"409"`, "VM network")
	refused(s.host, add(vmNetwork("tagged").VlanBuilder(ovirtsdk.NewVlanBuilder().Id(10))), `"400"`, "VLAN")
	refused(s.host, add(vmNetwork("iso1").DataCenterBuilder(ovirtsdk.NewDataCenterBuilder().Name("Another"))), `"400"`, "Data Center doesn't exist.")
	same(s.host, "the number of networks", len(has(s.host, sent(s.host, s.networks().List().Send).Networks).Slice()), 0)
}

func TestT13MTU(t *testing.T) {
	s := newSDK(t)
	refused(s.host, s.networks().Add().Network(vmNetwork("low").Mtu(67).MustBuild()).Send, `"400"`)
	for name, mtu := range map[string]int64{"lowest": 68, "default": 0} {
		s.addNetwork(vmNetwork(name).Mtu(mtu))
	}
	id := s.addNetwork(vmNetwork("jumbo").Mtu(9000))
	attachment := s.attach("jumbo")
	same(s.host, "the reported MTU", s.reported(attachment)["mtu"], "9000")
	sent(s.host, s.networks().NetworkService(id).Update().Network(ovirtsdk.NewNetworkBuilder().Mtu(1400).MustBuild()).Send)
	same(s.host, "the reported MTU after an update", s.reported(attachment)["mtu"], "1400")
	same(s.host, "Open vSwitch's MTU", s.OVS.Vsctl("get", "Interface", "jumbo", "mtu"), "1400")
}

// reported returns the actual values that an attachment reports, all of which
// must be in sync.
func (s *sdk) reported(attachment string) map[string]string {
	s.Helper()
	a := has(s.host, sent(s.host, s.attachments().AttachmentService(attachment).Get().Send).Attachment)
	if !has(s.host, a.InSync) {
		s.Errorf("the attachment is not in sync")
	}
	values := map[string]string{}
	for _, c := range has(s.host, a.ReportedConfigurations).Slice() {
		name, actual := has(s.host, c.Name), has(s.host, c.ActualValue)
		if !has(s.host, c.InSync) || has(s.host, c.ExpectedValue) != actual {
			s.Errorf("%s is %s, and not in sync", name, actual)
		}
		values[name] = actual
	}
	return values
}

func TestT14NetworkNames(t *testing.T) {
	s := newSDK(t)
	s.addNetwork(vmNetwork("iso1"))
	refused(s.host, s.networks().Add().Network(vmNetwork("iso1").MustBuild()).Send, `"409"`, "iso1", "already used")
	refused(s.host, s.networks().Add().Network(vmNetwork("bond1").MustBuild()).Send, `"400"`, "bond")
	refused(s.host, s.networks().Add().Network(vmNetwork(strings.Repeat("x", 257)).MustBuild()).Send, `"400"`)

	long := s.addNetwork(vmNetwork(strings.Repeat("x", 256)))
	bridge := has(s.host, has(s.host, sent(s.host, s.networks().NetworkService(long).Get().Send).Network).VdsmName)
	if !regexp.MustCompile(`^on[0-9a-f]{13}$`).MatchString(bridge) || bridge != "on"+strings.ReplaceAll(long, "-", "")[:13] {
		t.Errorf("the bridge of a network with a long name is %q", bridge)
	}
	s.attach(strings.Repeat("x", 256))
	same(s.host, "the bridges", s.bridges(), bridge)
}
