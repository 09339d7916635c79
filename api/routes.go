package api

import (
	"net/http"

	"github.com/isonet/isonet/model"
)

// route joins a pattern of http.ServeMux, below the base path, to a handler.
type route struct {
	pattern string
	handle  func(*call) error
	// about finds what conditions of a request are about; nil is all of the desired
	// state.
	about func(*call, *model.Desired) (any, error)
}

func (r route) on(about func(*call, *model.Desired) (any, error)) route {
	r.about = about
	return r
}

func (a *API) table() []route {
	get := func(path string, f func(*call) (document, error)) route {
		return route{pattern: "GET " + path, handle: answer(http.StatusOK, a.shown(f))}
	}
	add := func(path string, f func(*call) (document, error)) route {
		return route{pattern: "POST " + path, handle: answer(http.StatusCreated, f)}
	}
	set := func(path string, f func(*call) (document, error)) route {
		return route{pattern: "PUT " + path, handle: answer(http.StatusOK, a.shown(f))}
	}
	remove := func(path string, f func(*call) (document, error)) route {
		return route{pattern: "DELETE " + path, handle: answer(http.StatusOK, f)}
	}
	act := func(path string, f func(*call) (document, error)) route {
		return route{pattern: "POST " + path, handle: answer(http.StatusOK, f)}
	}
	inDataCenter := func(f func(*call) (document, error)) func(*call) (document, error) {
		return below("datacenter", dataCenterID(), f)
	}
	inCluster := func(f func(*call) (document, error)) func(*call) (document, error) {
		return below("cluster", clusterID(), f)
	}
	return []route{
		get("/{$}", a.getRoot),
		get("/datacenters", a.listDataCenters),
		get("/datacenters/{datacenter}", inDataCenter(a.getDataCenter)),
		get("/datacenters/{datacenter}/clusters", inDataCenter(a.listDataCenterClusters)),
		get("/datacenters/{datacenter}/clusters/{cluster}", inDataCenter(inCluster(a.getCluster))),
		get("/datacenters/{datacenter}/networks", inDataCenter(a.listDataCenterNetworks)),
		add("/datacenters/{datacenter}/networks", inDataCenter(a.addNetwork)),
		get("/datacenters/{datacenter}/networks/{network}", inDataCenter(a.getNetwork)).on(theNetwork),
		set("/datacenters/{datacenter}/networks/{network}", inDataCenter(a.updateNetwork)).on(theNetwork),
		remove("/datacenters/{datacenter}/networks/{network}", inDataCenter(a.removeNetwork)).on(theNetwork),
		get("/clusters", a.listClusters),
		get("/clusters/{cluster}", inCluster(a.getCluster)),
		get("/clusters/{cluster}/networks", inCluster(a.listClusterNetworks)),
		add("/clusters/{cluster}/networks", inCluster(a.addClusterNetwork)),
		get("/clusters/{cluster}/networks/{network}", inCluster(a.getClusterNetwork)).on(theNetwork),
		set("/clusters/{cluster}/networks/{network}", inCluster(a.updateClusterNetwork)).on(theNetwork),
		remove("/clusters/{cluster}/networks/{network}", inCluster(a.removeClusterNetwork)).on(theNetwork),
		get("/vms", empty("vms")),
		get("/vnicprofiles", a.listVnicProfiles),
		get("/vnicprofiles/{vnicprofile}", a.getVnicProfile),
		get("/storagedomains", empty("storage_domains")),
		get("/vmpools", empty("vm_pools")),
		get("/templates", empty("templates")),
		get("/disks", empty("disks")),
		get("/tags", empty("tags")),
		get("/users", a.listUsers),
		get("/users/{user}", a.getUser),

		get("/networks", a.listNetworks),
		add("/networks", a.addNetwork),
		get("/networks/{network}", a.getNetwork).on(theNetwork),
		set("/networks/{network}", a.updateNetwork).on(theNetwork),
		remove("/networks/{network}", a.removeNetwork).on(theNetwork),
		get("/networks/{network}/networklabels", a.listLabelsOfNetwork).on(itsLabel),
		add("/networks/{network}/networklabels", a.addLabelToNetwork).on(itsLabel),
		get("/networks/{network}/networklabels/{label}", a.getLabelOfNetwork).on(itsLabel),
		remove("/networks/{network}/networklabels/{label}", a.removeLabelFromNetwork).on(itsLabel),
		get("/networks/{network}/vnicprofiles", a.listNetworkVnicProfiles),
		get("/networks/{network}/vnicprofiles/{vnicprofile}", a.getNetworkVnicProfile),

		get("/hosts", a.listHosts),
		get("/hosts/{host}", a.getHost).on(theHost),
		set("/hosts/{host}", a.updateHost).on(theHost),
		remove("/hosts/{host}", a.removeHost).on(theHost),
		get("/hosts/{host}/nics", a.listNICs),
		get("/hosts/{host}/nics/{nic}", a.getNIC),
		get("/hosts/{host}/nics/{nic}/statistics", a.listNICStatistics),
		get("/hosts/{host}/nics/{nic}/statistics/{statistic}", a.getNICStatistic),
		get("/hosts/{host}/nics/{nic}/networkattachments", a.emptyOfNIC("network_attachments")),
		add("/hosts/{host}/nics/{nic}/networkattachments", a.refuseOnNIC("Attachments", "networkattachments")),
		get("/hosts/{host}/nics/{nic}/networkattachments/{attachment}", a.noneOfNIC("attachment")),
		remove("/hosts/{host}/nics/{nic}/networkattachments/{attachment}", a.refuseOnNIC("Attachments", "networkattachments")),
		get("/hosts/{host}/nics/{nic}/networklabels", a.emptyOfNIC("network_labels")),
		add("/hosts/{host}/nics/{nic}/networklabels", a.refuseOnNIC("Labels", "networklabels")),
		get("/hosts/{host}/nics/{nic}/networklabels/{label}", a.noneOfNIC("label")),
		remove("/hosts/{host}/nics/{nic}/networklabels/{label}", a.refuseOnNIC("Labels", "networklabels")),
		get("/hosts/{host}/unmanagednetworks", a.emptyOfHost("unmanaged_networks")),
		get("/hosts/{host}/networklabels", a.listLabelsOfHost).on(hostLabels),
		add("/hosts/{host}/networklabels", a.addLabelToHost).on(hostLabels),
		get("/hosts/{host}/networklabels/{label}", a.getLabelOfHost).on(hostLabels),
		remove("/hosts/{host}/networklabels/{label}", a.removeLabelFromHost).on(hostLabels),
		get("/hosts/{host}/networkattachments", a.listAttachments).on(theHost),
		add("/hosts/{host}/networkattachments", a.addAttachment).on(theHost),
		get("/hosts/{host}/networkattachments/{attachment}", a.getAttachment).on(theAttachment),
		set("/hosts/{host}/networkattachments/{attachment}", a.updateAttachment).on(theAttachment),
		remove("/hosts/{host}/networkattachments/{attachment}", a.removeAttachment).on(theAttachment),
		get("/hosts/{host}/networkattachments/{attachment}/statistics", a.listStatistics),
		get("/hosts/{host}/networkattachments/{attachment}/statistics/{statistic}", a.getStatistic),
		act("/hosts/{host}/setupnetworks", a.setupNetworks).on(theHost),
		act("/hosts/{host}/commitnetconfig", a.commitNetConfig),
		act("/hosts/{host}/syncallnetworks", a.syncAllNetworks),

		{pattern: "GET /isonet/status", handle: a.getStatus},
		{pattern: "GET /isonet/plan", handle: a.getPlan},
		{pattern: "POST /isonet/plan", handle: a.makePlan},
		{pattern: "GET /isonet/watch", handle: a.watchStatus},
		{pattern: "POST " + putNetworksPath, handle: a.putNetworks},
		{pattern: "POST " + adoptPath, handle: a.adoptBridge},
		{pattern: "POST " + releasePath, handle: a.releaseBridge},
		{pattern: "POST /isonet/prune", handle: a.prunePorts},
		{pattern: "POST /isonet/guard/release", handle: a.releaseDevice},
	}
}

