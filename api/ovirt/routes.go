package ovirt

import (
	"net/http"

	"github.com/isonet/isonet/api/rest"
)

// Options are what the resources need beside the backend.
type Options struct {
	NICs    NICs
	Machine Machine
	// Version is isonet's own version, shown in product_info.
	Version string
	// StrictDefault says that a new network is strict unless its request says.
	StrictDefault func() bool
}

// Routes returns the resources of the engine, and isonet's own one that takes
// networks in the engine's form.
func Routes(b rest.Backend, o Options) []rest.Route {
	s := site{b, o.NICs, o.Machine}
	root := rootResource{s, o.Version}
	dataCenters, clusters, profiles, users := dataCenterResource{s}, clusterResource{s}, vnicProfileResource{s}, userResource{s}
	networks, labels := networkResource{s, o.StrictDefault}, labelResource{s}
	hosts, nics, attachments := hostResource{s}, nicResource{s}, attachmentResource{s}
	statistics, setup, events := statisticResource{s}, setupResource{s}, eventResource{s}
	get := func(path string, f handler) rest.Route {
		return rest.Route{Pattern: "GET " + path, Handle: rest.Answer(http.StatusOK, s.Shown(f))}
	}
	add := func(path string, f handler) rest.Route {
		return rest.Route{Pattern: "POST " + path, Handle: rest.Answer(http.StatusCreated, f)}
	}
	set := func(path string, f handler) rest.Route {
		return rest.Route{Pattern: "PUT " + path, Handle: rest.Answer(http.StatusOK, s.Shown(f))}
	}
	remove := func(path string, f handler) rest.Route {
		return rest.Route{Pattern: "DELETE " + path, Handle: rest.Answer(http.StatusOK, f)}
	}
	act := func(path string, f handler) rest.Route {
		return rest.Route{Pattern: "POST " + path, Handle: rest.Answer(http.StatusOK, f)}
	}
	return append(s.emptyRoutes(get), []rest.Route{
		get("/{$}", root.get),
		get("/options/{option}", root.getOption),
		get("/datacenters", dataCenters.list()),
		get("/datacenters/{datacenter}", inDataCenter(dataCenters.get())),
		get("/datacenters/{datacenter}/clusters", inDataCenter(dataCenters.listClusters())),
		get("/datacenters/{datacenter}/clusters/{cluster}", inDataCenter(inCluster(clusters.get()))),
		get("/datacenters/{datacenter}/networks", inDataCenter(dataCenters.listNetworks())),
		add("/datacenters/{datacenter}/networks", inDataCenter(networks.add)),
		get("/datacenters/{datacenter}/networks/{network}", inDataCenter(networks.get())).On(theNetwork),
		set("/datacenters/{datacenter}/networks/{network}", inDataCenter(networks.update)).On(theNetwork),
		remove("/datacenters/{datacenter}/networks/{network}", inDataCenter(networks.remove)).On(theNetwork),
		get("/clusters", clusters.list()),
		get("/clusters/{cluster}", inCluster(clusters.get())),
		get("/clusters/{cluster}/networks", inCluster(clusters.listNetworks())),
		add("/clusters/{cluster}/networks", inCluster(clusters.addNetwork)),
		get("/clusters/{cluster}/networks/{network}", inCluster(clusters.getNetwork())).On(theNetwork),
		set("/clusters/{cluster}/networks/{network}", inCluster(clusters.updateNetwork)).On(theNetwork),
		remove("/clusters/{cluster}/networks/{network}", inCluster(clusters.removeNetwork)).On(theNetwork),
		get("/vnicprofiles", profiles.list()),
		get("/vnicprofiles/{vnicprofile}", profiles.get()),
		get("/users", users.list),
		get("/users/{user}", users.get),
		get("/events", events.list),
		get("/events/{event}", events.get),

		get("/networks", networks.list()),
		add("/networks", networks.add),
		get("/networks/{network}", networks.get()).On(theNetwork),
		set("/networks/{network}", networks.update).On(theNetwork),
		remove("/networks/{network}", networks.remove).On(theNetwork),
		get("/networks/{network}/networklabels", labels.listOfNetwork).On(itsLabel),
		add("/networks/{network}/networklabels", labels.addToNetwork).On(itsLabel),
		get("/networks/{network}/networklabels/{label}", labels.getOfNetwork).On(itsLabel),
		remove("/networks/{network}/networklabels/{label}", labels.removeFromNetwork).On(itsLabel),
		get("/networks/{network}/vnicprofiles", profiles.listOfNetwork()),
		get("/networks/{network}/vnicprofiles/{vnicprofile}", profiles.getOfNetwork()),

		get("/hosts", hosts.list()),
		get("/hosts/{host}", hosts.get()).On(theHost),
		set("/hosts/{host}", hosts.update).On(theHost),
		remove("/hosts/{host}", hosts.remove).On(theHost),
		get("/hosts/{host}/statistics", hosts.listStatistics),
		get("/hosts/{host}/statistics/{statistic}", hosts.getStatistic),
		get("/hosts/{host}/nics", nics.list()),
		get("/hosts/{host}/nics/{nic}", nics.get()),
		get("/hosts/{host}/nics/{nic}/statistics", nics.listStatistics),
		get("/hosts/{host}/nics/{nic}/statistics/{statistic}", nics.getStatistic),
		get("/hosts/{host}/nics/{nic}/networkattachments", nics.empty("network_attachments")),
		add("/hosts/{host}/nics/{nic}/networkattachments", nics.refuse("Attachments", "networkattachments")),
		get("/hosts/{host}/nics/{nic}/networkattachments/{attachment}", nics.none("attachment")),
		remove("/hosts/{host}/nics/{nic}/networkattachments/{attachment}", nics.refuse("Attachments", "networkattachments")),
		get("/hosts/{host}/nics/{nic}/networklabels", nics.empty("network_labels")),
		add("/hosts/{host}/nics/{nic}/networklabels", nics.refuse("Labels", "networklabels")),
		get("/hosts/{host}/nics/{nic}/networklabels/{label}", nics.none("label")),
		remove("/hosts/{host}/nics/{nic}/networklabels/{label}", nics.refuse("Labels", "networklabels")),
		get("/hosts/{host}/networklabels", labels.listOfHost).On(hostLabels),
		add("/hosts/{host}/networklabels", labels.addToHost).On(hostLabels),
		get("/hosts/{host}/networklabels/{label}", labels.getOfHost).On(hostLabels),
		remove("/hosts/{host}/networklabels/{label}", labels.removeFromHost).On(hostLabels),
		get("/hosts/{host}/networkattachments", attachments.list()).On(theHost),
		add("/hosts/{host}/networkattachments", attachments.add).On(theHost),
		get("/hosts/{host}/networkattachments/{attachment}", attachments.get()).On(theAttachment),
		set("/hosts/{host}/networkattachments/{attachment}", attachments.update).On(theAttachment),
		remove("/hosts/{host}/networkattachments/{attachment}", attachments.remove).On(theAttachment),
		get("/hosts/{host}/networkattachments/{attachment}/statistics", statistics.list),
		get("/hosts/{host}/networkattachments/{attachment}/statistics/{statistic}", statistics.get),
		act("/hosts/{host}/setupnetworks", setup.setupNetworks).On(theHost),
		act("/hosts/{host}/deactivate", setup.deactivate).On(theHost),
		act("/hosts/{host}/activate", setup.activate).On(theHost),
		act("/hosts/{host}/commitnetconfig", setup.commitNetConfig),
		act("/hosts/{host}/syncallnetworks", setup.syncAllNetworks),

		{Pattern: "POST /isonet/networks", Handle: networks.putAll},
	}...)
}
