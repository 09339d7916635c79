package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// TestRefusals sends requests that must fail. Each must get a fault that says
// what is wrong, and must change nothing.
func TestRefusals(t *testing.T) {
	networks, network1 := base+"/networks", base+"/networks/"+string(iso1)
	attachment1 := attachmentsPath + "/" + attachmentID(iso1)
	eth0 := nicsPath + "/" + nicID("eth0")
	nicHere := "sets up nothing on the host network interface"
	const (
		failed     = "Operation Failed"
		syntax     = "Request syntactically incorrect."
		badValue   = "Invalid value"
		incomplete = "Incomplete parameters"
		immutable  = "Broken immutability constraint"
		unknownID  = "99999999-9999-4999-8999-999999999999"
	)
	nested := func(levels int) string {
		return strings.Repeat("<network>", levels) + strings.Repeat("</network>", levels)
	}
	modified := func(item string) string {
		return "<action><modified_network_attachments>" + item + "</modified_network_attachments></action>"
	}
	named := func(name string) string {
		return "<network_attachment><network><name>" + name + "</name></network></network_attachment>"
	}
	ip := func(assignment string) string {
		return `<network_attachment><network><name>iso4</name></network><ip_address_assignments><ip_address_assignment>` +
			assignment + `</ip_address_assignment></ip_address_assignments></network_attachment>`
	}
	for name, r := range map[string]struct {
		method, path, body string
		header             header
		status             int
		reason, detail     string
	}{
		// What no body can mend.
		"outside the API":       {"GET", "/", "", nil, 404, "Not Found", "the API is at /ovirt-engine/api"},
		"unknown resource":      {"GET", base + "/nowhere", "", nil, 404, "Not Found", "There is no resource /nowhere"},
		"unknown below a nic":   {"GET", eth0 + "/linklayerdiscoveryprotocolelements", "", nil, 404, "Not Found", "There is no resource"},
		"unknown method":        {"PATCH", network1, "", nil, 405, "Method Not Allowed", "use one of DELETE, GET, HEAD, PUT."},
		"post to a host":        {"POST", base + "/hosts", "<host/>", nil, 405, "Method Not Allowed", "no method POST"},
		"options":               {"OPTIONS", base + "/hosts", "", nil, 405, "Method Not Allowed", "GET, HEAD"},
		"version 3":             {"GET", base + "/hosts", "", header{"Version": "3"}, 400, "Unsupported version", "Version 3 of the API is not supported"},
		"slash in an id":        {"GET", networks + "/a%2fb", "", nil, 404, failed, "[Entity not found: a/b]"},
		"NUL in an id":          {"DELETE", networks + "/a%00b", "", nil, 404, failed, "Entity not found: a"},
		"dots in a path":        {"GET", base + "/hosts/../networks", "", nil, 404, "Not Found", "do not use '..'"},
		"escaped dots":          {"GET", base + "/hosts/%2e%2e", "", nil, 404, failed, "[Entity not found: ..]"},
		"braces around an id":   {"GET", networks + "/{" + string(iso1) + "}", "", nil, 404, failed, "Entity not found"},
		"unknown host":          {"GET", base + "/hosts/" + unknownID, "", nil, 404, failed, "[Entity not found: " + unknownID + "]"},
		"unknown network":       {"GET", networks + "/" + unknownID, "", nil, 404, failed, unknownID},
		"unknown data center":   {"GET", base + "/datacenters/" + unknownID, "", nil, 404, failed, unknownID},
		"unknown cluster":       {"GET", base + "/clusters/" + string(iso1) + "/networks", "", nil, 404, failed, string(iso1)},
		"unknown statistic":     {"GET", attachment1 + "/statistics/8888", "", nil, 404, failed, "8888"},
		"unknown host label":    {"GET", hostPath + "/networklabels/lab1", "", nil, 404, failed, "lab1"},
		"unknown network label": {"GET", network1 + "/networklabels/lab1", "", nil, 404, failed, "lab1"},
		"unknown attachment":    {"DELETE", attachmentsPath + "/nope", "", nil, 404, failed, "[Entity not found: nope]"},
		"not attached":          {"DELETE", attachmentsPath + "/" + attachmentID(iso2), "", nil, 404, failed, attachmentID(iso2)},
		"unknown link":          {"GET", base + "/hosts?follow=vms", "", nil, 400, badValue, "cannot be followed: use one of cluster, networkattachments, networklabels, nics"},

		// Bodies that cannot be read.
		"empty body":                 {"POST", networks, "", nil, 400, syntax, "send an element <network>"},
		"empty JSON body":            {"POST", networks, " ", jsonBody, 400, syntax, "send one JSON object"},
		"not well-formed":            {"POST", networks, "<network><name>a&b<c</name></network>", nil, 400, syntax, "The body cannot be read: XML syntax error"},
		"other root":                 {"POST", networks, "<host><name>x</name></host>", nil, 400, syntax, "one element <network>, but it has <host>"},
		"two roots":                  {"POST", networks, "<network><name>x</name></network><network/>", nil, 400, syntax, "one element <network>"},
		"trailing garbage":           {"POST", networks, "<network><name>x</name></network>garbage", nil, 400, syntax, "text outside"},
		"document type":              {"POST", networks, `<!DOCTYPE network [<!ENTITY e "x">]><network><name>&e;</name></network>`, nil, 400, syntax, "document type definition"},
		"unknown entity":             {"POST", networks, "<network><name>&e;</name></network>", nil, 400, syntax, "invalid character entity"},
		"processing instruction":     {"POST", networks, `<?php x?><network><name>x</name></network>`, nil, 400, syntax, "processing instruction"},
		"other encoding":             {"POST", networks, `<?xml version="1.0" encoding="UTF-16"?><network><name>x</name></network>`, nil, 400, syntax, "UTF-16"},
		"deep XML":                   {"POST", networks, nested(33), nil, 400, syntax, "nested deeper than 32"},
		"deep JSON":                  {"POST", networks, `{"name":"x","y":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", jsonBody, 400, syntax, "nested deeper than 32"},
		"invalid UTF-8 in XML":       {"POST", networks, "<network><name>\xff</name></network>", nil, 400, syntax, "not valid UTF-8"},
		"invalid UTF-8 in JSON":      {"POST", networks, "{\"name\":\"\xff\"}", jsonBody, 400, syntax, "not valid UTF-8"},
		"NUL in XML":                 {"POST", networks, "<network><name>a\x00</name></network>", nil, 400, syntax, "illegal character"},
		"NUL reference in XML":       {"POST", networks, "<network><name>a&#0;</name></network>", nil, 400, syntax, "illegal character"},
		"no object":                  {"POST", networks, `["x"]`, jsonBody, 400, syntax, "must be a JSON object"},
		"null":                       {"POST", networks, `null`, jsonBody, 400, syntax, "must be a JSON object"},
		"trailing JSON":              {"POST", networks, `{"name":"x"}{}`, jsonBody, 400, syntax, "after top-level value"},
		"cut JSON":                   {"POST", networks, `{"name":"x"`, jsonBody, 400, syntax, "ends too early"},
		"too large":                  {"POST", networks, "<network><name>" + strings.Repeat("x", 1<<20) + "</name></network>", nil, 413, "Request Entity Too Large", "larger than 1048576 bytes"},
		"form":                       {"POST", networks, "name=x", header{"Content-Type": "application/x-www-form-urlencoded"}, 415, "Unsupported Media Type", "use application/xml or application/json"},
		"broken type":                {"POST", networks, "<network/>", header{"Content-Type": ";"}, 415, "Unsupported Media Type", "use application/xml"},
		"another character set":      {"POST", networks, "<network/>", header{"Content-Type": "application/xml; charset=windows-1252"}, 415, "Unsupported Media Type", "use UTF-8, US-ASCII or ISO-8859-1"},
		"not ASCII":                  {"POST", networks, "<network><name>\u00e9</name></network>", header{"Content-Type": "application/xml; charset=us-ascii"}, 400, syntax, "not in the character set US-ASCII"},
		"not UTF-8 as declared":      {"POST", networks, "<?xml version='1.0' encoding='iso-8859-1'?><network><name>\xe9</name></network>", header{"Content-Type": "application/xml; charset=utf-8"}, 400, syntax, "not valid UTF-8"},
		"compressed":                 {"POST", networks, "<network/>", header{"Content-Encoding": "gzip"}, 415, "Unsupported Media Type", "send the body as it is"},
		"empty element for a number": {"POST", networks, "<network><name>x</name><mtu/></network>", nil, 400, badValue, `Value "" isn't a valid integer`},

		// Values that are wrong.
		"mtu of text":           {"POST", networks, "<network><name>x</name><mtu>big</mtu></network>", nil, 400, badValue, `Value "big" isn't a valid integer.`},
		"mtu out of range":      {"POST", networks, "<network><name>x</name><mtu>99999999999</mtu></network>", nil, 400, badValue, "Value 99999999999 is greater than maximum integer 2147483647."},
		"mtu far below zero":    {"POST", networks, "<network><name>x</name><mtu>-99999999999</mtu></network>", nil, 400, badValue, "less than minimum integer"},
		"mtu 67":                {"POST", networks, "<network><name>x</name><mtu>67</mtu></network>", nil, 400, failed, "[MTU 67 is not valid: use 0 for the default (1500) or a value from 68"},
		"mtu 67 by an update":   {"PUT", network1, "<network><mtu>67</mtu></network>", nil, 400, failed, "MTU 67 is not valid"},
		"mtu as a fraction":     {"POST", networks, `{"name":"x","mtu":1.5}`, jsonBody, 400, badValue, `Value "1.5" isn't a valid integer`},
		"boolean yes":           {"POST", networks, "<network><name>x</name><port_isolation>yes</port_isolation></network>", nil, 400, badValue, `Value "yes" isn't a valid boolean, it should be "true"`},
		"JSON of another type":  {"POST", networks, `{"name":["x"]}`, jsonBody, 400, badValue, `The member "name" must not be a JSON array.`},
		"unknown usage":         {"POST", networks, "<network><name>x</name><usages><usage>fun</usage></usages></network>", nil, 400, badValue, "it should be 'vm'"},
		"usage display":         {"POST", networks, "<network><name>x</name><usages><usage>vm</usage><usage>display</usage></usages></network>", nil, 400, failed, "cannot have the usage 'display'"},
		"not a VM network":      {"POST", networks, "<network><name>x</name><usages/></network>", nil, 409, failed, "The following networks (x) are not defined as VM networks."},
		"VM network no more":    {"PUT", network1, "<network><usages/></network>", nil, 409, failed, "(iso1) are not defined as VM networks"},
		"VLAN":                  {"POST", networks, `<network><name>x</name><vlan id="10"></vlan></network>`, nil, 400, failed, "cannot have the VLAN 10"},
		"VLAN of a change":      {"PUT", network1, `<network><vlan id="10"/></network>`, nil, 400, failed, "'iso1' cannot have the VLAN 10"},
		"VLAN as an element":    {"POST", networks, "<network><name>x</name><vlan><id>10</id></vlan></network>", nil, 400, failed, "cannot have the VLAN 10"},
		"VLAN in JSON":          {"POST", networks, `{"name":"x","vlan":{"id":"10"}}`, jsonBody, 400, failed, "cannot have the VLAN 10"},
		"STP":                   {"POST", networks, "<network><name>x</name><stp>true</stp></network>", nil, 400, failed, "STP cannot be enabled"},
		"no name":               {"POST", networks, "<network><mtu>0</mtu></network>", nil, 400, incomplete, "Network [name] required for add"},
		"empty name":            {"PUT", network1, "<network><name/></network>", nil, 400, failed, "Network name must not be empty."},
		"name bond1":            {"POST", networks, "<network><name>Bond1</name></network>", nil, 400, failed, "network cannot start with 'bond'"},
		"name of 257":           {"POST", networks, "<network><name>" + strings.Repeat("x", 257) + "</name></network>", nil, 400, failed, "the limit is 256"},
		"NUL in a JSON name":    {"POST", networks, `{"name":"a\u0000b"}`, jsonBody, 400, failed, "must not have the character U+0000"},
		"line feed in a name":   {"POST", networks, "<network><name>a\nb</name></network>", nil, 400, failed, "must not have the character U+000A"},
		"duplicate name":        {"POST", networks, "<network><name>iso1</name></network>", nil, 409, failed, "The name of the logical network 'iso1' is already used"},
		"rename to a duplicate": {"PUT", network1, "<network><name>iso3</name></network>", nil, 409, failed, "'iso3' is already used"},
		"id of a new network":   {"POST", networks, `<network id="` + unknownID + `"><name>x</name></network>`, nil, 400, failed, "remove the id"},
		"id of another network": {"PUT", network1, `<network id="` + string(iso2) + `"/>`, nil, 409, immutable, "Attempt to set immutable field: id."},
		"vdsm_name":             {"PUT", network1, "<network><vdsm_name>other</vdsm_name></network>", nil, 400, failed, "The vdsm_name of the network 'iso1' is 'iso1' and cannot be set"},
		"vdsm_name of a new":    {"POST", networks, "<network><name>x</name><vdsm_name>y</vdsm_name></network>", nil, 400, failed, "cannot be set"},
		"other data center":     {"POST", networks, "<network><name>x</name><data_center><name>Other</name></data_center></network>", nil, 400, failed, "Data Center doesn't exist."},
		"id of no data center":  {"POST", networks, `<network><name>x</name><data_center id="` + unknownID + `"/></network>`, nil, 400, failed, "Data Center doesn't exist."},
		"two labels":            {"POST", networks, `<network><name>x</name><network_labels><network_label id="a"/><network_label id="b"/></network_labels></network>`, nil, 400, failed, "can have one label, but the request has 2"},
		"label without text":    {"POST", networks, `<network><name>x</name><network_labels><network_label/></network_labels></network>`, nil, 400, incomplete, "NetworkLabel [id] required"},

		// Labels.
		"label a b":              {"POST", base + "/networks/" + string(iso2) + "/networklabels", `<network_label id="a b"/>`, nil, 400, failed, "[Network label must be formed only from: English letters, numbers, hyphen or underscore.]"},
		"host label a b":         {"POST", hostPath + "/networklabels", `<network_label id="a b"/>`, nil, 400, failed, "Network label must be formed only from"},
		"no label":               {"POST", hostPath + "/networklabels", `<network_label/>`, nil, 400, incomplete, "NetworkLabel [id] required for add"},
		"second label":           {"POST", base + "/networks/" + string(iso3) + "/networklabels", `<network_label id="lab4"/>`, nil, 400, failed, "Cannot add Label. The specified network is already labeled."},
		"same host label":        {"POST", hostPath + "/networklabels", `<network_label id="lab3"/>`, nil, 409, failed, "The host 'host1' is already labeled with the specified label 'lab3'."},
		"label of a NIC":         {"POST", hostPath + "/networklabels", `<network_label id="x"><host_nic><name>eth9</name></host_nic></network_label>`, nil, 400, failed, "(id , name eth9) does not exist"},
		"label of a NIC here":    {"POST", hostPath + "/networklabels", `<network_label id="x"><host_nic><name>eth0</name></host_nic></network_label>`, nil, 400, failed, nicHere},
		"network label of a NIC": {"POST", base + "/networks/" + string(iso2) + "/networklabels", `<network_label id="x"><host_nic><name> eth0 </name></host_nic></network_label>`, nil, 400, failed, nicHere},
		"NIC of another host":    {"POST", base + "/hosts/" + string(host2) + "/networklabels", `<network_label id="x"><host_nic><name>eth0</name></host_nic></network_label>`, nil, 400, failed, "does not exist"},
		"absent host label":      {"DELETE", hostPath + "/networklabels/nope", "", nil, 404, failed, "Label 'nope' cannot be removed"},
		"absent network label":   {"DELETE", network1 + "/networklabels/nope", "", nil, 404, failed, "Entity not found: nope"},
		"label with a slash":     {"DELETE", hostPath + "/networklabels/a%2fb", "", nil, 404, failed, "a/b"},
		"labels of unknown host": {"POST", base + "/hosts/" + unknownID + "/networklabels", `<network_label id="x"/>`, nil, 404, failed, unknownID},

		// Attachments.
		"no network":               {"POST", attachmentsPath, "<network_attachment><network/></network_attachment>", nil, 400, incomplete, "NetworkAttachment [network.id|name] required for add"},
		"attachment with an id":    {"POST", attachmentsPath, `<network_attachment id="` + unknownID + `"><network><name>iso4</name></network></network_attachment>`, nil, 400, failed, "Please remove Network Attachment ID (id '" + unknownID + "') from request."},
		"attached twice":           {"POST", attachmentsPath, named("iso1"), nil, 400, failed, "Network iso1 is already attached via attachment " + attachmentID(iso1)},
		"attached by its label":    {"POST", attachmentsPath, named("iso3"), nil, 400, failed, "already attached via attachment"},
		"unknown network name":     {"POST", attachmentsPath, named("nope"), nil, 400, failed, "[Logical Network (name 'nope') doesn't exist.]"},
		"unknown network id":       {"POST", attachmentsPath, `<network_attachment><network id="` + unknownID + `"/></network_attachment>`, nil, 400, failed, "[Logical Network (id '" + unknownID + "') doesn't exist.]"},
		"incoherent reference":     {"POST", attachmentsPath, `<network_attachment><network id="` + string(iso4) + `"><name>iso2</name></network></network_attachment>`, nil, 400, failed, "reference different networks"},
		"NIC by name":              {"POST", attachmentsPath, `<network_attachment><host_nic><name>eth9</name></host_nic><network><name>iso4</name></network></network_attachment>`, nil, 400, failed, "The host network interface (id , name eth9) does not exist."},
		"NIC here by name":         {"POST", attachmentsPath, `<network_attachment><host_nic><name>eth0</name></host_nic><network><name>iso4</name></network></network_attachment>`, nil, 400, failed, nicHere},
		"NIC here by id":           {"POST", attachmentsPath, `<network_attachment><host_nic id="` + strings.ToUpper(nicID("eth0")) + `"/><network><name>iso4</name></network></network_attachment>`, nil, 400, failed, nicHere},
		"NIC by id, other name":    {"POST", attachmentsPath, `<network_attachment><host_nic id="` + nicID("eth0") + `"><name>eth1</name></host_nic><network><name>iso4</name></network></network_attachment>`, nil, 400, failed, "does not exist"},
		"NIC of an update":         {"PUT", attachment1, `<network_attachment><host_nic><name>bond0</name></host_nic></network_attachment>`, nil, 400, failed, nicHere},
		"NIC by id":                {"POST", attachmentsPath, `<network_attachment><host_nic id="7"/><network><name>iso4</name></network></network_attachment>`, nil, 400, failed, "remove host_nic from the request"},
		"static address":           {"POST", attachmentsPath, ip("<assignment_method>static</assignment_method><ip><address>192.0.2.1</address></ip>"), nil, 400, failed, "use the assignment_method 'none' instead of 'static'"},
		"unknown method of IP":     {"POST", attachmentsPath, ip("<assignment_method>magic</assignment_method>"), nil, 400, badValue, "it should be 'none'"},
		"none with an address":     {"POST", attachmentsPath, ip("<assignment_method>none</assignment_method><ip><address>192.0.2.1</address></ip>"), nil, 400, failed, "remove the ip '192.0.2.1'"},
		"NUL in a property":        {"POST", attachmentsPath, `{"network":{"name":"iso4"},"properties":{"property":[{"name":"a","value":"\u0000"}]}}`, jsonBody, 400, failed, "The value of a property must not have the character U+0000."},
		"nameless property":        {"POST", attachmentsPath, `{"network":{"name":"iso4"},"properties":{"property":[{"value":"x"}]}}`, jsonBody, 400, failed, "has no name"},
		"property twice":           {"POST", attachmentsPath, `{"network":{"name":"iso4"},"properties":{"property":[{"name":"a"},{"name":"a"}]}}`, jsonBody, 400, failed, "'a' is given twice"},
		"long property":            {"POST", attachmentsPath, `{"network":{"name":"iso4"},"properties":{"property":[{"name":"a","value":"` + strings.Repeat("x", 1025) + `"}]}}`, jsonBody, 400, failed, "has 1025 characters; the limit is 1024"},
		"other network":            {"PUT", attachment1, named("iso2x"), nil, 400, failed, "Logical Network (name 'iso2x') doesn't exist."},
		"change of the network":    {"PUT", attachment1, named("iso4"), nil, 400, failed, "Network of given Network Attachment (id " + attachmentID(iso1) + ") cannot be updated."},
		"id of another attachment": {"PUT", attachment1, `<network_attachment id="` + attachmentID(iso2) + `"/>`, nil, 409, immutable, "Attempt to set immutable field: id."},
		"managed by a label":       {"DELETE", attachmentsPath + "/" + attachmentID(iso3), "", nil, 409, failed, "since they are managed by the label: iso3. Please remove the label 'lab3'"},

		// NICs.
		"add a NIC":              {"POST", nicsPath, `<host_nic><name>bond1</name></host_nic>`, nil, 405, "Method Not Allowed", "use one of GET"},
		"change a NIC":           {"PUT", eth0, `<host_nic/>`, nil, 405, "Method Not Allowed", "use one of GET"},
		"unknown NIC":            {"GET", nicsPath + "/" + unknownID, "", nil, 404, failed, unknownID},
		"NIC by its name":        {"GET", nicsPath + "/eth0", "", nil, 404, failed, "Entity not found: eth0"},
		"NIC below another host": {"GET", base + "/hosts/" + string(host2) + "/nics/" + nicID("eth0"), "", nil, 404, failed, nicID("eth0")},
		"NICs of unknown host":   {"GET", base + "/hosts/" + unknownID + "/nics", "", nil, 404, failed, unknownID},
		"follow of NICs":         {"GET", nicsPath + "?follow=network", "", nil, 400, badValue, "use one of host, statistics"},
		"follow of a NIC":        {"GET", eth0 + "?follow=nothing", "", nil, 400, badValue, "use one of host, statistics"},
		"unknown NIC statistic":  {"GET", eth0 + "/statistics/8888", "", nil, 404, failed, "8888"},
		"statistics, no NIC":     {"GET", nicsPath + "/" + unknownID + "/statistics", "", nil, 404, failed, unknownID},
		"statistic, no NIC":      {"GET", nicsPath + "/" + unknownID + "/statistics/1", "", nil, 404, failed, unknownID},
		"attach to a NIC":        {"POST", eth0 + "/networkattachments", named("iso4"), nil, 400, failed, "not to its network interface 'eth0': use hosts/" + string(host1) + "/networkattachments."},
		"detach from a NIC":      {"DELETE", eth0 + "/networkattachments/" + attachmentID(iso1), "", nil, 400, failed, "hosts/" + string(host1) + "/networkattachments."},
		"attachment of a NIC":    {"GET", eth0 + "/networkattachments/" + attachmentID(iso1), "", nil, 404, failed, attachmentID(iso1)},
		"label a NIC":            {"POST", eth0 + "/networklabels", `<network_label id="lab1"/>`, nil, 400, failed, "use hosts/" + string(host1) + "/networklabels."},
		"unlabel a NIC":          {"DELETE", eth0 + "/networklabels/lab3", "", nil, 400, failed, "Labels of isolated networks belong to the host"},
		"label on a NIC":         {"GET", eth0 + "/networklabels/lab3", "", nil, 404, failed, "Entity not found: lab3"},
		"label an unknown NIC":   {"POST", nicsPath + "/" + unknownID + "/networklabels", `<network_label id="lab1"/>`, nil, 404, failed, unknownID},
		"labels, no NIC":         {"GET", nicsPath + "/" + unknownID + "/networklabels", "", nil, 404, failed, unknownID},
		"label, no NIC":          {"GET", nicsPath + "/" + unknownID + "/networklabels/lab3", "", nil, 404, failed, unknownID},

		// Ports in use.
		"detach in use":         {"DELETE", attachment1, "", nil, 409, failed, "The following Logical Network: 'iso1' is being used by the following VM(s)"},
		"network in use":        {"DELETE", network1, "", nil, 409, failed, "This logical network is used by virtual machine"},
		"detach in use, banana": {"DELETE", attachment1 + "?force=banana", "", nil, 409, failed, "force=true"},
		"setup in use":          {"POST", setupPath, `<action><removed_network_attachments>` + named("iso1") + `</removed_network_attachments></action>`, nil, 409, failed, "'vnet0'"},

		// setupnetworks.
		"setup of unknown host":      {"POST", base + "/hosts/" + unknownID + "/setupnetworks", "<action/>", nil, 404, failed, unknownID},
		"one of two unknown":         {"POST", setupPath, modified(named("iso4") + named("nope")), nil, 400, failed, "Logical Network (name 'nope') doesn't exist."},
		"valid label, unknown net":   {"POST", setupPath, `<action><modified_labels><network_label id="x"/></modified_labels><modified_network_attachments>` + named("nope") + `</modified_network_attachments></action>`, nil, 400, failed, "'nope'"},
		"network twice":              {"POST", setupPath, modified(named("iso4") + `<network_attachment><network id="` + string(iso4) + `"/></network_attachment>`), nil, 409, failed, "are attached to more than one Network Interface: iso4."},
		"removed twice":              {"POST", setupPath, `<action><removed_network_attachments>` + named("iso1") + named("iso1") + `</removed_network_attachments></action>`, nil, 409, failed, "iso1"},
		"in both lists":              {"POST", setupPath, `<action><modified_network_attachments>` + named("iso1") + `</modified_network_attachments><removed_network_attachments><network_attachment id="` + attachmentID(iso1) + `"/></removed_network_attachments></action>`, nil, 400, failed, "Cannot remove and update a Network Attachment simultaneously. The same network attachment ('" + attachmentID(iso1) + "')"},
		"update of unknown":          {"POST", setupPath, modified(`<network_attachment id="` + unknownID + `"/>`), nil, 400, failed, "Updated Network Attachment (id '" + unknownID + "') does not exist."},
		"update to another":          {"POST", setupPath, modified(`<network_attachment id="` + attachmentID(iso1) + `"><network><name>iso4</name></network></network_attachment>`), nil, 400, failed, "cannot be updated"},
		"nameless":                   {"POST", setupPath, modified(`<network_attachment/>`), nil, 400, failed, "There's unset networkId or networkName"},
		"nameless removal":           {"POST", setupPath, `<action><removed_network_attachments><network_attachment/></removed_network_attachments></action>`, nil, 400, failed, "There's unset networkId or networkName"},
		"removal of unknown":         {"POST", setupPath, `<action><removed_network_attachments><network_attachment id="` + unknownID + `"/>` + named("iso4") + `</removed_network_attachments></action>`, nil, 400, failed, "because they do not exist: " + unknownID + ", iso4."},
		"synchronized unknown":       {"POST", setupPath, `<action><synchronized_network_attachments><network_attachment id="` + unknownID + `"/></synchronized_network_attachments></action>`, nil, 404, failed, unknownID},
		"setup with a NIC":           {"POST", setupPath, modified(`<network_attachment><host_nic><name>eth0</name></host_nic><network><name>iso4</name></network></network_attachment>`), nil, 400, failed, nicHere},
		"setup label with a NIC":     {"POST", setupPath, `<action><modified_labels><network_label id="x"><host_nic id="e"/></network_label></modified_labels></action>`, nil, 400, failed, "(id e, name )"},
		"setup label, NIC here":      {"POST", setupPath, `<action><modified_labels><network_label id="x"><host_nic id="` + nicID("eth0") + `"/></network_label></modified_labels></action>`, nil, 400, failed, nicHere},
		"setup with a bond":          {"POST", setupPath, `<action><modified_bonds><host_nic><name>bond0</name></host_nic></modified_bonds></action>`, nil, 400, failed, "bonds cannot be changed"},
		"setup removing a bond":      {"POST", setupPath, `<action><removed_bonds><host_nic id="b"/></removed_bonds></action>`, nil, 400, failed, "bonds cannot be changed"},
		"setup label a b":            {"POST", setupPath, `<action><modified_labels><network_label id="a b"/></modified_labels></action>`, nil, 400, failed, "Network label must be formed"},
		"setup label twice":          {"POST", setupPath, `<action><modified_labels><network_label id="lab3"/></modified_labels><removed_labels><network_label id="lab3"/></removed_labels></action>`, nil, 400, failed, "Labels 'lab3' appear in the 'labels/removed labels' lists more than once."},
		"setup label without text":   {"POST", setupPath, `<action><modified_labels><network_label/></modified_labels></action>`, nil, 400, incomplete, "NetworkLabel [id] required"},
		"setup absent label":         {"POST", setupPath, `<action><removed_labels><network_label id="nope"/></removed_labels></action>`, nil, 400, failed, "Label 'nope' cannot be removed, since it isn't attached to the host."},
		"removed but labelled":       {"POST", setupPath, `<action><removed_network_attachments>` + named("iso3") + `</removed_network_attachments></action>`, nil, 409, failed, "managed by the label: iso3"},
		"bad boolean in an action":   {"POST", setupPath, `<action><commit_on_success>maybe</commit_on_success></action>`, nil, 400, badValue, `"maybe"`},
		"negative timeout":           {"POST", setupPath, `<action><connectivity_timeout>-1</connectivity_timeout></action>`, nil, 400, badValue, "must be from 0 (the default of 30) to 3600 seconds"},
		"long timeout":               {"POST", setupPath, `<action><connectivity_timeout>3601</connectivity_timeout></action>`, nil, 400, badValue, "must be from 0"},
		"commit of unknown host":     {"POST", base + "/hosts/" + unknownID + "/commitnetconfig", "<action/>", nil, 404, failed, unknownID},
		"assign unknown to cluster":  {"POST", base + "/clusters/" + cluster + "/networks", "<network><name>nope</name></network>", nil, 400, failed, "'nope'"},
		"assign nothing to cluster":  {"POST", base + "/clusters/" + cluster + "/networks", "<network/>", nil, 400, incomplete, "Network [id|name] required for add"},
		"add to unknown data center": {"POST", base + "/datacenters/" + unknownID + "/networks", "<network><name>x</name></network>", nil, 404, failed, unknownID},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before := w.store.Snapshot()
			got := w.must(r.status, r.method, r.path, r.body, r.header)
			f := readFault(t, got.Body.Bytes())
			if f.Reason != r.reason || !strings.Contains(f.Detail, r.detail) {
				t.Errorf("fault is %q: %q, want %q: …%q…", f.Reason, f.Detail, r.reason, r.detail)
			}
			if after := w.store.Snapshot(); after != before {
				t.Errorf("the desired state changed (-before +after):\n%s", cmp.Diff(before, after))
			}
		})
	}
}

