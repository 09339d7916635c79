package api

import (
	"github.com/isonet/isonet/api/rest"
)

// Routes returns the patterns of every route: those of the API, below its base
// path, and those that need no login.
func (a *API) Routes() (api, open []string) {
	for _, routes := range a.routes(a.backend) {
		api = append(api, patterns(routes)...)
	}
	for _, routes := range a.openRoutes(nil) {
		open = append(open, patterns(routes)...)
	}
	return api, open
}

func patterns(routes []rest.Route) []string {
	list := make([]string, len(routes))
	for i, r := range routes {
		list[i] = r.Pattern
	}
	return list
}
