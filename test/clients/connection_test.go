package clients

import (
	"errors"
	"fmt"
	"os"
	"testing"

	ovirtsdk "github.com/ovirt/go-ovirt"

	"github.com/isonet/isonet/internal/ovstest"
)

func TestT1Connection(t *testing.T) {
	h := newHost(t)
	for _, url := range []string{api, api + "/", api + "/v4"} {
		conn := h.connect(url, admin)
		if err := conn.Test(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		hosts := has(h, sent(h, conn.SystemService().HostsService().List().Send).Hosts).Slice()
		if len(hosts) != 1 {
			t.Fatalf("%s: %d hosts", url, len(hosts))
		}
		same(h, "the host's id", has(h, hosts[0].Id), h.id)
	}
}

func TestT1WrongPassword(t *testing.T) {
	h := newHost(t)
	for _, user := range []string{admin, "nobody@internal"} {
		conn, err := ovirtsdk.NewConnectionBuilder().URL(api).Username(user).Password("wrong").Build()
		if err != nil {
			t.Fatal(err)
		}
		refused(h, conn.SystemService().Get().Send, "access_denied", user)
		fails[*ovirtsdk.AuthError](h, conn.SystemService().Get().Send)
	}
}

// The Go SDK never logs in again: an expired token is the end of a connection.
func TestT1ExpiredToken(t *testing.T) {
	// Shorter than the time between two looks.
	h := newHost(t, "--token-timeout", "1ms")
	conn := h.connect(api, admin)
	ovstest.Eventually(t, "the unused token expires", func() error {
		_, err := conn.SystemService().Get().Send()
		if expired := (*ovirtsdk.AuthError)(nil); !errors.As(err, &expired) {
			return fmt.Errorf("the error is %T: %w", err, err)
		}
		return nil
	})
}

func TestReader(t *testing.T) {
	s := newSDK(t, "--readers", "reader")
	network := s.addNetwork(vmNetwork("iso1"))
	attachment := s.attach("iso1")
	reader := &sdk{s.host, s.connect(api, reader)}

	same(s.host, "what the reader sees attached", reader.attached(), network)
	sent(s.host, reader.statistics(attachment).List().Send)
	fails[*ovirtsdk.AuthError](s.host, reader.networks().Add().Network(vmNetwork("iso2").MustBuild()).Send)
	refused(s.host, reader.networks().NetworkService(network).Remove().Send, `"403"`, "not authorized")
	refused(s.host, reader.attachments().AttachmentService(attachment).Remove().Send, `"403"`)
	refused(s.host, reader.hostLabels().Add().Label(label("lab")).Send, `"403"`)
	refused(s.host, reader.service().SetupNetworks().RemovedNetworkAttachmentsOfAny(attachmentID(attachment)).Send, "not authorized")
	same(s.host, "what is attached afterwards", s.attached(), network)
}

// What is not there must be the SDK's NotFoundError, which it makes only of an
// answer that it can read.
func TestT17NotFound(t *testing.T) {
	const unknown = "3f0f0000-0000-4000-8000-000000000000"
	s := newSDK(t)
	for _, id := range []string{unknown, "nope"} {
		fails[*ovirtsdk.NotFoundError](s.host, s.conn.SystemService().HostsService().HostService(id).Get().Send)
		fails[*ovirtsdk.NotFoundError](s.host, s.networks().NetworkService(id).Get().Send)
		fails[*ovirtsdk.NotFoundError](s.host, s.networks().NetworkService(id).Remove().Send)
		fails[*ovirtsdk.NotFoundError](s.host, s.attachments().AttachmentService(id).Get().Send)
		fails[*ovirtsdk.NotFoundError](s.host, s.attachments().AttachmentService(id).Remove().Send)
		fails[*ovirtsdk.NotFoundError](s.host, s.statistics(id).List().Send)
		fails[*ovirtsdk.NotFoundError](s.host, s.hostLabels().LabelService(id).Get().Send)
	}
	// The SDK speaks to paths that no server has, and with methods that the
	// resource does not have.
	fails[*ovirtsdk.NotFoundError](s.host, ovirtsdk.NewStatisticsService(s.conn, "/no/such/path").List().Send)
	refused(s.host, ovirtsdk.NewNetworksService(s.conn, "/datacenters").Add().Network(vmNetwork("iso1").MustBuild()).Send, `"405"`, "Method Not Allowed")
}

// The Go SDK does not escape text, so that these names arrive as malformed XML.
func TestT16NamesThatTheSDKDoesNotEscape(t *testing.T) {
	s := newSDK(t)
	refused(s.host, s.networks().Add().Network(vmNetwork("a&b<c").MustBuild()).Send, `"400"`, "Request syntactically incorrect.")
	same(s.host, "the bridges", s.bridges(), "")
	s.addNetwork(vmNetwork("ä b")) // the connection lives on
}

func TestT20Version(t *testing.T) {
	s := newSDK(t)
	hosts := s.conn.SystemService().HostsService()
	sent(s.host, hosts.List().Header("Version", "4").Send)
	refused(s.host, hosts.List().Header("Version", "2").Send, `"400"`)
}

func TestT22Hosts(t *testing.T) {
	s := newSDK(t)
	network := s.addNetwork(vmNetwork("iso1"))
	attachment := s.attach("iso1")
	hosts := s.conn.SystemService().HostsService()

	for search, want := range map[string]int{
		"":                                      1,
		"name=host1":                            1,
		`name="host1"`:                          1,
		"name=HOST* and datacenter=Default":     1,
		`name="host1" and cluster="Default"`:    1,
		"name=host2":                            0,
		`name="host1" and datacenter="Another"`: 0,
	} {
		found := has(s.host, sent(s.host, hosts.List().Search(search).Max(5).Send).Hosts)
		same(s.host, "the number of hosts with "+search, len(found.Slice()), want)
	}
	same(s.host, "the number of hosts with the wrong case",
		len(has(s.host, sent(s.host, hosts.List().Search("name=HOST1").CaseSensitive(true).Send).Hosts).Slice()), 0)
	same(s.host, "the number of hosts at most",
		len(has(s.host, sent(s.host, hosts.List().Max(0).Send).Hosts).Slice()), 0)
	refused(s.host, hosts.List().Search("nonsense=1").Send, `"400"`)

	got := has(s.host, sent(s.host, s.service().Get().AllContent(true).Follow("networkattachments.network").Send).Host)
	same(s.host, "the name", has(s.host, got.Name), hostName)
	same(s.host, "the status", has(s.host, got.Status), ovirtsdk.HOSTSTATUS_UP)
	same(s.host, "the type", has(s.host, got.Type), ovirtsdk.HOSTTYPE_RHEL)
	followed := has(s.host, got.NetworkAttachments).Slice()
	if len(followed) != 1 {
		t.Fatalf("%d attachments are followed", len(followed))
	}
	same(s.host, "the followed attachment", has(s.host, followed[0].Id), attachment)
	same(s.host, "the followed network's id", has(s.host, has(s.host, followed[0].Network).Id), network)
	same(s.host, "the followed network's name", has(s.host, has(s.host, followed[0].Network).Name), "iso1")

	cluster, err := s.conn.FollowLink(has(s.host, got.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	same(s.host, "the cluster's name", has(s.host, cluster.(*ovirtsdk.Cluster).Name), "Default")
	list := has(s.host, sent(s.host, hosts.List().Follow("networkattachments").Send).Hosts).Slice()
	same(s.host, "the attachments in the list", len(has(s.host, list[0].NetworkAttachments).Slice()), 1)
}

// An isolated network has no NIC, but inventories read those of a host. Network
// namespaces have none: a cable between two of them is none.
func TestNICs(t *testing.T) {
	s := newSDK(t)
	s.ip("link", "add", "cable0", "type", "veth", "peer", "name", "eth0", "netns", ovstest.Namespace(s))
	nics := has(s.host, sent(s.host, s.service().NicsService().List().Follow("statistics").Send).Nics)
	same(s.host, "the number of NICs", len(nics.Slice()), 0)
	fails[*ovirtsdk.NotFoundError](s.host, s.service().NicsService().NicService("cable0").Get().Send)
}

// TestSDKReadsNICs is for the NICs that a host with hardware has.
func TestSDKReadsNICs(t *testing.T) {
	golden, err := os.ReadFile("../../api/testdata/host_nics.xml")
	if err != nil {
		t.Fatal(err)
	}
	nics, err := ovirtsdk.XMLHostNicReadMany(ovirtsdk.NewXMLReader(golden), nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := nics.Slice(); len(names) < 2 || names[0].MustName() != "bond0" || len(names[0].MustBonding().MustSlaves().Slice()) != 2 {
		t.Errorf("the SDK reads %v", names)
	}
}

func TestDataCenterAndCluster(t *testing.T) {
	s := newSDK(t)
	network := s.addNetwork(vmNetwork("iso1"))
	system := s.conn.SystemService()

	centers := has(s.host, sent(s.host, system.DataCentersService().List().Send).DataCenters).Slice()
	clusters := has(s.host, sent(s.host, system.ClustersService().List().Search("name=Default").Send).Clusters).Slice()
	if len(centers) != 1 || len(clusters) != 1 {
		t.Fatalf("%d data centers, %d clusters", len(centers), len(clusters))
	}
	same(s.host, "the data center's name", has(s.host, centers[0].Name), "Default")
	same(s.host, "the cluster's name", has(s.host, clusters[0].Name), "Default")
	same(s.host, "the cluster's data center", has(s.host, has(s.host, clusters[0].DataCenter).Id), has(s.host, centers[0].Id))

	center := system.DataCentersService().DataCenterService(has(s.host, centers[0].Id))
	of := has(s.host, sent(s.host, center.NetworksService().List().Send).Networks).Slice()
	same(s.host, "the number of the data center's networks", len(of), 1)
	same(s.host, "the data center's network", has(s.host, of[0].Id), network)
	same(s.host, "the number of its clusters", len(has(s.host, sent(s.host, center.ClustersService().List().Send).Clusters).Slice()), 1)

	cluster := system.ClustersService().ClusterService(has(s.host, clusters[0].Id))
	assigned := sent(s.host, cluster.NetworksService().Add().Network(
		ovirtsdk.NewNetworkBuilder().Id(network).Required(false).MustBuild()).Send)
	same(s.host, "the assigned network", has(s.host, has(s.host, assigned.Network).Id), network)
	got := sent(s.host, cluster.NetworksService().NetworkService(network).Get().Send)
	same(s.host, "the cluster's network", has(s.host, has(s.host, got.Network).Name), "iso1")
	sent(s.host, system.VnicProfilesService().List().Send)
	same(s.host, "the number of virtual machines", len(has(s.host, sent(s.host, system.VmsService().List().Send).Vms).Slice()), 0)
}
