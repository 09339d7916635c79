package ovirt

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

// What is shown of a network makes another one the same, and nothing said changes
// nothing.
func TestSettingsGoThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) model.Network {
			return model.Network{
				Name:      name,
				Isolation: rapid.SampledFrom([]model.Policy{"", model.PolicyEnforce, model.PolicyQuarantine, model.PolicyReport}).Draw(t, "isolation"),
				Strict:    rapid.Bool().Draw(t, "strict"), MACLock: rapid.Bool().Draw(t, "MAC lock"),
				BroadcastLimit: rapid.IntRange(0, model.MaxBroadcastLimit).Draw(t, "broadcast limit"),
			}
		}
		from, to := draw("from"), draw("to")
		unsaid := to
		unsaid.Apply(wire.Settings[bool, int]{})
		if unsaid != to {
			t.Errorf("nothing said changed:\n%s", cmp.Diff(to, unsaid))
		}
		var shown, then wire.Settings[boolean, integer]
		from.Show(&shown)
		to.Apply(shown)
		to.Show(&then)
		if diff := cmp.Diff(shown, then); diff != "" || to.Name != "to" {
			t.Errorf("(-from +to):\n%s", diff)
		}
	})
}
