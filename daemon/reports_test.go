package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/isonet/isonet/daemon"
	"github.com/isonet/isonet/fleet"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
)

// serverOf starts an ovsdb-server with an empty database of a schema.
func serverOf(t *testing.T, schema string) *ovstest.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "isonet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := ovstest.NewServer(t, dir, filepath.Join(dir, "db"), schema)
	s.Start()
	return s
}

// What a host has is known to whoever reads the reports, whatever happens to their
// server.
func TestHostReportsToItsFleet(t *testing.T) {
	store, status := serverOf(t, "../store/isolated-networks.ovsschema"), serverOf(t, "../fleet/status.ovsschema")
	h := newHost(t, func(o *daemon.Options) { o.Store, o.FleetStatus = store.Endpoint(), status.Endpoint() })
	d := h.start()
	systemID := h.ovs.Vsctl("get", "Open_vSwitch", ".", "external_ids:system-id")
	reader := fleet.NewReader(fleet.ReaderConfig{
		Endpoints: []string{status.Endpoint()}, SystemID: func(model.ID) string { return systemID[1 : len(systemID)-1] }, Logger: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- reader.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	red := model.ID(h.network(`{"name":"red","data_center":{"name":"Default"}}`))
	h.must("POST", h.path()+"/setupnetworks", attachAll("red"))
	h.ovs.Vsctl("add-port", "red", "vm1", "--", "set", "interface", "vm1", "external_ids:vm-name=one")
	id := model.ID(path.Base(h.path()))
	ports := func() error {
		s, known := reader.Status(id)
		if !known || s.Member.Liveness != report.Up || s.Networks[red].State != report.Active {
			return fmt.Errorf("known %t: %+v", known, s)
		}
		b, _ := s.Host.BridgeOf(red)
		if len(b.Ports) != 1 || b.Ports[0].VM != "one" || !b.Ports[0].Live {
			return fmt.Errorf("the bridge %+v", b)
		}
		return nil
	}
	ovstest.Eventually(t, "the port is reported", ports)
	h.awaitMetric(d, `isonet_network_ready{network="red"} 1`)
	status.Stop()
	status.Create("../fleet/status.ovsschema")
	h.ovs.Vsctl("del-port", "vm1") // nothing else is hurt
	h.must("DELETE", "/networks/"+string(red), "")
	status.Start()
	ovstest.Eventually(t, "the row is made anew", func() error {
		s, known := reader.Status(id)
		if !known || len(s.Networks) > 0 || s.Member.Liveness != report.Up {
			return errors.New("it is the old one")
		}
		return nil
	})
}
