package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	status "github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/store"
)

const (
	memberCount = 3
	relayCount  = 2
	hostCount   = 10
)

// fleet is all of it. It ends with the test.
type fleet struct {
	testing.TB
	fabric  *fabric
	members []*member
	// relays are what hosts follow.
	relays []*server
	// reports is the server to which the hosts report.
	reports *server
	hosts   []*host
}

// host is a machine with Open vSwitch and isonetd.
type host struct {
	*hosttest.Host
	node
	number int
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	f := &fleet{TB: t, fabric: newFabric(t)}
	var endpoints []string
	for n := range memberCount {
		m := newMember(f.fabric, fmt.Sprint("member ", n))
		if n == 0 {
			m.create()
		} else {
			m.join(f.members...)
		}
		f.members = append(f.members, m)
		endpoints = append(endpoints, m.endpoint())
	}
	var relays []string
	for n := range relayCount {
		r := newServer(f.fabric, fmt.Sprint("relay ", n))
		r.serves = "relay:" + store.Database + ":" + strings.Join(endpoints, ",")
		r.start()
		f.relays = append(f.relays, r)
		relays = append(relays, r.endpoint())
	}
	f.reports = newServer(f.fabric, "the status server")
	f.reports.createAlone(status.Schema)
	f.reports.start()
	for n := range hostCount {
		machine := f.fabric.add()
		h := hosttest.New(t, os.Getenv(programVariable), hosttest.In(machine.namespace), hosttest.Following(endpoints...),
			hosttest.With("--relays", strings.Join(relays, ","), "--fleet-status", f.reports.endpoint()))
		f.hosts = append(f.hosts, &host{h, machine, n})
	}
	for _, h := range f.hosts {
		h.Launch()
	}
	for _, h := range f.hosts {
		h.AwaitReady()
	}
	return f
}

// leader waits until one of the members that run leads.
func (f *fleet) leader() *member {
	f.Helper()
	var leader *member
	ovstest.Eventually(f, "a member leads", func() error {
		for _, m := range f.members {
			if m.process == nil {
				continue
			}
			if status, err := m.status(); err == nil && status["Role"] == "leader" {
				leader = m
				return nil
			}
		}
		return errors.New("none does")
	})
	return leader
}

// provision gives all hosts the network base, by a label.
func (f *fleet) provision() {
	f.Helper()
	by := f.hosts[0]
	for _, h := range f.hosts {
		by.Must("POST", h.Path()+"/networklabels", fmt.Sprintf(`{"id":%q}`, common))
	}
	for _, h := range f.hosts[:few-1] {
		by.Must("POST", h.Path()+"/networklabels", fmt.Sprintf(`{"id":%q}`, special))
	}
	by.Create("base")
	by.Must("POST", by.Network("base")+"/networklabels", fmt.Sprintf(`{"id":%q}`, common))
	f.agree()
}

// bridgesOf returns the ids of the rows that a network's bridges have in the Open vSwitch
// of each host. A bridge that is made anew has another one.
func (f *fleet) bridgesOf(network string) []string {
	f.Helper()
	var ids []string
	for _, h := range f.hosts {
		ids = append(ids, h.OVS.Vsctl("--no-wait", "get", "bridge", network, "_uuid"))
	}
	return ids
}

// desired is what an API says that there should be.
type desired struct {
	// networks are "name id label description".
	networks []string
	// hosts have their networks by their ids, and labels their labels.
	hosts, labels map[string][]string
}

