package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovs/counters"
	"github.com/isonet/isonet/ovsdb"
)

const (
	// followVariable makes the test program a follower of the counters: it says
	// in which way. The endpoint is in endpointVariable.
	followVariable   = "ISONET_BENCH_FOLLOW"
	endpointVariable = "ISONET_BENCH_ENDPOINT"

	countedNetworks = 500
	portsOfEach     = 4
	countedRows     = countedNetworks * (1 + portsOfEach) // the local port too
)

func TestMain(m *testing.M) {
	switch os.Getenv(followVariable) {
	case "":
		os.Exit(m.Run())
	case "counters":
		followCounters()
	case "libovsdb":
		followCopy()
	}
}

// BenchmarkCounters compares the connection that decodes counters alone with a
// general copy of the same columns. Every iteration changes the counters of all
// interfaces of 500 networks with 4 ports in one transaction, as vswitchd does
// every five seconds. Both followers are processes of their own, see the same
// transactions and feed an accumulator.
func BenchmarkCounters(b *testing.B) {
	private := ovstest.Start(b)
	private.StopVSwitchd() // the benchmark writes the counters
	w := newWriter(b, private.Endpoint())
	w.write(0)
	followers := []*followerProcess{
		startFollower(b, "counters", private.Endpoint()),
		startFollower(b, "libovsdb", private.Endpoint()),
	}
	for _, f := range followers {
		f.await(0)
	}
	n := 0
	for b.Loop() {
		n++
		w.write(n)
		for _, f := range followers {
			f.await(n)
		}
	}
	b.ReportMetric(0, "ns/op") // it is mostly the writer's
	for _, f := range followers {
		b.ReportMetric(f.cost(n), f.way+"-cpu-ms/update")
		b.ReportMetric(residentMemory(b, f.cmd.Process.Pid), f.way+"-rss-MiB")
	}
	b.ReportMetric(followers[1].cost(n)/followers[0].cost(n), "times-cpu")
}

// followerProcess is this program in another role. After every update it says
// how many it has seen and what CPU time it took so far.
type followerProcess struct {
	*testing.B
	way         string
	cmd         *exec.Cmd
	lines       *bufio.Scanner
	first, last time.Duration
}

func startFollower(b *testing.B, way, endpoint string) *followerProcess {
	b.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), followVariable+"="+way, endpointVariable+"="+endpoint)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			b.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Errorf("%s: %v", way, err)
		}
	})
	return &followerProcess{B: b, way: way, cmd: cmd, lines: bufio.NewScanner(out)}
}

// await waits until the follower has seen an update.
func (f *followerProcess) await(n int) {
	f.Helper()
	for f.lines.Scan() {
		var seen int
		var cpu time.Duration
		if _, err := fmt.Sscan(f.lines.Text(), &seen, (*int64)(&cpu)); err != nil {
			f.Fatalf("%s says %q: %v", f.way, f.lines.Text(), err)
		}
		if seen == n {
			if n == 0 {
				f.first = cpu
			}
			f.last = cpu
			return
		}
	}
	f.Fatalf("%s ended before update %d: %v", f.way, n, f.lines.Err())
}

func (f *followerProcess) cost(updates int) float64 {
	return milliseconds(f.last-f.first) / float64(updates)
}

// account is what a follower does with the counters.
type account struct {
	accumulator *traffic.Accumulator
	said        int
}

func newAccount() *account { return &account{traffic.New(), -1} }

func (a *account) begin(rows map[string]traffic.Statistics) {
	bridge := traffic.Bridge{Network: "all"}
	for uuid := range rows {
		bridge.Endpoints = append(bridge.Endpoints, uuid)
	}
	a.accumulator.Place(time.Now(), []traffic.Bridge{bridge})
	a.accumulator.Begin(rows)
	a.say()
}

func (a *account) publish(rows map[string]traffic.Statistics) {
	a.accumulator.Publish(time.Now(), rows)
	a.say()
}

// say tells which update was seen as a whole: its number is what every row
// counts.
func (a *account) say() {
	total := a.accumulator.Snapshot(time.Now())["all"].Total.TransmittedBytes
	if n := int(total / countedRows); total%countedRows == 0 && n != a.said {
		a.said = n
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			panic(err)
		}
		fmt.Println(n, usage.Utime.Nano()+usage.Stime.Nano())
	}
}

func followCounters() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	a := newAccount()
	counters.Follow(ctx, counters.Config{Endpoints: []string{os.Getenv(endpointVariable)}, Logger: slog.Default()}, func(u counters.Update) {
		if u.Whole {
			a.begin(u.Rows)
		} else {
			a.publish(u.Rows)
		}
	})
}

type counted struct {
	UUID       string         `ovsdb:"_uuid"`
	Name       string         `ovsdb:"name"`
	Statistics map[string]int `ovsdb:"statistics"`
}

