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
)

const (
	memberCount = 3
	hostCount   = 10
)

// fleet is all of it. It ends with the test.
type fleet struct {
	testing.TB
	fabric  *fabric
	members []*member
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
	f.reports = newServer(f.fabric, "the status server")
	f.reports.createAlone(status.Schema)
	f.reports.start()
	for n := range hostCount {
		machine := f.fabric.add()
		h := hosttest.New(t, os.Getenv(programVariable), hosttest.In(machine.namespace), hosttest.Following(endpoints...),
			hosttest.With("--fleet-status", f.reports.endpoint()))
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

// converges waits until all hosts have what they should, which all of them say, and
// reads it all by all of them.
func (f *fleet) converges(l *load) {
	f.Helper()
	d := f.agree()
	for _, h := range f.hosts {
		ovstest.Eventually(f, fmt.Sprintf("host %d has the networks that it should", h.number), func() error {
			want := d.hosts[strings.TrimPrefix(h.Path(), "/hosts/")]
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
	f.reported()
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

// reported waits until the status server has the reports of all hosts, and all say that
// they have realised the same.
func (f *fleet) reported() {
	f.Helper()
	const ask = `["Isolated_Networks_Status",{"op":"select","table":"Host_Status","where":[],"columns":["system_id","realised"]}]`
	ovstest.Eventually(f, "all hosts have reported that they have the same", func() error {
		out, err := f.reports.command("ovsdb-client", "--timeout=5", "transact", f.reports.endpoint(), ask).Output()
		var results []struct{ Rows []struct{ Realised int64 } }
		if err == nil {
			err = json.Unmarshal(out, &results)
		}
		if err != nil || len(results) != 1 || len(results[0].Rows) != len(f.hosts) {
			return fmt.Errorf("%s: %v", out, err)
		}
		for _, row := range results[0].Rows {
			if row != results[0].Rows[0] {
				return fmt.Errorf("they say %v", results[0].Rows)
			}
		}
		return nil
	})
}
