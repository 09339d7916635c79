package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/model/plan"
)

// TestEngineRules has one row or more for each rule of the oVirt engine that
// applies to isolated networks, named by the engine's key, with the status code
// and the whole text. Where isonet means something else than the engine, its text
// is the engine's nearest, adapted, and what to do.
//
// These rules have no row, because nothing in isonet can break them:
//   - HOST_NETWORK_INTERFACE_DOES_NOT_HAVE_NAME_SET,
//     INTERFACE_ON_NIC_LABEL_NOT_EXIST and
//     NIC_LABEL_VALIDATION_NIC_ID_OR_NIC_NAME_MUST_BE_SET: no NIC is what makes
//     a network isolated. An empty host_nic is none.
//   - NETWORK_OF_GIVEN_NAME_NOT_EXISTS_IN_CLUSTER: every network is in the one
//     cluster.
//   - NETWORK_CANNOT_REMOVE_MANAGEMENT_NETWORK: the host is in no isolated
//     network, so none manages it.
//   - OTHER_INTERFACE_ALREADY_LABELED and
//     LABELED_NETWORK_ATTACHED_TO_WRONG_INTERFACE: a host has one place for a
//     label.
func TestEngineRules(t *testing.T) {
	const (
		failed    = "Operation Failed"
		unknownID = "99999999-9999-4999-8999-999999999999"
		setup     = "Cannot setup Networks. "
	)
	networks, network1, network3 := base+"/networks", base+"/networks/"+string(iso1), base+"/networks/"+string(iso3)
	attachment1 := attachmentsPath + "/" + attachmentID(iso1)
	labels := hostPath + "/networklabels"
	named := func(name string) string {
		return "<network_attachment><network><name>" + name + "</name></network></network_attachment>"
	}
	identified := func(id string) string { return `<network_attachment id="` + id + `"/>` }
	list := func(name string, items ...string) string {
		return "<" + name + ">" + strings.Join(items, "") + "</" + name + ">"
	}
	action := func(lists ...string) string { return list("action", lists...) }
	modified := func(items ...string) string { return list("modified_network_attachments", items...) }
	removed := func(items ...string) string { return list("removed_network_attachments", items...) }
	label := func(id string) string { return `<network_label id="` + id + `"/>` }
	attach4 := func(elements string) string {
		return "<network_attachment>" + elements + "<network><name>iso4</name></network></network_attachment>"
	}
	address := func(assignment string) string {
		return attach4(list("ip_address_assignments", list("ip_address_assignment", assignment)))
	}
	unnamed := func(string) string { return "" } // a port that only has its own name
	vm := func(key string) func(string) string {
		return func(port string) string { return key + "=" + port + "-vm" }
	}
	// plugged plugs ports into iso1 that name their VM by the key.
	plugged := func(names func(string) string, ports ...string) func(*world) {
		return func(w *world) {
			w.loop.ports = map[string][]plan.Port{}
			for _, port := range ports {
				p := vmPort(port)
				p.Interfaces[0].ExternalIDs = nil
				if key, value, ok := strings.Cut(names(port), "="); ok {
					p.Interfaces[0].ExternalIDs = map[string]string{key: value}
				}
				w.loop.ports["iso1"] = append(w.loop.ports["iso1"], p)
			}
			w.loop.realise()
		}
	}
	for _, r := range []struct {
		key, variant       string
		prepare            func(*world)
		method, path, body string
		status             int
		detail             string // without the brackets
	}{
		// A NIC that does not exist: on an isolated network's host none does.
		{
			"HOST_NETWORK_INTERFACE_HAVING_ID_OR_NAME_DOES_NOT_EXIST", "add", nil,
			"POST", attachmentsPath, attach4(`<host_nic id="7"><name>ens9</name></host_nic>`), 400,
			setup + "The host network interface (id 7, name ens9) does not exist. Isolated networks have no NIC: remove host_nic from the request.",
		},
		{
			"HOST_NETWORK_INTERFACE_HAVING_ID_OR_NAME_DOES_NOT_EXIST", "update", nil,
			"PUT", attachment1, `<network_attachment><host_nic><name>ens9</name></host_nic></network_attachment>`, 400,
			setup + "The host network interface (id , name ens9) does not exist. Isolated networks have no NIC: remove host_nic from the request.",
		},
		{
			"HOST_NETWORK_INTERFACE_HAVING_ID_OR_NAME_DOES_NOT_EXIST", "label of a network", nil,
			"POST", networks, `<network><name>x</name><network_labels><network_label id="a"><host_nic><name>ens9</name></host_nic></network_label></network_labels></network>`, 400,
			setup + "The host network interface (id , name ens9) does not exist. Isolated networks have no NIC: remove host_nic from the request.",
		},
		{
			"NETWORK_ATTACHMENT_NETWORK_ID_OR_NAME_IS_NOT_SET", "modified", nil,
			"POST", setupPath, action(modified("<network_attachment><network/></network_attachment>")), 400,
			setup + "There's unset networkId or networkName among given network attachments. At least one of them should be set.",
		},
		{
			"NETWORK_ATTACHMENT_NETWORK_ID_OR_NAME_IS_NOT_SET", "removed", nil,
			"POST", setupPath, action(removed("<network_attachment/>")), 400,
			setup + "There's unset networkId or networkName among given network attachments. At least one of them should be set.",
		},
		{"NETWORK_HAVING_ID_NOT_EXISTS", "", nil, "POST", attachmentsPath, `<network_attachment><network id="` + unknownID + `"/></network_attachment>`, 400, "Logical Network (id '" + unknownID + "') doesn't exist."},
		{"NETWORK_HAVING_ID_NOT_EXISTS", "no UUID", nil, "POST", attachmentsPath, `<network_attachment><network id="7"/></network_attachment>`, 400, "Logical Network (id '7') doesn't exist."},
		{"NETWORK_HAVING_NAME_NOT_EXISTS", "", nil, "POST", attachmentsPath, named("nope"), 400, "Logical Network (name 'nope') doesn't exist."},
		// A new attachment has no id that the engine's text could name.
		{
			"NETWORK_ATTACHMENT_REFERENCES_NETWORK_INCOHERENTLY", "", nil,
			"POST", attachmentsPath, `<network_attachment><network id="` + string(iso4) + `"><name>iso1</name></network></network_attachment>`, 400,
			"The request does not reference network coherently. Network name and id reference different networks: networkId " + string(iso4) + " networkName iso1.",
		},
		{
			"ATTACHMENT_IS_NOT_REUSED", "explicit", nil, "POST", attachmentsPath, named("iso1"), 400,
			setup + "Network iso1 is already attached via attachment " + attachmentID(iso1) + ". A new attachment cannot be used for the same network, please reuse the existing one.",
		},
		{
			"ATTACHMENT_IS_NOT_REUSED", "by a label", nil, "POST", attachmentsPath, named("iso3"), 400,
			setup + "Network iso3 is already attached via attachment " + attachmentID(iso3) + ". A new attachment cannot be used for the same network, please reuse the existing one.",
		},
		{
			"NETWORKS_ALREADY_ATTACHED_TO_IFACES", "", nil,
			"POST", setupPath, action(modified(named("iso4"), `<network_attachment><network id="`+string(iso4)+`"/></network_attachment>`, named("iso3"), named("iso3"))), 409,
			setup + "The following Logical Networks are attached to more than one Network Interface: iso3,iso4. Name each network once.",
		},
		{
			"MODIFIED_NETWORK_ATTACHMENT_DOES_NOT_EXISTS", "", nil,
			"POST", setupPath, action(modified(identified(attachmentID(iso2)))), 400,
			setup + "Updated Network Attachment (id '" + attachmentID(iso2) + "') does not exist.",
		},
		{
			"NETWORK_ATTACHMENTS_TO_BE_REMOVED_DOES_NOT_EXISTS", "", nil,
			"POST", setupPath, action(removed(named("iso4"), identified(unknownID), named("iso4"))), 400,
			setup + "Cannot remove following Network Attachments, because they do not exist: " + unknownID + ", iso4.",
		},
		{
			"NETWORK_ATTACHMENT_IN_BOTH_LISTS", "", nil,
			"POST", setupPath, action(modified(identified(attachmentID(iso3))), removed(named("iso3"))), 400,
			setup + "Cannot remove and update a Network Attachment simultaneously. The same network attachment ('" + attachmentID(iso3) + "') appears in both 'network attachments' and 'removed network attachments' lists.",
		},
		{
			"CANNOT_CHANGE_ATTACHED_NETWORK", "PUT", nil, "PUT", attachment1, named("iso4"), 400,
			setup + "Network of given Network Attachment (id " + attachmentID(iso1) + ") cannot be updated.",
		},
		{
			"CANNOT_CHANGE_ATTACHED_NETWORK", "setupnetworks", nil,
			"POST", setupPath, action(modified(`<network_attachment id="` + attachmentID(iso1) + `"><network id="` + string(iso4) + `"/></network_attachment>`)), 400,
			setup + "Network of given Network Attachment (id " + attachmentID(iso1) + ") cannot be updated.",
		},
		{
			"NETWORK_ATTACHMENT_CANNOT_BE_CREATED_WITH_SPECIFIC_ID", "", nil,
			"POST", attachmentsPath, `<network_attachment id="` + unknownID + `"><network><name>iso4</name></network></network_attachment>`, 400,
			setup + "New Network attachment cannot be created with given ID. Please remove Network Attachment ID (id '" + unknownID + "') from request.",
		},
		// The label is the host's and not a NIC's.
		{
			"ACTION_TYPE_FAILED_CANNOT_REMOVE_LABELED_NETWORK_FROM_NIC", "DELETE", nil,
			"DELETE", attachmentsPath + "/" + attachmentID(iso3), "", 409,
			setup + "The following networks cannot be removed from the host since they are managed by the label: iso3. Please remove the label 'lab3' from the host in order to remove the network.",
		},
		{
			"ACTION_TYPE_FAILED_CANNOT_REMOVE_LABELED_NETWORK_FROM_NIC", "setupnetworks", nil,
			"POST", setupPath, action(removed(named("iso3"))), 409,
			setup + "The following networks cannot be removed from the host since they are managed by the label: iso3. Please remove the label 'lab3' from the host in order to remove the network.",
		},
		// VMs are known by what is written on their ports. libvirt writes vm-id.
		{
			"NETWORK_CANNOT_DETACH_NETWORK_USED_BY_VMS", "vm-id", plugged(vm("vm-id"), "vnet0", "vnet1"), "DELETE", attachment1, "", 409,
			setup + "The following Logical Network: 'iso1' is being used by the following VM(s): 'vnet0-vm,vnet1-vm' . Please stop the VM(s) and try again. Or unplug the port(s) 'vnet0,vnet1', or force it with force=true.",
		},
		{
			"NETWORK_CANNOT_DETACH_NETWORK_USED_BY_VMS", "vm-name", plugged(vm("vm-name"), "vnet0"), "POST", setupPath, action(removed(named("iso1"))), 409,
			setup + "The following Logical Network: 'iso1' is being used by the following VM(s): 'vnet0-vm' . Please stop the VM(s) and try again. Or unplug the port(s) 'vnet0', or force it with force=true.",
		},
		{
			"NETWORK_CANNOT_DETACH_NETWORK_USED_BY_VMS", "nothing written", plugged(unnamed, "vnet0"), "DELETE", attachment1, "", 409,
			setup + "The following Logical Network: 'iso1' is being used by the following VM(s): 'vnet0' . Please stop the VM(s) and try again. Or unplug the port(s) 'vnet0', or force it with force=true.",
		},
		{
			"NETWORK_CANNOT_DETACH_NETWORK_USED_BY_VMS", "label", func(w *world) {
				w.loop.ports["iso3"] = []plan.Port{vmPort("vnet3")}
				w.loop.realise()
			}, "DELETE", labels + "/lab3", "", 409,
			setup + "The following Logical Network: 'iso3' is being used by the following VM(s): '33333333-3333-4333-8333-333333333333' . Please stop the VM(s) and try again. Or unplug the port(s) 'vnet3', or force it with force=true.",
		},
		{"NETWORK_LABEL_FORMAT_INVALID", "host", nil, "POST", labels, label("a b"), 400, "Network label must be formed only from: English letters, numbers, hyphen or underscore."},
		{"NETWORK_LABEL_FORMAT_INVALID", "network", nil, "POST", network1 + "/networklabels", label("ä"), 400, "Network label must be formed only from: English letters, numbers, hyphen or underscore."},
		{"NETWORK_LABEL_FORMAT_INVALID", "new network", nil, "POST", networks, "<network><name>x</name>" + list("network_labels", label("a/b")) + "</network>", 400, "Network label must be formed only from: English letters, numbers, hyphen or underscore."},
		{"NETWORK_LABEL_FORMAT_INVALID", "setupnetworks", nil, "POST", setupPath, action(list("modified_labels", label("a b"))), 400, "Network label must be formed only from: English letters, numbers, hyphen or underscore."},
		// The engine has no limit; one OVSDB row has.
		{"NETWORK_LABEL_FORMAT_INVALID", "length", nil, "POST", labels, label(strings.Repeat("x", 257)), 400, "Network label has 257 characters; the limit is 256."},
		{
			"LABEL_NOT_EXIST_IN_HOST", "", nil, "POST", setupPath, action(list("removed_labels", label("nope"))), 400,
			setup + "Label 'nope' cannot be removed, since it isn't attached to the host.",
		},
		{
			"PARAMS_CONTAIN_DUPLICATE_LABELS", "in one list", nil, "POST", setupPath, action(list("modified_labels", label("b"), label("a"), label("b"), label("a"))), 400,
			setup + "Labels 'a,b' appear in the 'labels/removed labels' lists more than once.",
		},
		{
			"PARAMS_CONTAIN_DUPLICATE_LABELS", "in both", nil, "POST", setupPath, action(list("modified_labels", label("lab3")), list("removed_labels", label("lab3"))), 400,
			setup + "Labels 'lab3' appear in the 'labels/removed labels' lists more than once.",
		},
		{"INTERFACE_ALREADY_LABELED", "", nil, "POST", labels, label("lab3"), 409, "Cannot add Label. The host 'host1' is already labeled with the specified label 'lab3'."},
		{"ACTION_TYPE_FAILED_NETWORK_ALREADY_LABELED", "", nil, "POST", network3 + "/networklabels", label("other"), 400, "Cannot add Label. The specified network is already labeled. Remove the label 'lab3' first."},
		{"ACTION_TYPE_FAILED_NETWORK_ALREADY_LABELED", "the same", nil, "POST", network3 + "/networklabels", label("lab3"), 400, "Cannot add Label. The specified network is already labeled. Remove the label 'lab3' first."},
		{"ACTION_TYPE_FAILED_NETWORK_ALREADY_LABELED", "two at once", nil, "POST", networks, "<network><name>x</name>" + list("network_labels", label("a"), label("b")) + "</network>", 400, "A network can have one label, but the request has 2."},
		{
			"ACTION_TYPE_FAILED_NETWORK_NAME_IN_USE", "add", nil, "POST", networks, "<network><name>iso1</name></network>", 409,
			"Cannot add Network. The name of the logical network 'iso1' is already used by an existing logical network in the same data-center.\n-Please choose a different name.",
		},
		{
			"ACTION_TYPE_FAILED_NETWORK_NAME_IN_USE", "add to the data center", nil, "POST", base + "/datacenters/" + dataCenter + "/networks", "<network><name>iso1</name></network>", 409,
			"Cannot add Network. The name of the logical network 'iso1' is already used by an existing logical network in the same data-center.\n-Please choose a different name.",
		},
		{
			"ACTION_TYPE_FAILED_NETWORK_NAME_IN_USE", "update", nil, "PUT", network1, "<network><name>iso3</name></network>", 409,
			"Cannot update Network. The name of the logical network 'iso3' is already used by an existing logical network in the same data-center.\n-Please choose a different name.",
		},
		{
			"NETWORK_NAME_USED_AS_VDSM_NETWORK_NAME", "add", nil, "POST", networks, "<network><name>onaaaaaaaa00004</name></network>", 400,
			"Bad network name (onaaaaaaaa00004). The name is already used as an on-host identifier of the network: second isolated network",
		},
		{
			"NETWORK_NAME_USED_AS_VDSM_NETWORK_NAME", "update", nil, "PUT", network1, "<network><name>onaaaaaaaa00004</name></network>", 400,
			"Bad network name (onaaaaaaaa00004). The name is already used as an on-host identifier of the network: second isolated network",
		},
		{
			"NETWORK_NAME_USED_AS_VDSM_NETWORK_NAME", "of a renamed network", func(w *world) {
				w.must(http.StatusOK, "PUT", network1, "<network><name>renamed</name></network>")
			}, "POST", networks, "<network><name>iso1</name></network>", 400,
			"Bad network name (iso1). The name is already used as an on-host identifier of the network: renamed",
		},
		{"NETWORK_CANNOT_CONTAIN_BOND_NAME", "add", nil, "POST", networks, "<network><name>bond1</name></network>", 400, "Bad network name, network cannot start with 'bond'"},
		{"NETWORK_CANNOT_CONTAIN_BOND_NAME", "add to the data center", nil, "POST", base + "/datacenters/" + dataCenter + "/networks", "<network><name>BOND</name></network>", 400, "Bad network name, network cannot start with 'bond'"},
		{"NETWORK_CANNOT_CONTAIN_BOND_NAME", "update", nil, "PUT", network1, "<network><name>bOnd x</name></network>", 400, "Bad network name, network cannot start with 'bond'"},
		// The engine has a limit and no text for it. It counts characters.
		{"(size)", "", nil, "POST", networks, "<network><name>" + strings.Repeat("ü", 257) + "</name></network>", 400, "Network name has 257 characters; the limit is 256."},
		{"(size)", "empty", nil, "PUT", network1, "<network><name/></network>", 400, "Network name must not be empty."},
		// The engine takes any character; OVSDB and XML do not.
		{"(size)", "characters", nil, "POST", networks, "<network><name>a\tb</name></network>", 400, "Network name must not have the character U+0009."},
		// The engine has no text, and no upper bound but that of 32 bits. Open
		// vSwitch's is that of the tap devices that it makes.
		{"MTU_VALUE_INVALID", "67", nil, "POST", networks, "<network><name>x</name><mtu>67</mtu></network>", 400, "MTU 67 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes."},
		{"MTU_VALUE_INVALID", "-1", nil, "PUT", network1, "<network><mtu>-1</mtu></network>", 400, "MTU -1 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes."},
		{"MTU_VALUE_INVALID", "65522", nil, "PUT", network1, "<network><mtu>65522</mtu></network>", 400, "MTU 65522 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes."},
		// No VLAN at all fits a network without a NIC.
		{
			"NETWORK_VLAN_OUT_OF_RANGE", "", nil, "POST", networks, "<network><name>x</name><vlan><id>4095</id></vlan></network>", 400,
			"The isolated network 'x' cannot have the VLAN 4095: it has no physical NIC. Remove the vlan from the request., VLAN ID must be a number between 0 and 4094.",
		},
		{
			"NETWORK_VLAN_OUT_OF_RANGE", "in range", nil, "POST", networks, "<network><name>x</name><vlan><id>0</id></vlan></network>", 400,
			"The isolated network 'x' cannot have the VLAN 0: it has no physical NIC. Remove the vlan from the request.",
		},
		{
			"NON_VM_NETWORK_CANNOT_SUPPORT_STP", "", nil, "POST", networks, "<network><name>x</name><stp>true</stp><usages/></network>", 409,
			"Cannot add Network. STP can only be enabled on VM Networks., The following networks (x) are not defined as VM networks. An isolated network must have the usage 'vm'.",
		},
		{
			"NON_VM_NETWORK_CANNOT_SUPPORT_STP", "VM network", nil, "PUT", network1, "<network><stp>true</stp></network>", 400,
			"STP cannot be enabled on the isolated network 'iso1': there is no other switch to make a loop with. Remove stp from the request.",
		},
		{
			"NON_VM_NETWORK_CANNOT_SUPPORT_PORT_ISOLATION", "", nil, "PUT", network1, "<network><port_isolation>true</port_isolation><usages/></network>", 409,
			"Cannot update Network. Port isolation can only be enabled on VM Networks., The following networks (iso1) are not defined as VM networks. An isolated network must have the usage 'vm'.",
		},
		{"ACTION_TYPE_FAILED_NOT_A_VM_NETWORK", "", nil, "POST", networks, "<network><name>x</name><usages/></network>", 409, "The following networks (x) are not defined as VM networks. An isolated network must have the usage 'vm'."},
		{
			"ACTION_TYPE_FAILED_NETWORK_IN_ONE_USE", "", plugged(vm("vm-name"), "vnet0"), "DELETE", network1, "", 409,
			"Cannot remove Network. This logical network is used by virtual machine: vnet0-vm\n - Please remove it from this virtual machine and try again.\n - Or unplug the port(s) 'vnet0', or force it with force=true.",
		},
		{
			"ACTION_TYPE_FAILED_NETWORK_IN_MANY_USES", "", plugged(vm("vm-name"), "vnet0", "vnet1"), "DELETE", network1, "", 409,
			"Cannot remove Network. This logical network is used by virtual machines: (2): vnet0-vm, vnet1-vm\n - Please detach virtual machines using this logical network and try again.\n - Or unplug the port(s) 'vnet0,vnet1', or force it with force=true.",
		},
		{"ACTION_TYPE_FAILED_STORAGE_POOL_NOT_EXIST", "", nil, "POST", networks, `<network><name>x</name><data_center><name>Other</name></data_center></network>`, 400, "Data Center doesn't exist."},
		// Desired state is taken for any host; what must be seen is not.
		{
			"ACTION_TYPE_FAILED_VDS_STATUS_ILLEGAL", "setupnetworks", func(w *world) {
				w.must(http.StatusCreated, "POST", base+"/hosts/"+string(host2)+"/networklabels", label("lab3"))
			},
			"POST", base + "/hosts/" + string(host2) + "/setupnetworks",
			action(list("synchronized_network_attachments", identified(onHost2(iso3)))), 409,
			setup + "Operation can be performed only when Host status is Up. Ask the isonetd of the host 'host2': this one sees the Open vSwitch of the host 'host1' only.",
		},
		// What a NIC would be needed for has no key of the engine.
		{"(bonds)", "modified", nil, "POST", setupPath, action(list("modified_bonds", "<host_nic><name>bond0</name></host_nic>")), 400, setup + "Isolated networks have no NIC, so that bonds cannot be changed: remove them from the request."},
		{"(bonds)", "removed", nil, "POST", setupPath, action(list("removed_bonds", `<host_nic id="7"/>`)), 400, setup + "Isolated networks have no NIC, so that bonds cannot be changed: remove them from the request."},
		{"(addresses)", "static", nil, "POST", attachmentsPath, address("<assignment_method>static</assignment_method><ip><address>192.0.2.1</address></ip>"), 400, setup + "The host cannot have an IP address in an isolated network: use the assignment_method 'none' instead of 'static'."},
		{"(addresses)", "dhcp", nil, "POST", setupPath, action(modified(address("<assignment_method>dhcp</assignment_method>"))), 400, setup + "The host cannot have an IP address in an isolated network: use the assignment_method 'none' instead of 'dhcp'."},
		{"(addresses)", "none with one", nil, "POST", attachmentsPath, address("<assignment_method>none</assignment_method><ip><address>192.0.2.1</address></ip>"), 400, setup + "The host cannot have an IP address in an isolated network: remove the ip '192.0.2.1' from the request."},
		{"(name servers)", "attachment", nil, "POST", attachmentsPath, attach4("<dns_resolver_configuration><name_servers><name_server>192.0.2.1</name_server></name_servers></dns_resolver_configuration>"), 400, setup + "The host has no IP address in an isolated network: remove dns_resolver_configuration from the request."},
		{"(name servers)", "network", nil, "PUT", network1, "<network><dns_resolver_configuration><name_servers><name_server>192.0.2.1</name_server></name_servers></dns_resolver_configuration></network>", 400, "The isolated network 'iso1' cannot have name servers: the host has no IP address in it. Remove dns_resolver_configuration from the request."},
		{"(QoS)", "attachment", nil, "POST", setupPath, action(modified(attach4("<qos><outbound_average_linkshare>50</outbound_average_linkshare></qos>"))), 400, setup + "An isolated network has no NIC whose traffic could be shaped: remove qos from the request."},
		{"(QoS)", "network", nil, "POST", networks, `<network><name>x</name><qos id="7"/></network>`, 400, "The isolated network 'x' cannot have QoS: it has no NIC whose traffic could be shaped. Remove qos from the request."},
		{"(host)", "", nil, "POST", attachmentsPath, attach4(`<host id="` + string(host2) + `"/>`), 400, setup + "The host '" + string(host2) + "' of the attachment is not the one in the path: remove it from the request."},
	} {
		t.Run(r.key+" "+r.variant, func(t *testing.T) {
			w := newWorld(t)
			if r.prepare != nil {
				r.prepare(w)
			}
			before := w.store.Snapshot()
			f := readFault(t, w.must(r.status, r.method, r.path, r.body).Body.Bytes())
			if f.Reason != failed || f.Detail != "["+r.detail+"]" {
				t.Errorf("fault is %q:\n%s\nwant\n[%s]", f.Reason, f.Detail, r.detail)
			}
			if w.store.Snapshot() != before {
				t.Error("the desired state changed")
			}
		})
	}
}

