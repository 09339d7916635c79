package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/isonet/isonet/model/plan"
)

// Guests do not learn of a smaller MTU: whoever makes it so is told which ones.
func TestASmallerMTUWarnsOfItsVMs(t *testing.T) {
	planned := func(body string) (path, request string) {
		return planPath, fmt.Sprintf(`{"requests":[{"method":"PUT","path":"/networks/%s","body":%s}]}`, iso1, body)
	}
	for _, mtu := range []struct {
		bytes string
		warns bool
	}{{"1399", true}, {"1400", false}, {"0", false}, {"9000", false}} {
		body := `{"mtu":"` + mtu.bytes + `","description":"ä"}`
		planPath, planBody := planned(body)
		for _, write := range []struct{ method, path, body string }{
			{"PUT", iso1Path + "?dry_run=true", body},
			{"POST", planPath, planBody},
			{"POST", base + "/isonet/networks", `{"network":[{"id":"` + string(iso1) + `","mtu":"` + mtu.bytes + `"}]}`},
			{"PUT", iso1Path, body},
		} {
			w := newWorld(t)
			w.loop.ports["iso1"] = nil
			for i := range 11 {
				p := vmPort(fmt.Sprintf("vnet%d", i))
				p.Interfaces[0].ExternalIDs["vm-name"] = fmt.Sprintf("wéb%d\n", i)
				w.loop.ports["iso1"] = append(w.loop.ports["iso1"], p)
			}
			w.loop.ports["iso1"] = append(w.loop.ports["iso1"], plan.Port{Name: "gone", Interfaces: []plan.Interface{{Name: "gone", OFPort: -1, MTU: 1500}}})
			w.loop.realise()
			reply := w.must(http.StatusOK, write.method, write.path, write.body, jsonBody)
			got := reply.Header().Values("Isonet-Warning")
			if warned := len(got) == 1; warned != mtu.warns {
				t.Errorf("%s %s with %s: warnings %q", write.method, write.path, mtu.bytes, got)
			}
			for _, text := range got {
				for _, want := range []string{`vnet0 (VM w\u00e9b0\n)`, `vnet7 (VM w\u00e9b7\n) and 3 more`, "smaller than before, 1399 bytes", "<mtu size='1399'/>"} {
					if !strings.Contains(text, want) {
						t.Errorf("%q does not have %q", text, want)
					}
				}
				if strings.Contains(text, "gone") {
					t.Errorf("%q has a port without a device", text)
				}
			}
		}
	}
}

// What has a larger MTU anyway was not made so by the change.
func TestOnlyASmallerMTUWarns(t *testing.T) {
	w := newWorld(t)
	p := vmPort("vnet0")
	p.Interfaces[0].MTU = 9000
	w.loop.ports["iso1"] = []plan.Port{p}
	w.loop.realise()
	for _, body := range []string{`{"description":"other"}`, `{"mtu":"8000"}`} {
		if got := w.must(http.StatusOK, "PUT", iso1Path, body, jsonBody).Header().Values("Isonet-Warning"); len(got) != 0 {
			t.Errorf("%s: %q", body, got)
		}
	}
}
