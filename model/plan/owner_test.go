package plan_test

import (
	"testing"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// TestWhoseABridgeIs goes through all that can be known of a bridge: whether it
// was seen before, and what its marks say.
func TestWhoseABridgeIs(t *testing.T) {
	const red, blue, gone = model.ID("red's"), model.ID("blue's"), model.ID("gone's")
	names := func(id model.ID) string { return map[model.ID]string{red: "red", blue: "blue"}[id] }
	marks := func(id model.ID) map[string]string {
		return map[string]string{plan.OwnerKey: plan.Owner, plan.NetworkKey: string(id)}
	}
	known := plan.Owners{"red's row": red, "foreign row": "", "gone's row": gone}
	for name, c := range map[string]struct {
		uuid, name  string
		bridge, own map[string]string // the marks on it and on its local port
		owner       model.ID
		undecided   bool
	}{
		"ours":                                  {"red's row", "red", marks(red), marks(red), red, false},
		"ours without marks":                    {"red's row", "red", nil, nil, red, false},
		"ours with another network's":           {"red's row", "red", marks(blue), marks(blue), red, false},
		"ours of a network that is gone":        {"gone's row", "gone", marks(gone), nil, gone, false},
		"somebody else's":                       {"foreign row", "red", nil, nil, "", false},
		"somebody else's with forged marks":     {"foreign row", "red", marks(red), marks(red), "", false},
		"unseen with marks":                     {"new", "red", marks(red), marks(red), red, false},
		"unseen with marks on the bridge":       {"new", "red", marks(red), nil, red, false},
		"unseen with marks on the local port":   {"new", "red", nil, marks(red), red, false},
		"unseen without marks":                  {"new", "red", nil, nil, "", false},
		"unseen with marks of another owner":    {"new", "red", map[string]string{plan.OwnerKey: "x", plan.NetworkKey: string(red)}, nil, "", false},
		"unseen with marks and another name":    {"new", "br-ex", marks(red), marks(red), "", true},
		"unseen with marks of nobody's network": {"new", "gone", marks(gone), nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := plan.Bridge{UUID: c.uuid, Name: c.name, ExternalIDs: c.bridge, Ports: []plan.Port{{Name: c.name, ExternalIDs: c.own}}}
			if owner, decided := known.Of(b, names); owner != c.owner || decided == c.undecided {
				t.Errorf("it is %q, decided: %t; want %q, %t", owner, decided, c.owner, !c.undecided)
			}
		})
	}
}
