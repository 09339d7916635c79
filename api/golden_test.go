package api_test

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	dataCenter = string(model.DeriveID("datacenter Default"))
	cluster    = string(model.DeriveID("cluster Default"))
	// The profile of the network iso1.
	vnicProfile = string(model.DeriveID("vnicprofile " + string(iso1)))
	// The statistic memory.used of hosts.
	memoryUsed = "b7499508-c1c3-32f0-8174-c1783e57bb08"
	// The time of the answer is in the root.
	now = regexp.MustCompile(`(<time>)[^<]+(</time>)|("time": )\d+`)
)

// TestRepresentations compares every readable resource, in both forms.
func TestRepresentations(t *testing.T) {
	w := newWorld(t)
	for name, path := range map[string]string{
		"root":                      base,
		"root_alias_v4":             "/api/v4/",
		"datacenters":               base + "/datacenters",
		"datacenter":                base + "/datacenters/" + dataCenter,
		"datacenter_follow":         base + "/datacenters/" + dataCenter + "?follow=clusters,networks.network_labels",
		"datacenter_clusters":       base + "/datacenters/" + dataCenter + "/clusters",
		"datacenter_networks":       base + "/datacenters/" + dataCenter + "/networks?max=1",
		"datacenter_network":        base + "/datacenters/" + dataCenter + "/networks/" + string(iso1),
		"clusters":                  base + "/clusters",
		"cluster":                   base + "/clusters/" + cluster,
		"cluster_follow":            base + "/clusters/" + cluster + "?follow=data_center,networks.vnic_profiles",
		"cluster_networks":          base + "/clusters/" + cluster + "/networks?max=1",
		"cluster_network":           base + "/clusters/" + cluster + "/networks/" + string(iso1),
		"vms":                       base + "/vms",
		"vnicprofiles":              base + "/vnicprofiles?max=2",
		"vnicprofile":               base + "/vnicprofiles/" + vnicProfile,
		"vnicprofile_follow":        base + "/vnicprofiles/" + vnicProfile + "?follow=network",
		"network_vnicprofiles":      base + "/networks/" + string(iso1) + "/vnicprofiles",
		"storagedomains":            base + "/storagedomains",
		"vmpools":                   base + "/vmpools",
		"templates":                 base + "/templates",
		"disks":                     base + "/disks",
		"tags":                      base + "/tags",
		"option":                    base + "/options/UserSessionTimeOutInterval",
		"users_of_the_socket":       base + "/users",
		"networks":                  base + "/networks",
		"network":                   base + "/networks/" + string(iso1),
		"network_follow":            base + "/networks/" + string(iso3) + "?follow=network_labels,vnic_profiles,data_center",
		"network_labels":            base + "/networks/" + string(iso3) + "/networklabels",
		"network_label":             base + "/networks/" + string(iso3) + "/networklabels/lab3",
		"hosts":                     base + "/hosts",
		"host":                      hostPath,
		"host_alias":                "/api/hosts/" + string(host1),
		"host_follow":               hostPath + "?follow=statistics,network_attachments.network.networklabels,networkattachments.statistics,network_labels,nics.statistics",
		"host_follow_up":            hostPath + "?follow=cluster.data_center,network_attachments.host",
		"host_statistics":           hostPath + "/statistics",
		"host_statistic":            hostPath + "/statistics/" + memoryUsed,
		"host_statistics_elsewhere": base + "/hosts/" + string(host2) + "/statistics?max=2",
		"host_nics":                 nicsPath,
		"host_nics_follow":          nicsPath + "?follow=statistics&max=1",
		"host_nics_elsewhere":       base + "/hosts/" + string(host2) + "/nics",
		"host_nic":                  nicsPath + "/" + nicID("eth0"),
		"host_nic_follow":           nicsPath + "/" + nicID("eth2") + "?follow=host,statistics",
		"host_nic_statistics":       nicsPath + "/" + nicID("eth0") + "/statistics",
		"host_nic_statistic":        nicsPath + "/" + nicID("eth0") + "/statistics/0b9ddd6a-fc1b-398a-9f95-7a863c753017",
		"host_nic_attachments":      nicsPath + "/" + nicID("eth0") + "/networkattachments",
		"host_nic_labels":           nicsPath + "/" + nicID("eth0") + "/networklabels",
		"host_unmanagednetworks":    hostPath + "/unmanagednetworks",
		"host_networklabels":        hostPath + "/networklabels",
		"host_networklabel":         hostPath + "/networklabels/lab3",
		"attachments":               attachmentsPath,
		"attachment":                attachmentsPath + "/" + attachmentID(iso1),
		"attachment_follow":         attachmentsPath + "/" + attachmentID(iso1) + "?follow=host,network",
		"statistics":                attachmentsPath + "/" + attachmentID(iso1) + "/statistics",
		"statistics_without_values": attachmentsPath + "/" + attachmentID(iso3) + "/statistics?max=5",
		"statistic":                 attachmentsPath + "/" + attachmentID(iso1) + "/statistics/0b9ddd6a-fc1b-398a-9f95-7a863c753017",
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".xml", w.must(http.StatusOK, "GET", path, "").Body.Bytes())
			golden(t, name+".json", w.must(http.StatusOK, "GET", path, "", jsonReply).Body.Bytes())
		})
	}
	golden(t, "status.json", w.must(http.StatusOK, "GET", base+"/isonet/status", "").Body.Bytes())
}

