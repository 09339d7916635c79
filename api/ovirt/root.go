package ovirt

import (
	"slices"
	"time"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// The engine's version that the API is like. Clients take features from it.
const (
	engineMajor = 4
	engineMinor = 5
	engineFull  = "4.5.0"
)

// rootResource is the entry of the API.
type rootResource struct {
	site
	// version is isonet's own, shown in product_info.
	version string
}

// rels are the links of the root, in order.
func rels() []string {
	all := append(emptyRels(), "clusters", "datacenters", "events", "hosts", "networks", "users", "vnicprofiles")
	slices.Sort(all)
	return all
}

// searchable are the lists that the engine can search.
var searchable = map[string]bool{
	"clusters": true, "datacenters": true, "disks": true, "events": true, "groups": true, "hosts": true, "instancetypes": true, "networks": true,
	"storagedomains": true, "templates": true, "users": true, "vmpools": true, "vms": true,
}

// get answers GET /ovirt-engine/api.
func (r rootResource) get(c *rest.Call) (rest.Document, error) {
	root := &rootDTO{ProductInfo: r.product(), Time: timestamp(time.Now())}
	for _, rel := range rels() {
		root.Link = append(root.Link, linkDTO{Href: c.Base() + "/" + rel, Rel: rel})
		if searchable[rel] {
			root.Link = append(root.Link, linkDTO{Href: c.Base() + "/" + rel + "?search={query}", Rel: rel + "/search"})
		}
	}
	v := r.view(c)
	root.Summary.Hosts.Total = integer(len(v.desired.Hosts))
	for id := range v.desired.Hosts {
		if _, present := v.present(id); present {
			root.Summary.Hosts.Active++
		}
	}
	root.Summary.Users.Total = integer(len(c.Users()))
	root.Summary.Users.Active = root.Summary.Users.Total
	if c.User() != "" {
		root.AuthenticatedUser = v.ref("users", userID(c.User()))
		root.EffectiveUser = root.AuthenticatedUser
	}
	return root, nil
}

func (r rootResource) product() productInfoDTO {
	full := engineFull + "-isonet"
	if r.version != "" {
		full += "-" + r.version
	}
	return productInfoDTO{
		InstanceID: string(model.DeriveID("product")),
		Name:       "isonet",
		Vendor:     "isonet",
		Version:    versionDTO{FullVersion: full, Major: engineMajor, Minor: engineMinor},
	}
}
