package change

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isonet/isonet/model"
)

// fleetOf returns a desired state of hosts that have networks by labels and by themselves.
func fleetOf(hosts, networks int) *model.Desired {
	d := model.NewDesired()
	for i := range networks {
		n := model.Network{ID: model.DeriveID(fmt.Sprint("network ", i)), Name: fmt.Sprint("n", i), VdsmName: fmt.Sprint("n", i)}
		if i%4 > 0 {
			n.Label = fmt.Sprint("l", i%7)
		}
		d.Networks[n.ID] = n
	}
	for i := range hosts {
		h := model.Host{ID: model.DeriveID(fmt.Sprint("host ", i)), Name: fmt.Sprint("h", i), Labels: []string{fmt.Sprint("l", i%7)}}
		d.Hosts[h.ID] = h
		for j := range 3 {
			n := model.DeriveID(fmt.Sprint("network ", (i*5+j*4)%networks))
			id := model.AttachmentID(h.ID, n)
			d.Attachments[id] = model.Attachment{ID: id, Host: h.ID, Network: n}
		}
	}
	return d
}

// slowImpacts looks at all networks of all hosts.
func slowImpacts(before, after *model.Desired) map[model.ID]impact {
	all := map[model.ID]impact{}
	hosts := map[model.ID]bool{}
	for _, d := range []*model.Desired{before, after} {
		for id := range d.Hosts {
			hosts[id] = true
		}
	}
	for host := range hosts {
		var i impact
		for id := range before.Networks {
			i.add(host, id, before, after)
		}
		for id := range after.Networks {
			if _, old := before.Networks[id]; !old {
				i.add(host, id, before, after)
			}
		}
		if len(i.ids()) > 0 {
			all[host] = i.sorted()
		}
	}
	return all
}

// TestImpactsOfRandomChanges compares what is found by what differs with what is found by
// looking at everything.
func TestImpactsOfRandomChanges(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		before := fleetOf(20, 30)
		after := before.Clone()
		host := func() model.ID { return model.DeriveID(fmt.Sprint("host ", r.IntN(21))) }
		network := func() model.ID { return model.DeriveID(fmt.Sprint("network ", r.IntN(31))) }
		for range 1 + r.IntN(4) {
			h, n := host(), network()
			hr, known := after.Hosts[h]
			nr, exists := after.Networks[n]
			switch r.IntN(9) {
			case 0:
				_ = after.RemoveNetwork(n)
			case 1:
				_ = after.RemoveHost(h)
			case 2:
				if _, err := after.Attach(h, n, nil); err == nil {
					after.Evict(h, n)
				}
			case 3:
				delete(after.Attachments, model.AttachmentID(h, n))
			case 4:
				_ = after.AddLabel(h, "l6")
			case 5:
				if hr.Labels = nil; known {
					after.Hosts[h] = hr
				}
			case 6:
				nr.Label = "l5"
				if exists {
					after.Networks[n] = nr
				}
			case 7:
				nr.MTU = 1000
				if exists {
					after.Networks[n] = nr
				}
			case 8:
				hr.Decommissioned = true
				if known {
					after.Hosts[h] = hr
				}
			}
		}
		want, got := slowImpacts(before, after), impactsOf(before, after)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(impact{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d (-all +what differs):\n%s", seed, diff)
		}
	}
}

// BenchmarkImpacts is of a fleet of 1,000 hosts and 10,000 networks.
func BenchmarkImpacts(b *testing.B) {
	before := fleetOf(1000, 10000)
	ids := slices.Sorted(func(yield func(model.ID) bool) {
		for id := range before.Networks {
			if !yield(id) {
				return
			}
		}
	})
	for name, edit := range map[string]func(*model.Desired){
		"an attachment": func(d *model.Desired) { _, _ = d.Attach(model.DeriveID("host 1"), ids[0], nil) },
		"a label":       func(d *model.Desired) { _ = d.AddLabel(model.DeriveID("host 1"), "l0") },
		"a network": func(d *model.Desired) {
			n := d.Networks[model.DeriveID("network 1")]
			n.MTU = 1000
			d.Networks[n.ID] = n
		},
	} {
		after := before.Clone()
		edit(after)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				impactsOf(before, after)
			}
		})
	}
}
