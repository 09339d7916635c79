package clients

import (
	"testing"

	ovirtsdk "github.com/ovirt/go-ovirt"
)

func TestT4T6Attachment(t *testing.T) {
	s := newSDK(t)
	network := s.addNetwork(vmNetwork("iso1").Mtu(1400))
	added := has(s.host, sent(s.host, s.attachments().Add().Attachment(to("iso1").MustBuild()).Send).Attachment)
	id := has(s.host, added.Id)
	if nic, ok := added.HostNic(); ok {
		t.Errorf("an isolated network's attachment has the NIC %v", nic)
	}
	same(s.host, "the host", has(s.host, has(s.host, added.Host).Id), s.id)
	same(s.host, "the network", has(s.host, has(s.host, added.Network).Id), network)
	same(s.host, "the bridges", s.bridges(), "iso1")

	followed, err := s.conn.FollowLink(has(s.host, added.Network))
	if err != nil {
		t.Fatal(err)
	}
	same(s.host, "the network behind the link", has(s.host, followed.(*ovirtsdk.Network).Name), "iso1")
	list := has(s.host, sent(s.host, s.attachments().List().Follow("network").Max(10).Send).Attachments).Slice()
	if len(list) != 1 {
		t.Fatalf("%d attachments are listed", len(list))
	}
	same(s.host, "the listed attachment", has(s.host, list[0].Id), id)
	same(s.host, "its followed network", has(s.host, has(s.host, list[0].Network).Name), "iso1")
	same(s.host, "whether it is bridged", s.reported(id)["bridged"], "true")

	refused(s.host, s.attachments().Add().Attachment(to("iso1").MustBuild()).Send, `"400"`,
		"Network iso1 is already attached via attachment "+id+".")
	refused(s.host, s.attachments().Add().Attachment(to("iso1").Id(id).MustBuild()).Send, `"400"`, id)
	refused(s.host, s.attachments().Add().Attachment(to("unknown").MustBuild()).Send, `"400"`, "unknown")

	sent(s.host, s.attachments().AttachmentService(id).Remove().Send)
	fails[*ovirtsdk.NotFoundError](s.host, s.attachments().AttachmentService(id).Remove().Send)
	same(s.host, "the bridges afterwards", s.bridges(), "")
}

func TestAttachmentUpdate(t *testing.T) {
	s := newSDK(t)
	s.addNetwork(vmNetwork("iso1"))
	other := s.addNetwork(vmNetwork("iso2"))
	service := s.attachments().AttachmentService(s.attach("iso1"))
	property := ovirtsdk.NewPropertyBuilder().Name("k").Value("v").MustBuild()

	updated := sent(s.host, service.Update().Async(false).Attachment(to("iso1").PropertiesOfAny(property).MustBuild()).Send)
	read := has(s.host, sent(s.host, service.Get().Send).Attachment)
	for _, a := range []*ovirtsdk.NetworkAttachment{has(s.host, updated.Attachment), read} {
		properties := has(s.host, a.Properties).Slice()
		if len(properties) != 1 {
			t.Fatalf("%d properties", len(properties))
		}
		same(s.host, "the property's value", has(s.host, properties[0].Value), "v")
	}
	// Clients also send the whole object back that they have read.
	sent(s.host, service.Update().Attachment(read).Send)
	refused(s.host, service.Update().Attachment(ovirtsdk.NewNetworkAttachmentBuilder().NetworkBuilder(
		ovirtsdk.NewNetworkBuilder().Id(other)).MustBuild()).Send, `"400"`, "cannot be updated")
	same(s.host, "the bridges", s.bridges(), "iso1")
}

func TestAttachmentThatNeedsMoreThanABridge(t *testing.T) {
	s := newSDK(t)
	s.addNetwork(vmNetwork("iso1"))
	none := ovirtsdk.NewIpAddressAssignmentBuilder().AssignmentMethod(ovirtsdk.BOOTPROTOCOL_NONE).MustBuild()
	static := ovirtsdk.NewIpAddressAssignmentBuilder().AssignmentMethod(ovirtsdk.BOOTPROTOCOL_STATIC).
		IpBuilder(ovirtsdk.NewIpBuilder().Address("10.0.0.1").Netmask("255.255.255.0")).MustBuild()
	nic := ovirtsdk.NewHostNicBuilder().Name("eth7").MustBuild()

	refused(s.host, s.attachments().Add().Attachment(to("iso1").IpAddressAssignmentsOfAny(static).MustBuild()).Send, `"400"`, "IP address")
	refused(s.host, s.attachments().Add().Attachment(to("iso1").HostNic(nic).MustBuild()).Send, `"400"`, "eth7")
	same(s.host, "what is attached", s.attached(), "")
	sent(s.host, s.attachments().Add().Attachment(to("iso1").HostNic(&ovirtsdk.HostNic{}).IpAddressAssignmentsOfAny(none).MustBuild()).Send)
	same(s.host, "the bridges", s.bridges(), "iso1")
}

// A bridge with a virtual machine on it does not go, unless it is forced.
func TestT24NetworkInUseStays(t *testing.T) {
	s := newSDK(t)
	network := s.addNetwork(vmNetwork("iso1"))
	attachment := s.attach("iso1")
	s.plug("iso1", "vm1", "10.9.0.1/24")

	refused(s.host, s.attachments().AttachmentService(attachment).Remove().Send, `"409"`, "vm1")
	refused(s.host, s.networks().NetworkService(network).Remove().Send, `"409"`, "vm1")
	refused(s.host, s.service().SetupNetworks().RemovedNetworkAttachmentsOfAny(attachmentID(attachment)).Send, "Operation Failed", "vm1")
	same(s.host, "the bridges", s.bridges(), "iso1")
	sent(s.host, s.attachments().AttachmentService(attachment).Remove().Query("force", "true").Send)
	same(s.host, "the bridges after force", s.bridges(), "")
}
