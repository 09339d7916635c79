package client

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"reflect"
	"slices"

	"github.com/isonet/isonet/wire"
)

// Network is an isolated network, as it is defined for all hosts.
type Network struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Comment     string `json:"comment"`
	// MTU in bytes; 0 means the default of 1500.
	MTU int `json:"mtu"`
	// Label attaches the network to every host that has it; "" means none.
	Label string `json:"label"`
	// Bridge is the name of the network's bridge on every host.
	Bridge        string `json:"bridge"`
	PortIsolation bool   `json:"port_isolation"`
	// Settings are nil where the daemon has none.
	Settings
}

// Settings are what a network has in isonet and not in oVirt.
type Settings = wire.Settings[bool, int]

// NetworkChange names the attributes of a network to set, in the units of
// Network; nil leaves one as it is, or at its default when the network is
// created.
type NetworkChange struct {
	Name        *string `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
	Comment     *string `json:"comment,omitempty"`
	// Label "" takes the label away.
	Label         *string `json:"-"`
	MTU           *int    `json:"mtu,omitempty,string"`
	PortIsolation *bool   `json:"port_isolation,omitempty,string"`
	Settings
}

// Empty says that the change changes nothing.
func (c NetworkChange) Empty() bool { return c == NetworkChange{} }

// PutNetwork is a network to be made, or with its id one to be changed.
type PutNetwork struct {
	ID string
	NetworkChange
}

// The JSON form of the oVirt API writes numbers and booleans as strings, and the
// label as a list beside the network.

// settingsBody is the oVirt form of Settings. It is embedded beside them and goes over
// them, because it is less deep.
type settingsBody = wire.Settings[wire.Boolean, wire.Integer]

// converted returns settings of one form in another one.
func converted[To, From any](from From) (to To) {
	source, target := reflect.ValueOf(from), reflect.ValueOf(&to).Elem()
	for i := range source.NumField() {
		if member := source.Field(i); !member.IsNil() {
			target.Field(i).Set(member.Convert(target.Field(i).Type()))
		}
	}
	return to
}

// networkBody is a change as the daemon reads it.
type networkBody struct {
	ID string `json:"id,omitempty"`
	NetworkChange
	settingsBody
	Labels     *labels    `json:"network_labels,omitempty"`
	DataCenter *reference `json:"data_center,omitempty"`
}

func bodyOf(n PutNetwork) networkBody {
	body := networkBody{ID: n.ID, NetworkChange: n.NetworkChange, settingsBody: converted[settingsBody](n.Settings)}
	switch {
	case n.Label == nil:
	case *n.Label == "":
		body.Labels = labelList()
	default:
		body.Labels = labelList(*n.Label)
	}
	return body
}

// networkAnswer is a network as the daemon writes it.
type networkAnswer struct {
	Network
	settingsBody
	Bridge        string `json:"vdsm_name"`
	MTU           int    `json:"mtu,string"`
	PortIsolation bool   `json:"port_isolation,string"`
	Labels        labels `json:"network_labels"`
}

func (a networkAnswer) network() Network {
	n := a.Network
	n.Bridge, n.MTU, n.PortIsolation, n.Settings = a.Bridge, a.MTU, a.PortIsolation, converted[Settings](a.settingsBody)
	if len(a.Labels.Label) > 0 {
		n.Label = a.Labels.Label[0].ID
	}
	return n
}

// labels is the oVirt form of a list of labels: the text is the id.
type labels struct {
	Label []reference `json:"network_label"`
}

type reference struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

func labelList(names ...string) *labels {
	list := &labels{Label: []reference{}}
	for _, name := range names {
		list.Label = append(list.Label, reference{ID: name})
	}
	return list
}

func (l labels) names() []string {
	names := make([]string, len(l.Label))
	for i, label := range l.Label {
		names[i] = label.ID
	}
	slices.Sort(names)
	return names
}

// followLabels asks for the label within the network.
func followLabels() url.Values { return url.Values{"follow": {"network_labels"}} }

// Networks returns all networks, sorted by name.
func (c *Client) Networks(ctx context.Context) ([]Network, error) {
	var answer struct {
		Network []networkAnswer `json:"network"`
	}
	if err := c.call(ctx, http.MethodGet, "/networks", followLabels(), nil, &answer); err != nil {
		return nil, err
	}
	networks := make([]Network, len(answer.Network))
	for i, n := range answer.Network {
		networks[i] = n.network()
	}
	slices.SortFunc(networks, func(a, b Network) int { return cmp.Compare(a.Name, b.Name) })
	return networks, nil
}

// CreateNetwork creates a network, which needs a name, and returns it. It is on
// no host until it is attached or a host has its label.
func (c *Client) CreateNetwork(ctx context.Context, n NetworkChange) (Network, error) {
	body := bodyOf(PutNetwork{NetworkChange: n})
	body.DataCenter = &reference{Name: "Default"}
	return c.sendNetwork(ctx, http.MethodPost, "/networks", body)
}

// UpdateNetwork changes a network on all hosts that have it, and returns it.
func (c *Client) UpdateNetwork(ctx context.Context, id string, change NetworkChange) (Network, error) {
	return c.sendNetwork(ctx, http.MethodPut, "/networks/"+url.PathEscape(id), bodyOf(PutNetwork{NetworkChange: change}))
}

func (c *Client) sendNetwork(ctx context.Context, method, path string, body networkBody) (Network, error) {
	var answer networkAnswer
	err := c.call(ctx, method, path, followLabels(), body, &answer)
	return answer.network(), err
}

// DeleteNetwork deletes a network, and with it its bridge on every host. With
// force the bridges go although ports are in use.
func (c *Client) DeleteNetwork(ctx context.Context, id string, force bool) error {
	return c.call(ctx, http.MethodDelete, "/networks/"+url.PathEscape(id), onlyIf("force", force), nil, nil)
}

// Change is any number of changes of networks and of one host. What it does not name
// stays as it is.
type Change struct {
	// Put are networks to make and to change.
	Put []PutNetwork
	// Remove are ids of networks, which go from every host.
	Remove []string
	// Host is the id of the host that Setup changes, "" for none.
	Host string
	// Setup has the names of networks in place of their ids: those that are made have
	// none yet.
	Setup SetupNetworks
	// Force lets the bridges of removed and detached networks go although ports are in
	// use.
	Force bool
}

// Apply makes a change as a whole or not at all. It has at most wire.MostNetworks
// networks to put and to remove. Apply returns what became of them, those to put first.
func (c *Client) Apply(ctx context.Context, change Change) ([]wire.PutNetwork, error) {
	body := change.body()
	body.Timeout = c.patience(ctx)
	var answer wire.PutNetworks
	err := c.call(ctx, http.MethodPost, changePath, nil, body, &answer)
	return answer.Networks, err
}

const changePath = "/isonet/networks"

// changeBody is the body of a Change.
type changeBody struct {
	Network []networkBody  `json:"network"`
	Removed *referenceList `json:"removed_networks,omitempty"`
	Setup   *hostSetupBody `json:"setup_networks,omitempty"`
	Timeout string         `json:"connectivity_timeout,omitempty"`
	Force   bool           `json:"force,omitempty,string"`
}

type referenceList struct {
	Network []reference `json:"network"`
}

type hostSetupBody struct {
	Host reference `json:"host"`
	setupBody
}

func (ch Change) body() changeBody {
	body := changeBody{Network: make([]networkBody, len(ch.Put)), Force: ch.Force}
	for i, n := range ch.Put {
		body.Network[i] = bodyOf(n)
	}
	if len(ch.Remove) > 0 {
		body.Removed = &referenceList{}
		for _, id := range ch.Remove {
			body.Removed.Network = append(body.Removed.Network, reference{ID: id})
		}
	}
	if ch.Host != "" {
		body.Setup = &hostSetupBody{reference{ID: ch.Host}, ch.Setup.body(byName)}
	}
	return body
}
