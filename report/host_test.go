package report_test

import (
	"testing"

	"github.com/isonet/isonet/report"
)

func TestCommonMTU(t *testing.T) {
	of := func(mtus ...int) []report.Interface {
		var list []report.Interface
		for _, mtu := range mtus {
			list = append(list, report.Interface{MTU: mtu})
		}
		return list
	}
	b := report.Bridge{Local: report.Port{Interfaces: of(1400)}, Ports: []report.Port{{Interfaces: of(1500, 1300)}}}
	if got := b.CommonMTU(); got != 1500 {
		t.Errorf("the MTU of the ports is %d", got)
	}
	b.Ports = nil
	if got := b.CommonMTU(); got != 1400 {
		t.Errorf("the MTU of a bridge without ports is %d", got)
	}
	if got := (report.Bridge{}).CommonMTU(); got != 0 {
		t.Errorf("the MTU of nothing is %d", got)
	}
}