func (c *counted) statistics() traffic.Statistics {
	var s traffic.Statistics
	for key, value := range c.Statistics {
		s.Set(key, int64(value))
	}
	return s
}

func followCopy() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	m, err := model.NewClientDBModel(database, map[string]model.Model{"Interface": &counted{}})
	if err != nil {
		panic(err)
	}
	cfg := ovsdb.Config{
		Endpoints: []string{os.Getenv(endpointVariable)}, Model: m, Logger: slog.Default(),
	}
	a := newAccount()
	err = ovsdb.Run(ctx, cfg, func(ctx context.Context, s *ovsdb.Session) error {
		look := func() map[string]traffic.Statistics {
			changed := map[string]traffic.Statistics{}
			s.Look(func(_ ovsdb.Tables, changes ovsdb.Changes) {
				for uuid, change := range changes["Interface"] {
					changed[uuid] = change.After.(*counted).statistics()
				}
			})
			return changed
		}
		a.begin(look())
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-s.Changed():
			}
			a.publish(look())
		}
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		panic(err)
	}
}

// writer writes counters as vswitchd does.
type writer struct {
	*testing.B
	client client.Client
	rows   []string
}

// newWriter makes the networks, which nobody realises.
func newWriter(b *testing.B, endpoint string) *writer {
	b.Helper()
	m, err := model.NewClientDBModel(database, map[string]model.Model{"Interface": &counted{}})
	if err != nil {
		b.Fatal(err)
	}
	c, err := client.NewOVSDBClient(m, client.WithEndpoint(endpoint))
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Connect(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	w := &writer{B: b, client: c}
	var operations []rfc.Operation
	add := func(table string, row rfc.Row) rfc.UUID {
		name := fmt.Sprintf("row%d", len(operations))
		operations = append(operations, rfc.Operation{Op: rfc.OperationInsert, Table: table, UUIDName: name, Row: row})
		return rfc.UUID{GoUUID: name}
	}
	var bridges []any
	for n := range countedNetworks {
		var ports []any
		for p := range 1 + portsOfEach {
			name := strings.TrimSuffix(fmt.Sprintf("net%d.%d", n, p), ".0") // the bridge's own is first
			ports = append(ports, add("Port", rfc.Row{"name": name, "interfaces": add("Interface", rfc.Row{"name": name})}))
		}
		bridges = append(bridges, add("Bridge", rfc.Row{"name": fmt.Sprintf("net%d", n), "ports": rfc.OvsSet{GoSet: ports}}))
	}
	everyRow := []rfc.Condition{rfc.NewCondition("next_cfg", rfc.ConditionGreaterThanOrEqual, 0)}
	w.transact(append(operations, rfc.Operation{
		Op: rfc.OperationMutate, Table: database, Where: everyRow,
		Mutations: []rfc.Mutation{*rfc.NewMutation("bridges", rfc.MutateOperationInsert, rfc.OvsSet{GoSet: bridges})},
	})...)
	results := w.transact(rfc.Operation{
		Op: rfc.OperationSelect, Table: "Interface", Columns: []string{"_uuid"},
		Where: []rfc.Condition{rfc.NewCondition("name", rfc.ConditionNotEqual, "")},
	})
	for _, row := range results[0].Rows {
		w.rows = append(w.rows, row["_uuid"].(rfc.UUID).GoUUID)
	}
	if len(w.rows) != countedRows {
		b.Fatalf("%d interfaces, want %d", len(w.rows), countedRows)
	}
	return w
}

func (w *writer) transact(operations ...rfc.Operation) []rfc.OperationResult {
	w.Helper()
	results, err := w.client.Transact(w.Context(), operations...)
	if err != nil {
		w.Fatal(err)
	}
	for i, r := range results {
		if r.Error != "" {
			w.Fatalf("operation %d: %s: %s", i, r.Error, r.Details)
		}
	}
	return results
}

// write publishes an update with the keys that vswitchd writes for a device.
// Bytes and packets change, in both directions.
func (w *writer) write(n int) {
	w.Helper()
	statistics := map[any]any{"rx_bytes": n, "rx_packets": n, "tx_bytes": 1_000_000_000 + 100*n, "tx_packets": 1_000_000 + n}
	for _, key := range []string{
		"collisions", "rx_crc_err", "rx_dropped", "rx_errors", "rx_frame_err", "rx_missed_errors", "rx_over_err", "tx_dropped", "tx_errors",
	} {
		statistics[key] = 0
	}
	operations := make([]rfc.Operation, len(w.rows))
	for i, uuid := range w.rows {
		operations[i] = rfc.Operation{
			Op: rfc.OperationUpdate, Table: "Interface", Row: rfc.Row{"statistics": rfc.OvsMap{GoMap: statistics}},
			Where: []rfc.Condition{rfc.NewCondition("_uuid", rfc.ConditionEqual, rfc.UUID{GoUUID: uuid})},
		}
	}
	w.transact(operations...)
}