// TestCodes asks for the refusals one by one.
func TestCodes(t *testing.T) {
	w := newWorld(t)
	path := base + "/networks/" + string(iso1)
	if text := w.must(http.StatusConflict, "DELETE", path, "", jsonReply).Body.String(); strings.Contains(text, "refusals") {
		t.Errorf("nobody asked for the codes:\n%s", text)
	}
	reply := w.must(http.StatusConflict, "DELETE", path, "", jsonReply, header{wire.RefusalsHeader: "true"})
	want := []wire.Refusal{{
		Code: string(model.RemovedInUse), Args: []string{"iso1", "vnet0", "33333333-3333-4333-8333-333333333333"},
		Text: "Cannot remove Network. This logical network is used by virtual machine: 33333333-3333-4333-8333-333333333333\n" +
			" - Please remove it from this virtual machine and try again.\n - Or unplug the port(s) 'vnet0', or force it with force=true.",
	}}
	var fault struct{ Refusals []wire.Refusal }
	if err := json.Unmarshal(reply.Body.Bytes(), &fault); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, fault.Refusals); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if text := w.must(http.StatusConflict, "DELETE", path, "", header{wire.RefusalsHeader: "true"}).Body.String(); strings.Contains(text, "refusals") {
		t.Errorf("XML has no codes:\n%s", text)
	}
}

func TestFaultHeaders(t *testing.T) {
	w := newWorld(t)
	if got := w.must(http.StatusMethodNotAllowed, "DELETE", base+"/hosts", "").Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow is %q", got)
	}
	got := w.must(http.StatusNotFound, "GET", base+"/nowhere", "", jsonReply)
	if kind := got.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("a fault for a JSON client is %q", kind)
	}
}
