package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/isonet/isonet/internal/ovstest"
)

// away is how long ovs-vswitchd is not there, at least.
const away = 2 * time.Second

// BenchmarkOutage kills ovs-vswitchd and starts it again after a while. What VMs
// talk about all the time is in the kernel's cache, if there is one.
func BenchmarkOutage(b *testing.B) {
	namespace := ovstest.Namespace(b)
	o := &openvswitch{b, ovstest.Start(b, ovstest.InNamespace(namespace)), namespace}
	d := newISOnetd(b, o, 0)
	d.start()
	sides := []*leakSide{newSide(d, "enforce"), newSide(d, "strict")}
	silence, off := map[string][]float64{}, map[string][]float64{}
	for b.Loop() {
		for _, s := range sides {
			silence[s.name] = append(silence[s.name], milliseconds(o.silence(s.a, s.b, func() {
				killed := time.Now()
				o.StopVSwitchd()
				time.Sleep(away)
				o.StartVSwitchd()
				off[s.name] = append(off[s.name], milliseconds(time.Since(killed)))
				s.talk()
			})))
			for _, other := range sides {
				other.talk()
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of all together it says nothing
	d.stop()

	fmt.Printf("\n\novs-vswitchd is killed and started again, while two VMs talk every %v; medians\n\n", talkEvery)
	fmt.Println("| network | from its death until it has begun again, ms | longest silence between the VMs, ms |")
	fmt.Println("|---|---:|---:|")
	for _, s := range sides {
		fmt.Printf("| %s | %.0f | %.0f |\n", map[string]string{"enforce": "ordinary", "strict": "strict"}[s.name], median(off[s.name]), median(silence[s.name]))
	}
	fmt.Println()
}
