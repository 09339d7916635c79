package plan_test

import (
	"fmt"
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/isonet/isonet/model/plan"
)

// Links say what a plain map of the same devices would, and those of before stay
// what they were.
func TestLinksFollowChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth, links := map[int]plan.Device{}, plan.NewLinks()
		name := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("d%d", rapid.IntRange(0, 9).Draw(t, "name")) })
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			before, was := links, maps.Clone(truth)
			for _, index := range rapid.SliceOfNDistinct(rapid.IntRange(1, 600), 0, 4, rapid.ID).Draw(t, "indexes") {
				d := plan.Device{Index: index, Name: name.Draw(t, "own"), AltNames: []string{"alt" + name.Draw(t, "altname")}}
				maps.DeleteFunc(truth, func(_ int, o plan.Device) bool { // the kernel gives no name twice
					return o.Name == d.Name || o.AltNames[0] == d.AltNames[0]
				})
				if truth[index] = d; rapid.Bool().Draw(t, "gone") {
					delete(truth, index)
				}
			}
			var gone []int
			var changed []plan.Device
			for index, d := range truth {
				if !reflect.DeepEqual(was[index], d) {
					changed = append(changed, d)
				}
			}
			for index := range was {
				if _, there := truth[index]; !there {
					gone = append(gone, index)
				}
			}
			links = links.Change(gone, changed)
			compare(t, before, was)
			compare(t, links, truth)
		}
	})
}

func compare(t *rapid.T, links *plan.Links, truth map[int]plan.Device) {
	t.Helper()
	seen := 0
	for d := range links.All() {
		if seen++; truth[d.Index].Name != d.Name {
			t.Fatalf("there is %+v, want %+v", d, truth[d.Index])
		}
	}
	if seen != len(truth) || links.Len() != len(truth) {
		t.Fatalf("%d devices, %d by count, want %d", seen, links.Len(), len(truth))
	}
	names := map[string]int{}
	for index, d := range truth {
		names[d.Name], names[d.AltNames[0]] = index, index
		if found, there := links.Index(index); !there || found.Name != d.Name {
			t.Fatalf("%d is %+v, want %+v", index, found, d)
		}
	}
	for n := range 10 {
		for _, name := range []string{fmt.Sprintf("d%d", n), fmt.Sprintf("altd%d", n)} {
			if d, there := links.Named(name); there != (names[name] != 0) || d.Index != names[name] {
				t.Fatalf("%s is %+v, want the ifindex %d", name, d, names[name])
			}
		}
	}
}

// A port is the device that Open vSwitch opened, and not the one that has its
// name now.
func TestTheDeviceOfAnInterface(t *testing.T) {
	links := plan.NewLinks(
		plan.Device{Index: 7, Name: "renamed"},
		plan.Device{Index: 8, Name: "vm", AltNames: []string{"alt"}},
	)
	for want, i := range map[int]plan.Interface{
		7: {Name: "vm", IfIndex: 7},
		8: {Name: "alt"},
		0: {Name: "vm", IfIndex: 6},
	} {
		if d, there := links.Of(i); d.Index != want || there != (want != 0) {
			t.Errorf("%+v is %+v, want the ifindex %d", i, d, want)
		}
	}
	bridge := func(index int) map[string]plan.Bridge {
		return map[string]plan.Bridge{"vm": {Name: "vm", Ports: []plan.Port{{Interfaces: []plan.Interface{{Name: "vm", IfIndex: index}}}}}}
	}
	if d, _ := links.For(bridge(8)).Of(plan.Interface{Name: "vm", IfIndex: 7}); d.Index != 7 {
		t.Errorf("where vswitchd's devices are seen, its ifindex 7 is %+v", d)
	}
	if d, _ := links.For(bridge(9)).Of(plan.Interface{Name: "vm", IfIndex: 7}); d.Index != 8 {
		t.Errorf("in another namespace than vswitchd's, its ifindex 7 is %+v", d)
	}
	var nobodyLooked *plan.Links
	if _, there := nobodyLooked.Of(plan.Interface{Name: "vm"}); there || nobodyLooked.Len() != 0 {
		t.Error("there is a device where nobody looked")
	}
}