// TestRepresentationsOfWrites compares what writes answer.
func TestRepresentationsOfWrites(t *testing.T) {
	for name, request := range map[string]struct {
		method, path, body string
		status             int
	}{
		"added_attachment": {
			"POST", attachmentsPath, `<network_attachment><network id="` + string(iso2) + `"/></network_attachment>`, http.StatusCreated,
		},
		"added_host_label": {"POST", hostPath + "/networklabels", `<network_label id="new"/>`, http.StatusCreated},
		"added_network_label": {
			"POST", base + "/networks/" + string(iso1) + "/networklabels", `<network_label id="new"/>`, http.StatusCreated,
		},
		"updated_cluster_network": {
			"PUT", base + "/clusters/" + cluster + "/networks/" + string(iso1), `<network><required>false</required><usages><usage>vm</usage></usages></network>`, http.StatusOK,
		},
		"fault_cluster_network": {"DELETE", base + "/clusters/" + cluster + "/networks/" + string(iso1), "", http.StatusConflict},
		"updated_network":       {"PUT", base + "/networks/" + string(iso1), `<network><mtu>9000</mtu></network>`, http.StatusOK},
		"removed":               {"DELETE", base + "/networks/" + string(iso2), "", http.StatusOK},
		"setupnetworks": {
			"POST", setupPath, `<action><async>false</async><commit_on_success>1</commit_on_success><modified_labels><network_label id="x"/></modified_labels></action>`, http.StatusOK,
		},
		"commitnetconfig":  {"POST", hostPath + "/commitnetconfig", `<action/>`, http.StatusOK},
		"fault":            {"POST", attachmentsPath, `<network_attachment><network><name>no &amp; where</name></network></network_attachment>`, http.StatusBadRequest},
		"fault_incomplete": {"POST", attachmentsPath, `<network_attachment/>`, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".xml", newWorld(t).must(request.status, request.method, request.path, request.body).Body.Bytes())
			golden(t, name+".json", newWorld(t).must(request.status, request.method, request.path, request.body, jsonReply).Body.Bytes())
		})
	}
}

// settings are the members of package wire's Settings in a body. Where a network is
// shown on the way to something else they are left out, so that a new one changes the
// golden files of a network itself and no others.
var settings = sync.OnceValue(func() *regexp.Regexp {
	one := strings.Join(settingNames(), "|")
	return regexp.MustCompile(`,?\n *("(` + one + `)": "[^"]*"|<(` + one + `)>[^<]*</[a-z_]+>)`)
})

func settingNames() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[wire.Settings[bool, int]]()) {
		names = append(names, field.Tag.Get("xml"))
	}
	return names
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if name != "network.xml" && name != "network.json" {
		got = settings().ReplaceAll(got, nil)
	}
	got = now.ReplaceAll(got, []byte("${1}${3}0${2}"))
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run the test with -update and look at the difference", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
