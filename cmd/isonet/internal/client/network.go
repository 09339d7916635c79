package client

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/isonet/isonet/wire"
)

// Network is a logical network.
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
	// Isolation is the policy: "enforce", "quarantine" or "report"; "" if the
	// daemon has none.
	Isolation string `json:"isolation_policy,omitempty"`
	Strict    bool   `json:"strict"`
	MACLock   bool   `json:"mac_lock"`
	// BroadcastLimit is in frames per second and port; 0 means none.
	BroadcastLimit int `json:"broadcast_limit"`
}

// NetworkChange names the attributes of a network to set; nil leaves one as it
// is, or at its default when the network is created.
type NetworkChange struct {
	Name, Description, Comment, Label *string
	MTU                               *int
	PortIsolation                     *bool
	Isolation                         *string
	Strict, MACLock                   *bool
	BroadcastLimit                    *int
}

// Empty says that the change changes nothing.
func (c NetworkChange) Empty() bool { return c == NetworkChange{} }

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

// wireNetwork is a network as the daemon writes it.
type wireNetwork struct {
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	Description   string  `json:"description"`
	Comment       string  `json:"comment"`
	MTU           integer `json:"mtu"`
	PortIsolation boolean `json:"port_isolation"`
	Isolation     string  `json:"isolation_policy"`
	Strict        boolean `json:"strict"`
	MACLock       boolean `json:"mac_lock"`
	Broadcasts    integer `json:"broadcast_limit"`
	VdsmName      string  `json:"vdsm_name"`
	Labels        labels  `json:"network_labels"`
}

func (w wireNetwork) network() Network {
	n := Network{
		ID: w.ID, Name: w.Name, Description: w.Description, Comment: w.Comment,
		MTU: int(w.MTU), Bridge: w.VdsmName, PortIsolation: bool(w.PortIsolation),
		Isolation: w.Isolation, Strict: bool(w.Strict), MACLock: bool(w.MACLock),
		BroadcastLimit: int(w.Broadcasts),
	}
	if len(w.Labels.Label) > 0 {
		n.Label = w.Labels.Label[0].ID
	}
	return n
}

// wireChange is a change as the daemon reads it: absent members stay.
type wireChange struct {
	Name          *string    `json:"name,omitempty"`
	Description   *string    `json:"description,omitempty"`
	Comment       *string    `json:"comment,omitempty"`
	MTU           *string    `json:"mtu,omitempty"`
	PortIsolation *string    `json:"port_isolation,omitempty"`
	Isolation     *string    `json:"isolation_policy,omitempty"`
	Strict        *string    `json:"strict,omitempty"`
	MACLock       *string    `json:"mac_lock,omitempty"`
	Broadcasts    *string    `json:"broadcast_limit,omitempty"`
	Labels        *labels    `json:"network_labels,omitempty"`
	DataCenter    *reference `json:"data_center,omitempty"`
}

func (c NetworkChange) wire() wireChange {
	w := wireChange{
		Name: c.Name, Description: c.Description, Comment: c.Comment,
		PortIsolation: text(c.PortIsolation), Isolation: c.Isolation, Strict: text(c.Strict), MACLock: text(c.MACLock),
	}
	if c.MTU != nil {
		mtu := strconv.Itoa(*c.MTU)
		w.MTU = &mtu
	}
	if c.BroadcastLimit != nil {
		w.Broadcasts = new(strconv.Itoa(*c.BroadcastLimit))
	}
	switch {
	case c.Label == nil:
	case *c.Label == "":
		w.Labels = labelList()
	default:
		w.Labels = labelList(*c.Label)
	}
	return w
}

// text writes a boolean as the API does.
func text(b *bool) *string {
	if b == nil {
		return nil
	}
	return new(strconv.FormatBool(*b))
}

// followLabels asks for the label within the network.
func followLabels() url.Values { return url.Values{"follow": {"network_labels"}} }

// Networks returns all networks, sorted by name.
func (c *Client) Networks(ctx context.Context) ([]Network, error) {
	var answer struct {
		Network []wireNetwork `json:"network"`
	}
	if err := c.call(ctx, http.MethodGet, "/networks", followLabels(), nil, &answer); err != nil {
		return nil, err
	}
	networks := make([]Network, len(answer.Network))
	for i, w := range answer.Network {
		networks[i] = w.network()
	}
	slices.SortFunc(networks, func(a, b Network) int { return strings.Compare(a.Name, b.Name) })
	return networks, nil
}

// CreateNetwork creates a network and returns it.
func (c *Client) CreateNetwork(ctx context.Context, n NetworkChange) (Network, error) {
	body := n.wire()
	body.DataCenter = &reference{Name: "Default"}
	return c.putNetwork(ctx, http.MethodPost, "/networks", body)
}

// UpdateNetwork changes a network and returns it.
func (c *Client) UpdateNetwork(ctx context.Context, id string, change NetworkChange) (Network, error) {
	return c.putNetwork(ctx, http.MethodPut, "/networks/"+url.PathEscape(id), change.wire())
}

func (c *Client) putNetwork(ctx context.Context, method, path string, body wireChange) (Network, error) {
	var answer wireNetwork
	if err := c.call(ctx, method, path, followLabels(), body, &answer); err != nil {
		return Network{}, err
	}
	return answer.network(), nil
}

// MostNetworks is how many networks the daemon takes in one PutNetworks.
const MostNetworks = 1000

// PutNetwork is a network to be made, or with its id one to be changed.
type PutNetwork struct {
	ID string
	NetworkChange
}

// putNetworks is the body of PutNetworks.
type putNetworks struct {
	Network []wirePut `json:"network"`
	// Timeout is how long the daemon waits for Open vSwitch, in seconds.
	Timeout string `json:"connectivity_timeout,omitempty"`
}

type wirePut struct {
	ID string `json:"id,omitempty"`
	wireChange
}

func putAll(networks []PutNetwork) putNetworks {
	body := putNetworks{Network: make([]wirePut, len(networks))}
	for i, n := range networks {
		body.Network[i] = wirePut{n.ID, n.wire()}
	}
	return body
}

// PutNetworks makes and changes networks, all of them or none, and returns which
// ones they are. It returns after the daemon has them in Open vSwitch.
func (c *Client) PutNetworks(ctx context.Context, networks []PutNetwork, timeout time.Duration) ([]wire.PutNetwork, error) {
	body := putAll(networks)
	body.Timeout = strconv.Itoa(int(timeout.Seconds()))
	var answer wire.PutNetworks
	err := c.call(ctx, http.MethodPost, putNetworksPath, nil, body, &answer)
	return answer.Networks, err
}

const putNetworksPath = "/isonet/networks"

// DeleteNetwork deletes a network. With force its bridges go although ports
// are in use.
func (c *Client) DeleteNetwork(ctx context.Context, id string, force bool) error {
	return c.call(ctx, http.MethodDelete, "/networks/"+url.PathEscape(id), forced(force), nil, nil)
}

func forced(force bool) url.Values {
	if !force {
		return nil
	}
	return url.Values{"force": {"true"}}
}
