package api

import (
	"github.com/isonet/isonet/api/ovirt"
	"github.com/isonet/isonet/api/rest"
)

// Routes returns the patterns of every route: those of the API, below its base
// path, and those that need no login.
func (a *API) Routes() (api, open []string) {
	for _, routes := range a.routes(a.backend) {
		api = append(api, patterns(routes)...)
	}
	return api, patterns(ovirt.OpenRoutes(nil, nil))
}

func patterns(routes []rest.Route) []string {
	list := make([]string, len(routes))
	for i, r := range routes {
		list[i] = r.Pattern
	}
	return list
}
