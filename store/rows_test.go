package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/store/internal/schema"
)

// fromScratch is valid without the knowledge that before is.
func fromScratch(all, before *model.Desired) (*model.Desired, map[string]string) {
	invalid := map[string]string{}
	good := all.Clone()
	replaceWrong(good.Networks, before.Networks, model.Network.Validate, schema.NetworkTable, invalid)
	replaceWrong(good.Hosts, before.Hosts, model.Host.Validate, schema.HostTable, invalid)
	replaceWrong(good.Attachments, before.Attachments, model.Attachment.Validate, schema.AttachmentTable, invalid)
	if good.Validate() == nil {
		return good, invalid
	}
	return keepValid(good, before, func(good *model.Desired) error { return good.Validate() }, invalid), invalid
}

func replaceWrong[V any](rows, before map[model.ID]V, alone func(V) error, table string, invalid map[string]string) {
	for id, row := range rows {
		if alone(row) == nil {
			continue
		}
		invalid[table+" "+string(id)] = ""
		delete(rows, id)
		if was, known := before[id]; known {
			rows[id] = was
		}
	}
}

// writeByHand writes, without isonet, rows that are often wrong.
func writeByHand(r *rand.Rand, d *model.Desired) {
	id := func(kind string) model.ID { return model.DeriveID(fmt.Sprint(kind, r.IntN(5))) }
	n, h := id("network"), id("host")
	names := []string{"a", "b", "c", "d", "e", "bond0"}
	switch r.IntN(10) {
	case 0, 1, 2:
		d.Networks[n] = model.Network{ID: n, Name: names[r.IntN(6)], VdsmName: names[r.IntN(5)], MTU: []int{0, 0, 0, 10}[r.IntN(4)]}
	case 3:
		if !slices.ContainsFunc(slices.Collect(maps.Values(d.Attachments)), func(a model.Attachment) bool { return a.Network == n }) {
			delete(d.Networks, n)
		}
	case 4, 5:
		d.Hosts[h] = model.Host{ID: h, SystemID: string(h), Labels: []string{[]string{"red", "b c"}[r.IntN(2)]}}
	case 6, 7, 8:
		_, host := d.Hosts[h]
		_, network := d.Networks[n]
		if at := model.AttachmentID(h, n); host && network {
			d.Attachments[at] = model.Attachment{ID: at, Host: h, Network: n, Explicit: true, Properties: map[string]string{names[r.IntN(2)]: "", "": "x"}}
			if r.IntN(3) > 0 {
				delete(d.Attachments[at].Properties, "")
			}
		}
	case 9:
		delete(d.Attachments, model.AttachmentID(h, n))
	}
}

// TestWhatCountsIsAsFromScratch follows rows that somebody writes by hand, by what changes
// and from scratch.
func TestWhatCountsIsAsFromScratch(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	invalid := 0
	for range 100 {
		written, counts := model.NewDesired(), model.NewDesired()
		for range 50 {
			written = written.Clone()
			writeByHand(r, written)
			want, wantInvalid := fromScratch(written, counts)
			got, gotInvalid := valid(written, counts)
			if !want.Equal(got) || !slices.Equal(slices.Sorted(maps.Keys(wantInvalid)), slices.Sorted(maps.Keys(gotInvalid))) {
				t.Fatalf("seed %d: of %+v after %+v counts %+v without %v; want %+v without %v", seed, written, counts, got, gotInvalid, want, wantInvalid)
			}
			invalid += len(gotInvalid)
			counts = got
		}
	}
	if invalid < 1000 {
		t.Errorf("%d rows were invalid: this shows nothing", invalid)
	}
}
