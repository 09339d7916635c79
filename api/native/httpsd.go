package native

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// metricsPort is where the hosts are scraped unless the request says otherwise: the
// default of metrics-listen.
const metricsPort = "9475"

// discoverHosts tells Prometheus of the hosts of the store. The store knows names and
// no addresses: the request says what turns a name into one.
func (r resources) discoverHosts(c *rest.Call) error {
	port, domain := cmp.Or(c.Query().Get("port"), metricsPort), strings.Trim(c.Query().Get("domain"), ".")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return rest.Refuse(rest.ErrValue, "The port %q is none: it is a number from 1 to 65535.", port)
	}
	if !regexp.MustCompile(`^[-_.0-9A-Za-z]*$`).MatchString(domain) {
		return rest.Refuse(rest.ErrValue, "The domain %q is none: it has letters, digits, hyphens and dots.", domain)
	}
	r.TellStale(c)
	return c.SendJSON(http.StatusOK, targets(r.Store.Snapshot(), domain, port))
}

// targets returns a group for each host, by name. A domain completes names that have
// none.
func targets(d *model.Desired, domain, port string) []wire.TargetGroup {
	groups := []wire.TargetGroup{}
	byName := func(a, b model.Host) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	}
	for _, h := range slices.SortedFunc(maps.Values(d.Hosts), byName) {
		address := h.Name
		if domain != "" && !strings.Contains(address, ".") {
			address += "." + domain
		}
		labels := map[string]string{wire.TargetHost: h.Name, wire.TargetHostID: string(h.ID)}
		if len(h.Labels) > 0 {
			labels[wire.TargetHostLabels] = "," + strings.Join(slices.Sorted(slices.Values(h.Labels)), ",") + ","
		}
		groups = append(groups, wire.TargetGroup{Targets: []string{net.JoinHostPort(address, port)}, Labels: labels})
	}
	return groups
}