// TestANetworkMayTakeItsNameBack renames a network to the name that its own
// bridge still has.
func TestANetworkMayTakeItsNameBack(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"renamed", "iso1"} {
		body := w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), "<network><name>"+name+"</name></network>").Body.String()
		if !strings.Contains(body, "<vdsm_name>iso1</vdsm_name>") {
			t.Errorf("the bridge was renamed:\n%s", body)
		}
	}
}

// TestImmutableIDs has bodies with another id than the path. The engine calls
// that by a reason of its own.
func TestImmutableIDs(t *testing.T) {
	for path, body := range map[string]string{
		base + "/networks/" + string(iso1):           `<network id="` + string(iso2) + `"/>`,
		attachmentsPath + "/" + attachmentID(iso1):   `<network_attachment id="` + attachmentID(iso2) + `"/>`,
		attachmentsPath + "/" + attachmentID(iso3):   `<network_attachment id="nope"/>`,
		base + "/networks/" + string(iso1) + "?max=": `<network id="nope"/>`,
	} {
		w := newWorld(t)
		f := readFault(t, w.must(http.StatusConflict, "PUT", path, body).Body.Bytes())
		if f.Reason != "Broken immutability constraint" || !strings.HasPrefix(f.Detail, "Attempt to set immutable field: id. ") {
			t.Errorf("PUT %s: fault is %q: %q", path, f.Reason, f.Detail)
		}
	}
}

