package reconcile

import (
	"cmp"
	"reflect"
	"time"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/report"
)

// standing is how the host stands: what is told of it, and what that was made from.
type standing struct {
	report.Status
	// seen is Host; nil before the first snapshot.
	seen *seen
}

// see takes what Open vSwitch has, and the ports that are to be plugged in again.
func (s *standing) see(actual *plan.Actual, waiting map[model.ID][]plan.KeptPort) {
	if s.seen != nil && s.seen.actual == actual && reflect.DeepEqual(s.seen.waiting, waiting) {
		return
	}
	s.seen = &seen{actual, waiting}
	s.Host, s.Switch = s.seen, SwitchOf(actual)
}

func (s *standing) setConnected(connected bool) {
	if s.Connected == connected {
		return
	}
	s.Connected, s.Since = connected, time.Now()
	if connected && s.seen != nil { // of an earlier session
		s.Reconnects++
	}
}

// answering tells of the ovs-vswitchd that calls itself by a version; "" is unknown.
func (s *standing) answering(version string) {
	recorded := s.Switch.Version
	s.Switch.Version = cmp.Or(version, recorded)
	notices := plan.VersionNotices(version, recorded)
	if s.seen != nil {
		notices = append(notices, plan.ColumnNotices(s.seen.actual.Strange)...)
	}
	for _, n := range notices {
		s.Notices = append(s.Notices, report.Notice(n))
	}
}

// SwitchOf returns what Open vSwitch's database says of it.
func SwitchOf(actual *plan.Actual) report.Switch {
	return report.Switch{
		Version: actual.OVSVersion, SchemaVersion: actual.SchemaVersion, DatapathType: actual.DatapathType, Behind: actual.NextCfg - actual.CurCfg,
	}
}
