package ovs

import (
	"strings"
	"testing"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
)

// What a column must be is never guessed: a plan with one that nobody thought of
// fails as a whole.
func TestAForgottenColumnFails(t *testing.T) {
	spec := plan.NewSpec(model.Network{ID: "id", VdsmName: "red"}, "netdev")
	bridge := plan.Bridge{Name: "red", Ports: []plan.Port{{Name: "red"}}}
	interfaces := plan.Interface{UUID: "uuid", Name: "vm"}
	for _, r := range []plan.Repair{
		{Bridge: []plan.Column{plan.STP, "fresh"}},
		{Port: []plan.Column{"fresh"}},
		{Silence: []plan.Setting{{Column: "fresh", Interface: interfaces}}},
	} {
		r.Spec, r.Have = spec, bridge
		if _, err := compile(plan.Plan{Repair: []plan.Repair{r}}, "root"); err == nil || !strings.Contains(err.Error(), "column fresh") {
			t.Errorf("%s: %v", r.Columns(), err)
		}
	}
}
