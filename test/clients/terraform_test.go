package clients

import (
	"testing"

	ovirtclientlog "github.com/ovirt/go-ovirt-client-log/v3"
	ovirtclient "github.com/ovirt/go-ovirt-client/v3"
)

// TestDataSources reads what the data sources of terraform-provider-ovirt read, by the
// client that the provider is made of.
func TestDataSources(t *testing.T) {
	s := newSDK(t)
	client, err := ovirtclient.New(api, admin, password, ovirtclient.TLS().Insecure(), ovirtclientlog.NewTestLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	once := ovirtclient.MaxTries(1)
	clusters, err := client.ListClusters(once)
	if err != nil || len(clusters) != 1 {
		t.Fatalf("clusters: %v, %v", clusters, err)
	}
	hosts, err := client.ListHosts(once)
	if err != nil || len(hosts) != 1 || hosts[0].ClusterID() != clusters[0].ID() || string(hosts[0].ID()) != s.id {
		t.Errorf("ovirt_cluster_hosts: %v, %v", hosts, err)
	}
	templates, err := client.ListTemplates(once)
	if err != nil || len(templates) != 0 {
		t.Errorf("ovirt_templates: %v, %v", templates, err)
	}
	groups, err := client.ListAffinityGroups(clusters[0].ID(), once)
	if err != nil || len(groups) != 0 {
		t.Errorf("ovirt_affinity_group: %v, %v", groups, err)
	}
	if template, err := client.GetBlankTemplate(once); err == nil {
		t.Errorf("ovirt_blank_template: %v", template)
	}
}