// desired asks a host for it.
func (h *host) desired() (desired, error) {
	var reply struct {
		Network []struct {
			ID, Name, Description string
			Labels                struct {
				Label []struct{ ID string } `json:"network_label"`
			} `json:"network_labels"`
		}
		Host []struct {
			ID     string
			Labels struct {
				Label []struct{ ID string } `json:"network_label"`
			} `json:"network_labels"`
			Attachments struct {
				Attachment []struct{ Network struct{ ID string } } `json:"network_attachment"`
			} `json:"network_attachments"`
		}
	}
	d := desired{hosts: map[string][]string{}, labels: map[string][]string{}}
	for _, path := range []string{"/networks?follow=networklabels", "/hosts?follow=networklabels,networkattachments"} {
		answer, err := h.Ask("GET", path, "")
		if err == nil {
			err = answer.Err()
		}
		if err == nil && answer.Header.Get("Isonet-Stale") != "" {
			err = errors.New("the answer is stale")
		}
		if err == nil {
			err = json.Unmarshal([]byte(answer.Text), &reply)
		}
		if err != nil {
			return d, fmt.Errorf("%s: %w", path, err)
		}
	}
	names := map[string]string{}
	for _, n := range reply.Network {
		names[n.ID] = n.Name
		d.networks = append(d.networks, fmt.Sprint(n.Name, " ", n.ID, " ", n.Labels.Label, " ", n.Description))
	}
	for _, h := range reply.Host {
		for _, a := range h.Attachments.Attachment {
			d.hosts[h.ID] = append(d.hosts[h.ID], names[a.Network.ID])
		}
		for _, label := range h.Labels.Label {
			d.labels[h.ID] = append(d.labels[h.ID], label.ID)
		}
		slices.Sort(d.hosts[h.ID])
	}
	return d, nil
}

// agree waits until the APIs of all hosts say the same, and returns it.
func (f *fleet) agree() desired {
	f.Helper()
	var d desired
	ovstest.Eventually(f, "all hosts say the same", func() (err error) {
		if d, err = f.hosts[0].desired(); err != nil {
			return fmt.Errorf("host 0: %w", err)
		}
		for _, h := range f.hosts[1:] {
			other, err := h.desired()
			if err == nil && fmt.Sprint(other) != fmt.Sprint(d) {
				err = fmt.Errorf("%v is not what host 0 says: %v", other, d)
			}
			if err != nil {
				return fmt.Errorf("host %d: %w", h.number, err)
			}
		}
		return nil
	})
	return d
}

// clear removes what the log tells an operator to: a host that was killed just after it had
// made a bridge does not know that it was its own, once others have deleted the network.
func (h *host) clear() {
	for line := range strings.Lines(h.Logged()) {
		_, rest, told := strings.Cut(line, `or the bridge if it is left over" component=reconcile bridge=`)
		name, network, _ := strings.Cut(strings.TrimSpace(rest), " network=")
		if told && strings.Contains(h.OVS.Vsctl("--if-exists", "get", "bridge", name, "external_ids:isonet-network-id"), network) {
			h.OVS.Vsctl("del-br", name)
		}
	}
}

// converges waits until all hosts have what they should, which all of them say, and
// reads it all by all of them.
func (f *fleet) converges(l *load) {
	f.Helper()
	d := f.agree()
	for _, h := range f.hosts {
		ovstest.Eventually(f, fmt.Sprintf("host %d has the networks that it should", h.number), func() error {
			want := d.hosts[strings.TrimPrefix(h.Path(), "/hosts/")]
			h.clear()
			if got := h.Own(); !slices.Equal(got, want) {
				return fmt.Errorf("its bridges are %v, want %v", got, want)
			}
			status, err := h.Status()
			if err != nil {
				return err
			}
			for _, n := range status.Networks {
				if n.State != "active" {
					return fmt.Errorf("its status is %v", status)
				}
			}
			if status.Stale || len(status.Networks) != len(want) {
				return fmt.Errorf("its status is %v, want the networks %v", status, want)
			}
			return nil
		})
	}
	f.reported(f.hosts[hostCount/2])
	l.settle()
	for _, by := range f.hosts {
		for n := range pool {
			l.do(by, by, input{row: l.network(n), verb: "read"})
		}
		for _, of := range f.hosts[:few] {
			l.do(by, of, input{row: l.attachment(of), verb: "look"})
			l.do(by, of, input{row: l.labelOf(of), verb: "look"})
		}
	}
}

// reported waits until the API of a host says by the reports of all that they are up.
func (f *fleet) reported(by *host) {
	f.Helper()
	ovstest.Eventually(f, fmt.Sprintf("all hosts are up, says host %d", by.number), func() error {
		reply, err := by.Ask("GET", "/hosts", "")
		var hosts struct{ Host []struct{ ID, Status string } }
		if err == nil {
			err = json.Unmarshal([]byte(reply.Text), &hosts)
		}
		if err != nil || len(hosts.Host) != len(f.hosts) {
			return fmt.Errorf("%s: %w", reply.Text, err)
		}
		for _, h := range hosts.Host {
			if h.Status != "up" {
				return fmt.Errorf("it says %v", hosts.Host)
			}
		}
		return nil
	})
}