// answer makes a handler of a function that returns a document. A document of
// a new object gives its Location.
func answer(status int, f func(*call) (document, error)) func(*call) error {
	return func(c *call) error {
		d, err := f(c)
		if err != nil {
			return err
		}
		if e, ok := d.(interface{ location() string }); ok && status == http.StatusCreated {
			c.w.Header().Set("Location", e.location())
		}
		return c.send(status, d)
	}
}

func empty(name string) func(*call) (document, error) {
	return func(*call) (document, error) { return emptyList{name}, nil }
}

// newMux returns a mux over a table. Its handlers leave an error in the call.
func newMux(table []route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range table {
		mux.HandleFunc(route.pattern, func(_ http.ResponseWriter, r *http.Request) {
			c := callOf(r)
			c.r, c.about = r, route.about // r has the path values
			c.err = route.handle(c)
		})
	}
	return mux
}

// unrouted returns the error for a request that the mux has no handler for: the
// mux itself would answer with plain text, which oVirt's clients cannot read.
func unrouted(mux *http.ServeMux, r *http.Request) error {
	handler, pattern := mux.Handler(r)
	if pattern != "" {
		return nil
	}
	probe := &discard{header: http.Header{}}
	handler.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		return &methodError{method: r.Method, allow: allow}
	}
	return refuse(errNoResource, "There is no resource %s: see the links of the API's root.", r.URL.Path)
}

// methodError says which methods a resource has.
type methodError struct{ method, allow string }

func (e *methodError) Error() string {
	return "The resource has no method " + e.method + ": use one of " + e.allow + "."
}

func (e *methodError) Unwrap() error { return errMethod }

// discard keeps nothing of a reply but its header.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
