package ovirt

import (
	"slices"
	"strings"

	"github.com/isonet/isonet/api/rest"
)

// emptyLists are the engine's collections that isonet has no members of, by the path
// that they are below. Programs ask for them without need of one. A path is the name of
// its element without underscores.
func emptyLists() map[string][]string {
	return map[string][]string{
		"": {
			"affinity_labels", "bookmarks", "cpu_profiles", "disk_profiles", "disks", "external_host_providers", "groups", "image_transfers",
			"instance_types", "jobs", "katello_errata", "openstack_image_providers", "openstack_network_providers", "openstack_volume_providers",
			"operating_systems", "permissions", "storage_connections", "storage_domains", "tags", "templates", "vm_pools", "vms",
		},
		"/datacenters/{datacenter}": {"iscsi_bonds", "permissions", "qoss", "quotas", "storage_domains"},
		"/clusters/{cluster}":       {"affinity_groups", "cpu_profiles", "gluster_hooks", "gluster_volumes", "permissions"},
		"/hosts/{host}": {
			"affinity_labels", "fence_agents", "hooks", "katello_errata", "permissions", "storage_connection_extensions", "tags", "unmanaged_networks",
		},
		"/networks/{network}":         {"permissions"},
		"/vnicprofiles/{vnicprofile}": {"permissions"},
		"/users/{user}":               {"groups", "permissions", "roles", "ssh_public_keys", "tags"},
	}
}

// pathOf is the path of a collection by its element.
func pathOf(element string) string { return strings.ReplaceAll(element, "_", "") }

// absentLists are collections that every engine has members of, so that an empty one
// would say something wrong, with what to do without them.
func absentLists() map[string]string {
	return map[string]string{
		"clusterlevels":         "isonet has one cluster, whose compatibility version is in clusters.",
		"domains":               "isonet has no directories of users: who may log in is in users.",
		"icons":                 "isonet has no icons, because it has no VMs.",
		"macpools":              "isonet gives no MAC addresses to VMs.",
		"networkfilters":        "isonet has no network filters: a strict network with mac_lock has the one that matters.",
		"roles":                 "isonet has no roles: a user may do everything, or only look, by the option readers.",
		"schedulingpolicies":    "isonet does not schedule VMs.",
		"schedulingpolicyunits": "isonet does not schedule VMs.",
	}
}

// absent refuses a collection that isonet has not, in words.
func absent(why string) handler {
	return func(*rest.Call) (rest.Document, error) { return nil, rest.Refuse(rest.ErrNoResource, "%s", why) }
}

// emptyBelow answers for a collection that is empty on every object that find finds.
func emptyBelow[T any](name string, s site, find func(*rest.Call, *view) (T, error)) handler {
	return func(c *rest.Call) (rest.Document, error) {
		if _, err := find(c, s.view(c)); err != nil {
			return nil, err
		}
		return emptyList{name}, nil
	}
}

// emptyRoutes returns the routes of all lists that are always empty, and of those that
// are refused.
func (s site) emptyRoutes(get func(path string, f handler) rest.Route) []rest.Route {
	var routes []rest.Route
	for below, names := range emptyLists() {
		for _, name := range names {
			routes = append(routes, get(below+"/"+pathOf(name), s.emptyAt(below, name)))
		}
	}
	for path, why := range absentLists() {
		routes = append(routes, get("/"+path, absent(why)))
	}
	return routes
}

// emptyAt answers for a list that is empty, below an object that must be there.
func (s site) emptyAt(below, name string) handler {
	switch below {
	case "/datacenters/{datacenter}":
		return inDataCenter(empty(name))
	case "/clusters/{cluster}":
		return inCluster(empty(name))
	case "/hosts/{host}":
		return emptyBelow(name, s, in(hostAt))
	case "/networks/{network}":
		return emptyBelow(name, s, in(networkAt))
	case "/vnicprofiles/{vnicprofile}":
		return emptyBelow(name, s, vnicProfileAt)
	case "/users/{user}":
		return emptyBelow(name, s, userAt)
	}
	return empty(name)
}

// emptyRels are the links of the root to lists that are always empty.
func emptyRels() []string {
	var rels []string
	for _, name := range emptyLists()[""] {
		rels = append(rels, pathOf(name))
	}
	slices.Sort(rels)
	return rels
}