// TestAllRefusalsAtOnce has requests that break several rules: the fault has
// all of them, in one order, whatever that of the request.
func TestAllRefusalsAtOnce(t *testing.T) {
	const label = "Network label must be formed only from: English letters, numbers, hyphen or underscore."
	nope, nic := `<network_attachment><network><name>nope</name></network></network_attachment>`,
		`<network_attachment><host_nic><name>ens9</name></host_nic><network><name>iso4</name></network></network_attachment>`
	const nicText = "Cannot setup Networks. The host network interface (id , name ens9) does not exist. Isolated networks have no NIC: remove host_nic from the request."
	const managed = "Cannot setup Networks. The following networks cannot be removed from the host since they are managed by the label: iso3. Please remove the label 'lab3' from the host in order to remove the network."
	removed := `<removed_network_attachments><network_attachment><network><name>iso3</name></network></network_attachment></removed_network_attachments>`
	labels := `<modified_labels><network_label id="a b"/></modified_labels>`
	all := "[" + managed + ", " + nicText + ", Logical Network (name 'nope') doesn't exist., " + label + "]"
	for name, r := range map[string]struct {
		method, path, body string
		status             int
		detail             string
	}{
		// 400 wins over 409.
		"setup":            {"POST", setupPath, "<action>" + labels + "<modified_network_attachments>" + nope + nic + "</modified_network_attachments>" + removed + "</action>", 400, all},
		"setup, reordered": {"POST", setupPath, "<action>" + removed + "<modified_network_attachments>" + nic + nope + "</modified_network_attachments>" + labels + "</action>", 400, all},
		"attachment": {
			"POST", attachmentsPath, `<network_attachment><host_nic><name>ens9</name></host_nic><network><name>nope</name></network></network_attachment>`, 400,
			"[" + nicText + ", Logical Network (name 'nope') doesn't exist.]",
		},
		"network": {
			"POST", base + "/networks", `<network><name>bond</name><mtu>1</mtu><network_labels><network_label id="a b"/></network_labels></network>`, 400,
			"[Bad network name, network cannot start with 'bond', MTU 1 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes., " + label + "]",
		},
		"network with a VLAN": {
			"POST", base + "/networks", `<network><name>bond</name><mtu>1</mtu><vlan><id>7</id></vlan></network>`, 400,
			"[Bad network name, network cannot start with 'bond', MTU 1 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes., The isolated network 'bond' cannot have the VLAN 7: it has no physical NIC. Remove the vlan from the request.]",
		},
		"update": {
			"PUT", base + "/networks/" + string(iso1), `<network><name>iso3</name><vdsm_name>x</vdsm_name><mtu>1</mtu></network>`, 400,
			"[Cannot update Network. The name of the logical network 'iso3' is already used by an existing logical network in the same data-center.\n-Please choose a different name., " +
				"MTU 1 is not valid: use 0 for the default (1500) or a value from 68 to 65521 bytes., The vdsm_name of the network 'iso1' is 'iso1' and cannot be set: remove it from the request.]",
		},
		"two networks in use": {
			"POST", setupPath, `<action><removed_network_attachments><network_attachment id="` + attachmentID(iso1) + `"/></removed_network_attachments><removed_labels><network_label id="lab3"/></removed_labels></action>`, 409,
			"[Cannot setup Networks. The following Logical Network: 'iso1' is being used by the following VM(s): '33333333-3333-4333-8333-333333333333' . Please stop the VM(s) and try again. Or unplug the port(s) 'vnet0', or force it with force=true.," +
				" Cannot setup Networks. The following Logical Network: 'iso3' is being used by the following VM(s): '33333333-3333-4333-8333-333333333333' . Please stop the VM(s) and try again. Or unplug the port(s) 'vnet3', or force it with force=true.]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loop.ports["iso3"] = []plan.Port{vmPort("vnet3")}
			w.loop.realise()
			before := w.store.Snapshot()
			f := readFault(t, w.must(r.status, r.method, r.path, r.body).Body.Bytes())
			if f.Detail != r.detail {
				t.Errorf("fault is\n%s\nwant\n%s", f.Detail, r.detail)
			}
			if w.store.Snapshot() != before {
				t.Error("the desired state changed")
			}
		})
	}
}
