package clients

import (
	"errors"
	"fmt"
	"testing"

	ovirtsdk "github.com/ovirt/go-ovirt"

	"github.com/isonet/isonet/internal/ovstest"
)

// engineStatistics are the statistics of a NIC in oVirt's engine, in its order.
const engineStatistics = `
ecd0559f-e88f-3330-94b4-1f091b0ffdf7 data.current.rx gauge decimal bytes_per_second
2c6fe105-4913-3f90-9425-07ddfeca5417 data.current.tx gauge decimal bytes_per_second
87211eae-bb7c-382e-9e1b-378cf4505e2f data.current.rx.bps gauge decimal bits_per_second
939bae68-c68f-3e94-8960-766668395f86 data.current.tx.bps gauge decimal bits_per_second
0b9ddd6a-fc1b-398a-9f95-7a863c753017 data.total.rx counter integer bytes
4d75baca-1fc9-3b19-b44f-6d32abda3888 data.total.tx counter integer bytes
50b8f057-7795-30bd-825a-1acadd37a9d7 errors.total.rx counter integer none
7211a516-3e61-3c4e-be79-739424d13461 errors.total.tx counter integer none
`

func TestT15StatisticsCountPackets(t *testing.T) {
	const packets, size = 50, 1000
	s := newSDK(t)
	s.addNetwork(vmNetwork("iso1"))
	statistics := s.statistics(s.attach("iso1"))
	vm := s.plug("iso1", "vm1", "10.9.0.1/24")
	s.plug("iso1", "vm2", "10.9.0.2/24")

	before := s.totals(statistics)
	s.ip("netns", "exec", vm, "ping", "-n", "-q", "-i", "0.002", "-c", fmt.Sprint(packets), "-s", fmt.Sprint(size), "-w", "60", "10.9.0.2")
	// Each VM sends and receives the requests or the replies.
	const least = 2 * packets * size
	ovstest.Eventually(t, "the totals grow by what the VMs exchanged", func() error {
		after := s.totals(statistics)
		for _, name := range []string{"data.total.rx", "data.total.tx"} {
			if grown := after[name] - before[name]; grown < least {
				return fmt.Errorf("%s grew by %v, want at least %d", name, grown, least)
			}
		}
		return nil
	})

	list := has(s.host, sent(s.host, statistics.List().Max(100).Send).Statistics).Slice()
	described := "\n"
	for _, statistic := range list {
		described += fmt.Sprintln(has(s.host, statistic.Id), has(s.host, statistic.Name),
			has(s.host, statistic.Kind), has(s.host, statistic.Type), has(s.host, statistic.Unit))
		same(s.host, "the statistic's host", has(s.host, has(s.host, statistic.Host).Id), s.id)
		got := sent(s.host, statistics.StatisticService(has(s.host, statistic.Id)).Get().Send)
		same(s.host, "the single statistic", has(s.host, has(s.host, got.Statistic).Name), has(s.host, statistic.Name))
	}
	same(s.host, "the list of statistics", described, engineStatistics)
	same(s.host, "the number of statistics at most", len(has(s.host, sent(s.host, statistics.List().Max(3).Send).Statistics).Slice()), 3)
	fails[*ovirtsdk.NotFoundError](s.host, statistics.StatisticService("8888").Get().Send)
}

// totals returns the counters that have a value, by name. The SDK reads them as
// floating-point numbers.
func (s *sdk) totals(statistics *ovirtsdk.StatisticsService) map[string]float64 {
	s.Helper()
	totals := map[string]float64{}
	for _, statistic := range has(s.host, sent(s.host, statistics.List().Send).Statistics).Slice() {
		for _, value := range has(s.host, statistic.Values).Slice() {
			totals[has(s.host, statistic.Name)] = has(s.host, value.Datum)
		}
	}
	return totals
}

// TestStatisticsOfTheHost reads how much of this machine is in use.
func TestStatisticsOfTheHost(t *testing.T) {
	s := newSDK(t)
	values := func() map[string]float64 {
		found := map[string]float64{}
		for _, statistic := range has(s.host, sent(s.host, s.service().StatisticsService().List().Send).Statistics).Slice() {
			for _, value := range has(s.host, statistic.Values).Slice() {
				found[has(s.host, statistic.Name)] = has(s.host, value.Datum)
			}
		}
		return found
	}
	ovstest.Eventually(t, "the use of processors is known", func() error {
		if _, known := values()["cpu.current.user"]; !known {
			return errors.New("there are not two samples yet")
		}
		return nil
	})
	found := values()
	same(s.host, "the number of statistics with a value", len(found), 15)
	if total, used := found["memory.total"], found["memory.used"]; total < 1<<20 || used <= 0 || used > total || found["memory.free"] != total-used {
		t.Errorf("the memory is %v", found)
	}
	if user, system, idle := found["cpu.current.user"], found["cpu.current.system"], found["cpu.current.idle"]; user < 0 || system < 0 || idle < 0 || user+system+idle > 100.1 {
		t.Errorf("the use of processors is %v, %v, %v", user, system, idle)
	}
	host := has(s.host, sent(s.host, s.service().Get().Send).Host)
	same(s.host, "the installed memory", float64(has(s.host, host.Memory)), found["memory.total"])
}
