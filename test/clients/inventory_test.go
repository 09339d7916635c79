package clients

import (
	"testing"

	ovirtclientlog "github.com/ovirt/go-ovirt-client-log/v3"
	ovirtclient "github.com/ovirt/go-ovirt-client/v3"
)

// TestInventory reads with go-ovirt-client what provisioning tools built on it
// read before they do anything.
func TestInventory(t *testing.T) {
	s := newSDK(t)
	network := s.addNetwork(vmNetwork("iso1"))
	client, err := ovirtclient.New(api, admin, password, ovirtclient.TLS().Insecure(), ovirtclientlog.NewTestLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	retries := []ovirtclient.RetryStrategy{ovirtclient.MaxTries(1)}

	hosts, err := client.ListHosts(retries...)
	if err != nil || len(hosts) != 1 {
		t.Fatalf("hosts: %v, %v", hosts, err)
	}
	same(s.host, "the host", string(hosts[0].ID()), s.id)
	same(s.host, "the host's status", hosts[0].Status(), ovirtclient.HostStatusUp)
	clusters, err := client.ListClusters(retries...)
	if err != nil || len(clusters) != 1 {
		t.Fatalf("clusters: %v, %v", clusters, err)
	}
	same(s.host, "the cluster", clusters[0].Name(), "Default")
	same(s.host, "the host's cluster", hosts[0].ClusterID(), clusters[0].ID())
	centers, err := client.ListDatacenters(retries...)
	if err != nil || len(centers) != 1 {
		t.Fatalf("data centers: %v, %v", centers, err)
	}
	networks, err := client.ListNetworks(retries...)
	if err != nil || len(networks) != 1 {
		t.Fatalf("networks: %v, %v", networks, err)
	}
	same(s.host, "the network", string(networks[0].ID()), network)
	same(s.host, "the network's data center", networks[0].DatacenterID(), centers[0].ID())
	profiles, err := client.ListVNICProfiles(retries...)
	if err != nil {
		t.Fatal(err)
	}
	for _, profile := range profiles {
		same(s.host, "the profile's network", string(profile.NetworkID()), network)
	}
}
