package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
)

// exchange is a request as an oVirt client sends it, with the status code that
// the client needs. In it, {H} and {CL} are the host and the cluster, {NIC} is
// an interface of the host, {1} to {4} are the networks and {A1} to {A4} their
// attachments, and {NEW} is the network that the last POST created.
type exchange struct {
	method, path, body string
	status             int
}

// TestClients replays what oVirt's clients were seen to send.
func TestClients(t *testing.T) {
	for name, client := range map[string]struct {
		header    header
		exchanges []exchange
	}{
		"Go SDK": {
			header{"Accept": "application/xml", "Content-Type": "application/xml", "User-Agent": "GoSDK/4.4.3", "Version": "4", "Connection": "close"},
			[]exchange{
				{"GET", "/ovirt-engine/api", "", 200},
				{"GET", "/ovirt-engine/api/hosts", "", 200},
				{"GET", "/ovirt-engine/api/hosts?all_content=true&case_sensitive=false&filter=true&follow=networkattachments%2Cnics.statistics&max=5&search=name%3D%22host1%22+and+datacenter%3DDefault&x=y+z", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}?all_content=true&follow=networkattachments", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments?follow=network&max=10", "", 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/networkattachments", "<network_attachment><network><name>iso4</name></network></network_attachment>", 201},
				{"POST", "/ovirt-engine/api/hosts/{H}/networkattachments", `<network_attachment><ip_address_assignments><ip_address_assignment><assignment_method>none</assignment_method></ip_address_assignment></ip_address_assignments><network id="{2}"></network><properties><property><name>k</name><value>v</value></property></properties></network_attachment>`, 201},
				{"POST", "/ovirt-engine/api/hosts/{H}/networkattachments", "<network_attachment><network><name>iso4</name></network></network_attachment>", 400},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments/{A2}", "", 200},
				{"PUT", "/ovirt-engine/api/hosts/{H}/networkattachments/{A2}?async=false", `<network_attachment><network id="{2}"></network></network_attachment>`, 200},
				{"DELETE", "/ovirt-engine/api/hosts/{H}/networkattachments/{A2}", "", 200},
				{"DELETE", "/ovirt-engine/api/hosts/{H}/networkattachments/{A4}?async=true", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments/nope", "", 404},
				{"POST", "/ovirt-engine/api/hosts/{H}/setupnetworks", "<action><modified_network_attachments><network_attachment><network><name>iso4</name></network></network_attachment></modified_network_attachments></action>", 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/setupnetworks?follow=x", `<action><async>false</async><check_connectivity>true</check_connectivity><commit_on_success>true</commit_on_success><connectivity_timeout>60</connectivity_timeout><modified_labels><network_label id="lab1"></network_label><network_label id="lab2"><host_nic></host_nic></network_label></modified_labels><modified_network_attachments><network_attachment><network><name>iso1</name></network></network_attachment><network_attachment><network id="{2}"></network></network_attachment></modified_network_attachments><removed_labels><network_label id="lab3"></network_label></removed_labels><removed_network_attachments><network_attachment id="{A4}"></network_attachment></removed_network_attachments><synchronized_network_attachments><network_attachment id="{A4}"></network_attachment></synchronized_network_attachments></action>`, 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/commitnetconfig", "<action></action>", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/nics", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/nics/{NIC}/networklabels", "", 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/nics/{NIC}/networklabels", `<network_label id="lab1"></network_label>`, 400},
				{"GET", "/ovirt-engine/api/hosts/{H}/nics/{NIC}/networklabels/lab1", "", 404},
				{"DELETE", "/ovirt-engine/api/hosts/{H}/nics/{NIC}/networklabels/lab1", "", 400},
				{"POST", "/ovirt-engine/api/networks", `<network><data_center><name>Default</name></data_center><description>isolated</description><mtu>1400</mtu><name>new</name><network_labels><network_label id="lab1"></network_label></network_labels><profile_required>false</profile_required><usages><usage>vm</usage></usages></network>`, 201},
				{"POST", "/ovirt-engine/api/networks/{NEW}/networklabels", `<network_label id="lab1"></network_label>`, 400},
				{"GET", "/ovirt-engine/api/networks/{NEW}/networklabels", "", 200},
				{"DELETE", "/ovirt-engine/api/networks/{NEW}/networklabels/lab1", "", 200},
				{"GET", "/ovirt-engine/api/networks?search=name%3Diso1+and+datacenter%3DDefault", "", 200},
				{"GET", "/ovirt-engine/api/networks/{NEW}", "", 200},
				{"PUT", "/ovirt-engine/api/networks/{NEW}", "<network><mtu>9000</mtu></network>", 200},
				{"DELETE", "/ovirt-engine/api/networks/{NEW}", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments/{A1}/statistics?max=100", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments/{A1}/statistics/8888", "", 404},
				{"GET", "/ovirt-engine/api/hosts/{H}/networklabels", "", 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/networklabels", `<network_label id="lab5"></network_label>`, 201},
				{"GET", "/ovirt-engine/api/hosts/{H}/networklabels/lab5", "", 200},
				{"DELETE", "/ovirt-engine/api/hosts/{H}/networklabels/lab5", "", 200},
				{"POST", "/ovirt-engine/api/networks", "<network><name>a&b<c</name></network>", 400},
				{"GET", "/ovirt-engine/api/clusters", "", 200},
				{"GET", "/ovirt-engine/api/datacenters", "", 200},
				{"GET", "/ovirt-engine/api/", "", 200},
				{"GET", "/ovirt-engine/api//hosts", "", 200},
			},
		},
		"Python SDK": {
			header{"Accept": "application/xml", "Content-Type": "application/xml", "User-Agent": "PythonSDK/4.6.3", "Version": "4", "Accept-Encoding": "deflate, gzip, br, zstd"},
			[]exchange{
				{"GET", "/ovirt-engine/api/hosts?follow=&max=3&search=name%3Dhost1", "", 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/networkattachments", "<network_attachment>\n  <network>\n    <name>iso4</name>\n  </network>\n</network_attachment>\n", 201},
				{"POST", "/ovirt-engine/api/hosts/{H}/setupnetworks", `<action>
  <commit_on_success>true</commit_on_success>
  <modified_labels>
    <network_label id="lab1">
      <host_nic/>
    </network_label>
  </modified_labels>
  <modified_network_attachments>
    <network_attachment>
      <host_nic/>
      <network>
        <name>iso1</name>
      </network>
    </network_attachment>
  </modified_network_attachments>
</action>
`, 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/commitnetconfig", "<action/>\n", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments/{A1}/statistics", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networklabels", "", 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/networklabels", `<network_label id="lab7"/>`, 201},
				{"DELETE", "/ovirt-engine/api/hosts/{H}/networklabels/lab7", "", 200},
				{"DELETE", "/ovirt-engine/api/hosts/{H}/networkattachments/{A4}", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments/nope", "", 404},
				{"POST", "/ovirt-engine/api/networks", "<network>\n  <mtu>1400</mtu>\n  <name>a&amp;b&lt;c</name>\n  <usages>\n    <usage>vm</usage>\n  </usages>\n  <data_center>\n    <name>Default</name>\n  </data_center>\n</network>\n", 201},
			},
		},
		"Ansible": {
			header{"Accept": "application/xml", "Content-Type": "application/xml", "User-Agent": "PythonSDK/4.6.3", "Version": "4"},
			[]exchange{
				{"GET", "/ovirt-engine/api/hosts?search=name%3D%22host1%22", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/nics", "", 200},
				{"GET", "/ovirt-engine/api/hosts/{H}/networkattachments", "", 200},
				{"GET", "/ovirt-engine/api/networks/{1}", "", 200},
				{"GET", "/ovirt-engine/api", "", 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/setupnetworks", ansibleSetup(` id="{A1}"`, "iso1", ""), 200},
				{"POST", "/ovirt-engine/api/hosts/{H}/setupnetworks", ansibleSetup("", "iso4", "<modified_labels><network_label id=\"lab9\"><host_nic/></network_label></modified_labels>"), 200},
				{"GET", "/ovirt-engine/api/hosts/{H}", "", 200},
				{"GET", "/ovirt-engine/api/networks?search=name%3D%22new%22+and+datacenter%3D%22Default%22", "", 200},
				{"POST", "/ovirt-engine/api/networks", "<network>\n  <mtu>1400</mtu>\n  <name>new</name>\n  <usages>\n    <usage>vm</usage>\n  </usages>\n  <data_center>\n    <name>Default</name>\n  </data_center>\n</network>\n", 201},
				{"GET", "/ovirt-engine/api/networks/{NEW}/networklabels", "", 200},
				{"POST", "/ovirt-engine/api/networks/{NEW}/networklabels", `<network_label id="lab1"/>`, 201},
				{"GET", "/ovirt-engine/api/clusters?search=name%3D%22Default%22", "", 200},
				{"GET", "/ovirt-engine/api/clusters/{CL}/networks", "", 200},
				{"POST", "/ovirt-engine/api/clusters/{CL}/networks", "<network id=\"{2}\">\n  <name>second isolated network</name>\n  <required>false</required>\n</network>\n", 201},
				{"GET", "/ovirt-engine/api/clusters/{CL}/networks/{2}", "", 200},
				{"GET", "/ovirt-engine/api/networks?follow=&search=name%3Diso1", "", 200},
				{"GET", "/ovirt-engine/api/hosts?all_content=false&follow=&search=name%3Dhost1", "", 200},
				{"DELETE", "/ovirt-engine/api/networks/{2}", "", 200},
				{"GET", "/ovirt-engine/api/networks/{2}", "", 404},
			},
		},
		"libgovirt": {
			header{"Content-Type": "application/xml", "Accept-Encoding": "gzip, deflate", "Prefer": "persistent-auth", "Filter": "true", "All-Content": "true"},
			[]exchange{
				{"GET", "/ovirt-engine/api", "<action></action>", 200},
				{"GET", "/ovirt-engine/api/hosts", "<action></action>", 200},
				{"GET", "/ovirt-engine/api/vms", "<action></action>", 200},
				{"GET", "/ovirt-engine/api/hostsname%3Dhost1", "<action></action>", 404},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			created := ""
			for _, e := range client.exchanges {
				fill := strings.NewReplacer(
					"{H}", string(host1), "{CL}", cluster, "{NEW}", created, "{NIC}", nicID("eth0"),
					"{1}", string(iso1), "{2}", string(iso2), "{3}", string(iso3), "{4}", string(iso4),
					"{A1}", attachmentID(iso1), "{A2}", attachmentID(iso2), "{A3}", attachmentID(iso3), "{A4}", attachmentID(iso4),
				)
				reply := w.must(e.status, e.method, fill.Replace(e.path), fill.Replace(e.body), client.header)
				checkReadable(t, reply.Header(), reply.Body.String())
				if location := reply.Header().Get("Location"); strings.HasPrefix(location, base+"/networks/") {
					created = strings.TrimPrefix(location, base+"/networks/")
					if _, ok := model.ParseID(created[:36]); !ok {
						t.Errorf("Location is %q", location)
					}
					created = created[:36]
				}
			}
		})
	}
}

// checkReadable checks what both SDKs ask of every body.
func checkReadable(t *testing.T, h http.Header, body string) {
	t.Helper()
	if got := h.Get("Content-Type"); got != "application/xml;charset=UTF-8" {
		t.Errorf("Content-Type is %q", got)
	}
	if !strings.HasPrefix(body, `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`+"\n<") {
		t.Errorf("body begins with %.60q", body)
	}
}

func ansibleSetup(id, network, labels string) string {
	return `<action>
  <commit_on_success>true</commit_on_success>` + labels + `
  <modified_network_attachments>
    <network_attachment` + id + `>
      <ip_address_assignments>
        <ip_address_assignment>
          <assignment_method>none</assignment_method>
          <ip/>
        </ip_address_assignment>
      </ip_address_assignments>
      <properties/>
      <host_nic/>
      <network>
        <name>` + network + `</name>
      </network>
    </network_attachment>
  </modified_network_attachments>
</action>
`
}
