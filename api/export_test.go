package api

// Routes returns the patterns of every route: those of the API, below its base
// path, and those that need no login.
func (a *API) Routes() (api, open []string) {
	for _, r := range a.table() {
		api = append(api, r.pattern)
	}
	for _, r := range (&endpoint{api: a}).openTable() {
		open = append(open, r.pattern)
	}
	return api, open
}
