package clients

import (
	"testing"

	ovirtsdk "github.com/ovirt/go-ovirt"
)

func TestSetupNetworksWithEverything(t *testing.T) {
	s := newSDK(t)
	iso1, iso2, iso3 := s.addNetwork(vmNetwork("iso1")), s.addNetwork(vmNetwork("iso2")), s.addNetwork(vmNetwork("iso3"))
	lab := s.addNetwork(vmNetwork("lab").NetworkLabelsOfAny(label("lab2")))
	gone, kept := s.attach("iso3"), s.attach("iso2")
	sent(s.host, s.hostLabels().Add().Label(label("lab3")).Send)
	same(s.host, "what is attached before", s.attached(), sorted(iso2, iso3))

	nicless := ovirtsdk.NewNetworkLabelBuilder().Id("lab2").HostNic(&ovirtsdk.HostNic{}).MustBuild()
	sent(s.host, s.service().SetupNetworks().
		Async(false).CheckConnectivity(true).ConnectivityTimeout(60).CommitOnSuccess(true).
		ModifiedNetworkAttachmentsOfAny(to("iso1").MustBuild(), to("iso2").MustBuild()).
		RemovedNetworkAttachmentsOfAny(attachmentID(gone)).
		SynchronizedNetworkAttachmentsOfAny(attachmentID(kept)).
		ModifiedLabelsOfAny(label("lab1"), nicless).RemovedLabelsOfAny(label("lab3")).
		Query("follow", "x").Send)
	same(s.host, "what is attached afterwards", s.attached(), sorted(iso1, iso2, lab))
	same(s.host, "the bridges", s.bridges(), "iso1 iso2 lab")
	same(s.host, "the number of labels", len(has(s.host, sent(s.host, s.hostLabels().List().Send).Labels).Slice()), 2)

	sent(s.host, s.service().SetupNetworks().
		RemovedNetworkAttachmentsOfAny(to("iso1").MustBuild(), to("iso2").MustBuild()).
		RemovedLabelsOfAny(label("lab1"), label("lab2")).Send)
	same(s.host, "what is attached at the end", s.attached(), "")
	sent(s.host, s.service().SetupNetworks().Send)
	sent(s.host, s.service().CommitNetConfig().Send)
	sent(s.host, s.service().SyncAllNetworks().Send)
}

// Tools like Ansible send the same request again and again, with empty elements.
func TestT5SetupNetworksIsIdempotent(t *testing.T) {
	s := newSDK(t)
	network := s.addNetwork(vmNetwork("iso1"))
	none := ovirtsdk.NewIpAddressAssignmentBuilder().AssignmentMethod(ovirtsdk.BOOTPROTOCOL_NONE).
		Ip(&ovirtsdk.Ip{}).MustBuild()
	request := s.service().SetupNetworks().CommitOnSuccess(true).ModifiedNetworkAttachmentsOfAny(
		to("iso1").HostNic(&ovirtsdk.HostNic{}).Properties(&ovirtsdk.PropertySlice{}).IpAddressAssignmentsOfAny(none).MustBuild())
	sent(s.host, request.Send)
	before := s.OVS.Vsctl("get", "Bridge", "iso1", "_uuid")
	sent(s.host, request.Send)
	same(s.host, "what is attached", s.attached(), network)
	same(s.host, "the bridge", s.OVS.Vsctl("get", "Bridge", "iso1", "_uuid"), before)
}

func TestT7SetupNetworksIsAtomic(t *testing.T) {
	s := newSDK(t)
	iso1 := s.addNetwork(vmNetwork("iso1"))
	s.addNetwork(vmNetwork("iso2").NetworkLabelsOfAny(label("lab1")))
	s.attach("iso1")
	before := s.OVS.NextCfg()

	refused(s.host, s.service().SetupNetworks().
		ModifiedNetworkAttachmentsOfAny(to("iso2").MustBuild(), to("unknown").MustBuild()).
		RemovedNetworkAttachmentsOfAny(to("iso1").MustBuild()).ModifiedLabelsOfAny(label("lab1")).Send,
		"Operation Failed", "unknown")
	same(s.host, "what is attached", s.attached(), iso1)
	same(s.host, "the number of labels", len(has(s.host, sent(s.host, s.hostLabels().List().Send).Labels).Slice()), 0)
	same(s.host, "the number of transactions on Open vSwitch", s.OVS.NextCfg()-before, 0)
}

func TestT8T10SetupNetworksThatContradictsItself(t *testing.T) {
	s := newSDK(t)
	iso1 := s.addNetwork(vmNetwork("iso1"))
	attachment := s.attach("iso1")
	setup := s.service().SetupNetworks
	both := ovirtsdk.NewNetworkAttachmentBuilder().Id(attachment).NetworkBuilder(ovirtsdk.NewNetworkBuilder().Name("iso1")).MustBuild()
	refused(s.host, setup().ModifiedNetworkAttachmentsOfAny(both).RemovedNetworkAttachmentsOfAny(attachmentID(attachment)).Send,
		"Operation Failed", attachment)
	refused(s.host, setup().ModifiedLabelsOfAny(label("lab1")).RemovedLabelsOfAny(label("lab1")).Send, "Operation Failed", "lab1", "more than once")
	refused(s.host, setup().ModifiedLabelsOfAny(label("a b")).Send, "English letters, numbers, hyphen or underscore")
	refused(s.host, setup().RemovedLabelsOfAny(label("none")).Send, "Operation Failed", "none")
	same(s.host, "what is attached", s.attached(), iso1)
}
