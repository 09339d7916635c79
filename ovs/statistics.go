package ovs

import (
	"context"
	"fmt"
	"time"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"

	isonet "github.com/isonet/isonet/model"
	"github.com/isonet/isonet/model/plan"
	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovsdb"
)

// statistics is the Interface table once more, with nothing but the counters.
// They have a session of their own: vswitchd writes all of them every five
// seconds, and that must neither delay the events of the configuration nor
// wake the loop.
type statistics struct {
	UUID       string         `ovsdb:"_uuid"`
	Name       string         `ovsdb:"name"` // the client needs the columns of indexes
	Statistics map[string]int `ovsdb:"statistics"`
}

func counters() (model.ClientDBModel, []client.MonitorOption, error) {
	m, err := model.NewClientDBModel(database, map[string]model.Model{"Interface": &statistics{}})
	if err != nil {
		return model.ClientDBModel{}, nil, fmt.Errorf("describe the Interface table: %w", err)
	}
	var s statistics
	return m, []client.MonitorOption{client.WithTable(&s, &s.Name, &s.Statistics)}, nil
}

// count feeds the accumulator for as long as the session lasts.
func (s *Switch) count(ctx context.Context, session *ovsdb.Session) error {
	seen := session.Rows("Interface")
	first := make(map[string]traffic.Statistics, len(seen))
	for uuid, row := range seen {
		first[uuid] = row.(*statistics).Statistics
	}
	s.traffic.Begin(first)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-session.Changed():
		}
		rows := session.Rows("Interface")
		s.publishStatistics(seen, rows)
		seen = rows
	}
}

// publishStatistics hands on what changed. The client replaces a row that
// changed and keeps the others, so the pointers tell.
func (s *Switch) publishStatistics(before, after map[string]model.Model) {
	changed := map[string]traffic.Statistics{}
	for uuid, row := range after {
		if before[uuid] != row {
			changed[uuid] = row.(*statistics).Statistics
		}
	}
	var gone []string
	for uuid := range before {
		if _, ok := after[uuid]; !ok {
			gone = append(gone, uuid)
		}
	}
	s.traffic.Publish(time.Now(), changed)
	s.traffic.Forget(gone...)
}

// place tells the accumulator which interfaces are on which network.
func (s *Switch) place(actual *plan.Actual) {
	bridges := make([]traffic.Bridge, 0, len(actual.Bridges))
	for _, b := range actual.Bridges {
		t := traffic.Bridge{Network: plan.NetworkOf(b)}
		for _, p := range b.Endpoints() {
			for _, i := range p.Interfaces {
				t.Endpoints = append(t.Endpoints, i.UUID)
			}
		}
		bridges = append(bridges, t)
	}
	s.traffic.Place(time.Now(), bridges)
}

// Traffic returns the traffic of every network that has a bridge.
func (s *Switch) Traffic() map[isonet.ID]isonet.Traffic {
	return s.traffic.Snapshot(time.Now())
}
