package api

import (
	"time"

	"github.com/isonet/isonet/model"
)

// The engine's version that the API is like. Clients take features from it.
const (
	engineMajor = 4
	engineMinor = 5
	engineFull  = "4.5.0"
)

// getRoot answers GET /ovirt-engine/api.
func (a *API) getRoot(c *call) (document, error) {
	root := &rootDTO{ProductInfo: a.product(), Time: timestamp(time.Now())}
	for _, rel := range []string{
		"clusters", "datacenters", "disks", "hosts", "networks", "storagedomains",
		"tags", "templates", "users", "vmpools", "vms", "vnicprofiles",
	} {
		root.Link = append(root.Link, linkDTO{Href: c.base + "/" + rel, Rel: rel})
		if rel != "tags" && rel != "vnicprofiles" { // the engine cannot search them either
			root.Link = append(root.Link, linkDTO{Href: c.base + "/" + rel + "?search={query}", Rel: rel + "/search"})
		}
	}
	v := a.view(c)
	root.Summary.Hosts.Total = integer(len(v.desired.Hosts))
	for id := range v.desired.Hosts {
		if v.here(id) {
			root.Summary.Hosts.Active++
		}
	}
	root.Summary.Users.Total = integer(len(c.users.names()))
	root.Summary.Users.Active = root.Summary.Users.Total
	if c.user != "" {
		root.AuthenticatedUser = v.ref("users", userID(c.user))
		root.EffectiveUser = root.AuthenticatedUser
	}
	return root, nil
}

func (a *API) product() productInfoDTO {
	full := engineFull + "-isonet"
	if a.version != "" {
		full += "-" + a.version
	}
	return productInfoDTO{
		InstanceID: string(model.DeriveID("product")),
		Name:       "isonet",
		Vendor:     "isonet",
		Version:    versionDTO{FullVersion: full, Major: engineMajor, Minor: engineMinor},
	}
}
