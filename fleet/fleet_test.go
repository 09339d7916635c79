package fleet_test

import (
	"syscall"
	"testing"

	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

func TestReportOfAHost(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	host, network := model.NewID(), model.NewID()
	l := newLoop(report.Status{HostID: host, Connected: true, Revision: 7})
	startReporter(t, reporterConfig(t, l, server.Endpoint()))
	reader := startReader(t, server.Endpoint())
	s := await(t, reader, host, "the host is up", up)
	if s.Revision != 7 || s.Member.Seen != 7 || s.Member.Boot != "boot 1" || s.Member.URL != "https://host" {
		t.Errorf("status %+v, member %+v", s, s.Member)
	}
	l.set(func(s *report.Status) {
		s.Revision, s.Networks = 8, map[model.ID]report.NetworkStatus{network: {State: report.Active}}
	})
	await(t, reader, host, "the network is active", func(s report.Status, _ bool) bool {
		return s.Revision == 8 && s.Networks[network].State == report.Active
	})
	l.seeElsewhere(9)
	await(t, reader, host, "it has gone through what concerns others", func(s report.Status, _ bool) bool { return s.Revision == 9 })
	if _, known := reader.Status(model.NewID()); known {
		t.Error("a host that never reported is known")
	}
}

func TestLostStatusServer(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	host := model.NewID()
	l := newLoop(report.Status{HostID: host, Connected: true, Revision: 1})
	startReporter(t, reporterConfig(t, l, server.Endpoint()))
	reader := startReader(t, server.Endpoint())
	await(t, reader, host, "the host is up", up)
	for what, lose := range map[string]func(){
		"killed":   func() { server.Stop() },
		"replaced": func() { server.Stop(); server.Create("status.ovsschema") },
	} {
		lose()
		l.set(func(s *report.Status) { s.Revision++ })
		revision := l.Status().Revision
		server.Start()
		await(t, reader, host, "the host is up with a server that was "+what, func(s report.Status, known bool) bool {
			return up(s, known) && s.Revision == revision
		})
	}
	server.Transact(`["Isolated_Networks_Status",{"op":"delete","table":"Host_Status","where":[]}]`)
	l.set(func(s *report.Status) { s.Revision++ })
	await(t, reader, host, "the row is made anew", func(s report.Status, known bool) bool { return up(s, known) && s.Revision == l.Status().Revision })
	server.Signal(syscall.SIGSTOP)
	s := await(t, reader, host, "it is said that nothing is known", func(s report.Status, known bool) bool { return known && s.Member.Liveness != report.Up })
	if s.Member.Liveness != report.Connecting || s.Lacks() == nil || s.Lacks().Ground != report.OnReport {
		t.Errorf("liveness %s, lacks %v", s.Member.Liveness, s.Lacks())
	}
	server.Signal(syscall.SIGCONT)
	await(t, reader, host, "the host is up again", up)
}

func TestSilentHost(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	host := model.NewID()
	_, stop := startReporter(t, reporterConfig(t, newLoop(report.Status{HostID: host, Connected: true}), server.Endpoint()))
	reader := startReader(t, server.Endpoint())
	await(t, reader, host, "the host is up", up)
	stop()
	await(t, reader, host, "it is non_responsive", func(s report.Status, known bool) bool { return known && s.Member.Liveness == report.NonResponsive })
	// Who looks for the first time does not know that yet.
	other := startReader(t, server.Endpoint())
	await(t, other, host, "it is connecting", func(s report.Status, known bool) bool { return known && s.Member.Liveness == report.Connecting })
	await(t, other, host, "it is non_responsive", func(s report.Status, known bool) bool { return known && s.Member.Liveness == report.NonResponsive })
}

func TestTwoMachinesWithOneSystemID(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	host := model.NewID()
	first, second := newLoop(report.Status{HostID: host, Connected: true, Revision: 1}), newLoop(report.Status{HostID: host, Connected: true, Revision: 2})
	_, stop := startReporter(t, reporterConfig(t, first, server.Endpoint()))
	reader := startReader(t, server.Endpoint())
	await(t, reader, host, "the host is up", up)
	cfg := reporterConfig(t, second, server.Endpoint())
	cfg.Boot = "boot 2"
	cloned, _ := startReporter(t, cfg)
	ovstest.Eventually(t, "the other machine is told of", func() error { return troubled(cloned, "another machine with the same system-id") })
	if s, _ := reader.Status(host); s.Member.Boot != "boot 1" || s.Revision != 1 {
		t.Errorf("the row was overwritten: %+v %+v", s, s.Member)
	}
	stop()
	await(t, reader, host, "the second machine is the host when the first is gone", func(s report.Status, known bool) bool {
		return up(s, known) && s.Member.Boot == "boot 2" && s.Revision == 2
	})
	ovstest.Eventually(t, "all is well", func() error { return troubled(cloned, "") })
}

func TestSchemaChecksum(t *testing.T) {
	t.Parallel()
	ovstest.CheckSum(t, fleet.Schema)
}
