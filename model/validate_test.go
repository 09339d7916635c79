package model_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/isonet/isonet/model"
)

// mess makes one change at random, which is often wrong.
func mess(r *rand.Rand, d *model.Desired) {
	texts := []string{"a", "b", "c", "bond0", "\x00", ""}
	text := func() string { return texts[r.IntN(len(texts))] }
	id := func(kind string) model.ID { return model.DeriveID(fmt.Sprint(kind, r.IntN(4))) }
	n, h := id("network"), id("host")
	switch r.IntN(8) {
	case 0, 1:
		filed := n
		if r.IntN(9) == 0 {
			filed = h
		}
		d.Networks[filed] = model.Network{ID: n, Name: text(), VdsmName: text(), MTU: []int{0, 0, 10}[r.IntN(3)]}
	case 2:
		delete(d.Networks, n)
	case 3, 4:
		d.Hosts[h] = model.Host{ID: h, SystemID: text(), Name: text(), Labels: []string{text()}}
	case 5:
		delete(d.Hosts, h)
	case 6:
		at := model.AttachmentID(h, n)
		d.Attachments[at] = model.Attachment{ID: at, Host: h, Network: n, Explicit: true, Properties: map[string]string{text(): "x"}}
	case 7:
		delete(d.Attachments, model.AttachmentID(h, n))
	}
}

// TestValidateSinceFindsWhatValidateFinds changes valid states at random, and judges the
// result by the whole and by what is different.
func TestValidateSinceFindsWhatValidateFinds(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	verdicts := map[bool]int{}
	before := model.NewDesired()
	for range 20_000 {
		d := before.Clone()
		for range 1 + r.IntN(4) {
			mess(r, d)
		}
		whole, since := d.Validate(), d.ValidateSince(before)
		if (whole == nil) != (since == nil) {
			t.Fatalf("seed %d: the whole is %v, the difference is %v, from %+v to %+v", seed, whole, since, before, d)
		}
		if verdicts[whole == nil]++; whole == nil {
			before = d
		}
	}
	if verdicts[true] < 1000 || verdicts[false] < 1000 {
		t.Errorf("the verdicts are %v: this shows nothing", verdicts)
	}
}

// TestEqualLooksAtEveryField gives each field another value.
func TestEqualLooksAtEveryField(t *testing.T) {
	same := func(equal bool, kind, field string) {
		if equal {
			t.Errorf("%s that differ in %s are equal", kind, field)
		}
	}
	for i := range reflect.TypeFor[model.Host]().NumField() {
		var h model.Host
		change(t, reflect.ValueOf(&h).Elem().Field(i))
		same(h.Equal(model.Host{}), "hosts", reflect.TypeFor[model.Host]().Field(i).Name)
	}
	for i := range reflect.TypeFor[model.Attachment]().NumField() {
		var a model.Attachment
		change(t, reflect.ValueOf(&a).Elem().Field(i))
		same(a.Equal(model.Attachment{}), "attachments", reflect.TypeFor[model.Attachment]().Field(i).Name)
	}
}

func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"x": ""}))
	default:
		t.Fatalf("a field has the type %s: give it another value here", v.Type())
	}
}
