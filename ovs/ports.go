package ovs

import (
	"time"

	isonet "github.com/isonet/isonet/model"
)

// Ports returns what every port of a network has carried since it was plugged
// in, by the UUID of its Interface row.
func (s *Switch) Ports() map[string]isonet.PortTraffic { return s.traffic.Ports(time.Now()) }

// StatisticsResets returns how often the counters of an interface began anew.
func (s *Switch) StatisticsResets() uint64 { return s.traffic.Resets() }

// StatisticsInterval returns the time between two publications of the counters;
// vswitchd's default until a session tells.
func (s *Switch) StatisticsInterval() time.Duration { return s.traffic.Interval() }
