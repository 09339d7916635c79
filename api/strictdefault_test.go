package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/isonet/isonet/api"
)

// TestNewNetworksAreStrictUnlessTheySay makes networks in both ways, with the
// option on and off.
func TestNewNetworksAreStrictUnlessTheySay(t *testing.T) {
	for _, on := range []bool{true, false} {
		for members, want := range map[string]bool{
			``:                                 on,
			`,"strict":"true"`:                 true,
			`,"strict":"false"`:                false,
			`,"isolation_policy":"quarantine"`: on,
			`,"isolation_policy":"report"`:     false, // nothing is to be held off
			`,"isolation_policy":"report","strict":true`: true,
		} {
			t.Run(fmt.Sprintf("%t%s", on, members), func(t *testing.T) {
				w := newWorld(t, func(c *api.Config) { c.StrictDefault = on })
				body := func(name string) string {
					return fmt.Sprintf(`{"name":%q,"data_center":{"name":"Default"}%s}`, name, members)
				}
				w.must(http.StatusCreated, "POST", base+"/networks", body("one"), jsonBody)
				w.must(http.StatusOK, "POST", putNetworksPath, `{"network":[`+body("two")+`]}`, jsonBody)
				for _, name := range []string{"one", "two"} {
					if n, _ := w.store.Snapshot().NetworkByName(name); n.Strict != want {
						t.Errorf("the network '%s' is strict: %t, want %t", name, n.Strict, want)
					}
				}
			})
		}
	}
}

// TestNetworksThatAreThereStayAsTheyAre changes networks without a word on strict.
func TestNetworksThatAreThereStayAsTheyAre(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.StrictDefault = true })
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), `{"comment":"changed"}`, jsonBody)
	w.must(http.StatusOK, "POST", putNetworksPath, `{"network":[{"name":"iso3","comment":"changed"}]}`, jsonBody)
	for _, id := range []string{string(iso1), string(iso3)} {
		for _, n := range w.store.Snapshot().Networks {
			if string(n.ID) == id && (n.Strict || n.Comment != "changed") {
				t.Errorf("the network is %+v", n)
			}
		}
	}
}
