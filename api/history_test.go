package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isonet/isonet/api"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/report"
	"github.com/isonet/isonet/wire"
)

// keeping gives a world a history on the disk, of the host1 and with a clock that
// stands.
func keeping(t *testing.T, size int64) func(*api.Config) {
	return keepingIn(t, t.TempDir(), size)
}

func keepingIn(t *testing.T, dir string, size int64) func(*api.Config) {
	h := history.New(history.Config{
		Dir: dir, Bounds: history.Bounds{Size: size}, Log: slog.New(slog.DiscardHandler),
		Host: func() (model.ID, string) { return host1, "host1" }, Now: func() time.Time { return epoch },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(c *api.Config) { c.History = h }
}

// entries waits until there are so many in the history, and returns them.
func (w *world) entries(n int, query ...string) []wire.HistoryEntry {
	w.t.Helper()
	var h wire.History
	ovstest.Eventually(w.t, fmt.Sprintf("%d entries", n), func() error {
		r := httptest.NewRequest("GET", base+"/isonet/history?"+strings.Join(query, "&"), nil)
		reply := httptest.NewRecorder()
		w.api.Local().ServeHTTP(reply, r)
		if err := checkContract(r, "", reply); err != nil {
			w.t.Error(err)
		}
		h = wire.History{}
		if err := json.Unmarshal(reply.Body.Bytes(), &h); err != nil {
			return err
		}
		if len(h.Entries) != n {
			return fmt.Errorf("there is %s", reply.Body)
		}
		return nil
	})
	return h.Entries
}

// done does a write of each kind, and tries in vain to log in.
func (w *world) done() []wire.HistoryEntry {
	w.t.Helper()
	id, admin := header{"Correlation-Id": "ticket-1"}, header{"Authorization": basic("admin", "s3cr&t")}
	w.address = "192.0.2.7:1234"
	w.must(http.StatusUnauthorized, "GET", base, "", header{"Authorization": basic("mallory", "guess"), "Correlation-Id": "guess-1"})
	w.entries(1)
	w.must(http.StatusCreated, "POST", base+"/networks", "<network><name>new</name></network>", id, admin)
	w.entries(2)
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso1), "<network><mtu>9000</mtu><name>renamed</name></network>", id, admin)
	w.entries(3)
	w.must(http.StatusOK, "POST", setupPath, setupAction(`<modified_labels><network_label id="lab4"/></modified_labels>`,
		removedAttachments(attachmentWithID(iso1))), admin, header{"Correlation-Id": "ticket-2"})
	return w.entries(5)
}

// TestTheHistoryHasWhoDidWhat checks what is taken down of writes and logins, and that
// what changed nothing is not.
func TestTheHistoryHasWhoDidWhat(t *testing.T) {
	w := newRemote(t, []string{"bob@lab"}, keeping(t, 1<<20))
	w.loop.ports = nil
	w.loop.realise()
	all := w.done()
	slices.Reverse(all)
	for i, want := range []wire.HistoryEntry{
		{Kind: "login_failed", Code: 114, Severity: "error", ClaimedUser: "mallory", CorrelationID: "guess-1"},
		{Kind: "write", Code: 942, Severity: "normal", User: "admin", CorrelationID: "ticket-1"},
		{Kind: "write", Code: 1114, Severity: "normal", User: "admin", CorrelationID: "ticket-1"},
		{Kind: "write", Code: 43, Severity: "normal", User: "admin", CorrelationID: "ticket-2"},
		{Kind: "write", Code: 1102, Severity: "normal", User: "admin", CorrelationID: "ticket-2"},
	} {
		got := all[i]
		if got.Kind != want.Kind || got.Code != want.Code || got.Severity != want.Severity || got.User != want.User ||
			got.ClaimedUser != want.ClaimedUser || got.CorrelationID != want.CorrelationID || got.Client != "192.0.2.7" || got.HostID != string(host1) {
			t.Errorf("entry %d is %+v, want %+v", i, got, want)
		}
	}
	want := []wire.HistoryChange{{Kind: "network", Name: "iso1", Did: "updated", Members: []wire.HistoryMember{
		{Name: "mtu", Before: "1400", After: "9000"}, {Name: "name", Before: "iso1", After: "renamed"},
	}}}
	if fmt.Sprint(all[2].Changes) != fmt.Sprint(want) {
		t.Errorf("the update changed %v", all[2].Changes)
	}

	admin := header{"Authorization": basic("admin", "s3cr&t")}
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso2), "<network><comment>x</comment></network>", admin, header{"Correlation-Id": "last"})
	for _, request := range []struct {
		status             int
		method, path, body string
		user               header
	}{
		{http.StatusOK, "GET", base + "/networks", "", admin},
		{http.StatusOK, "PUT", base + "/networks/" + string(iso2) + "?dry_run=true", "<network><comment>dry</comment></network>", admin},
		{http.StatusOK, "PUT", base + "/networks/" + string(iso2), "<network><comment>x</comment></network>", admin},
		{http.StatusConflict, "POST", base + "/networks", "<network><name>new</name></network>", admin},
		{http.StatusForbidden, "POST", base + "/networks", "<network><name>bobs</name></network>", header{"Authorization": basic("bob@lab", "b:ob")}},
	} {
		w.must(request.status, request.method, request.path, request.body, request.user)
	}
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso2), "<network><comment>y</comment></network>", admin, header{"Correlation-Id": "very last"})
	if all = w.entries(7); all[0].CorrelationID != "verylast" || all[1].CorrelationID != "last" {
		t.Errorf("the last entries are %v", all[:2])
	}
}

// TestWhatIsDoneOnTheHostIsInTheHistory checks the writes that are none of the desired
// state, and one that Open vSwitch did not realise, over the unix socket.
func TestWhatIsDoneOnTheHostIsInTheHistory(t *testing.T) {
	w := newWorld(t, keeping(t, 1<<20))
	w.address = "uid 1000 (alice)"
	stale := vmPort("vnet9")
	stale.Interfaces[0].OFPort, stale.Interfaces[0].Error = -1, "could not open network device vnet9 (No such device)"
	w.loop.ports["iso1"] = append(w.loop.ports["iso1"], stale)
	w.loop.realise()
	w.loop.publish(func(s *report.Status) {
		s.Guard = &report.Guarding{Left: []report.Device{{Index: 9, Name: "vnet9"}}, Devices: []report.Device{{Index: 9, Name: "vnet9"}}}
	})
	w.must(http.StatusOK, "POST", base+"/isonet/prune", `{"network": "iso1"}`, jsonBody)
	w.entries(1)
	w.must(http.StatusOK, "POST", base+"/isonet/guard/release", `{"device": "vnet9"}`, jsonBody)
	w.entries(2)
	w.loop.refuse = &report.RealiseError{Problems: []report.Problem{{NetworkID: iso2, Reason: "no"}}}
	w.must(http.StatusInternalServerError, "POST", attachmentsPath, `<network_attachment><network id="`+string(iso2)+`"/></network_attachment>`)
	all := w.entries(3)
	slices.Reverse(all)
	for i, want := range []struct {
		code int
		text string
	}{
		{20002, `removed port "vnet9 on iso1"`},
		{20003, `updated device "vnet9": host_guard "on" to "off"`},
		{1103, "POST " + attachmentsPath + ": Open vSwitch did not realise the change, so it was taken back: no"},
	} {
		if all[i].Code != want.code || all[i].Text != want.text || all[i].Client != "uid 1000 (alice)" || all[i].User != "" {
			t.Errorf("entry %d is %+v, want %v", i, all[i], want)
		}
	}
	for query, want := range map[string]int{
		"user=alice": 3, "user=1000": 3, "user=root": 0, "network=iso1": 1, "network=vnet9": 0, "from=2": 1, "max=2": 2, "since=2026-01-02T03:04:05Z": 3, "since=2026-01-02T03:04:06Z": 0,
	} {
		w.entries(want, query)
	}
	for _, query := range []string{"from=x", "from=-1", "max=x", "max=-1", "since=yesterday"} {
		w.must(http.StatusBadRequest, "GET", base+"/isonet/history?"+query, "")
	}
}

// TestGuessesAreCountedInTheHistory sends many wrong passwords from one address.
func TestGuessesAreCountedInTheHistory(t *testing.T) {
	w := newRemote(t, nil, keeping(t, 1<<20))
	w.address = "192.0.2.9:1"
	for range 5 {
		w.must(http.StatusUnauthorized, "GET", base, "", header{"Authorization": basic("admin", "guess")})
	}
	for range 100 {
		w.must(http.StatusTooManyRequests, "GET", base, "", header{"Authorization": basic("admin", "guess")})
	}
	w.address = "192.0.2.8:1"
	w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso2), "<network><comment>x</comment></network>", header{"Authorization": basic("admin", "s3cr&t")})
	all := w.entries(2)
	if all[0].Kind+all[1].Kind != "writelogin_failed" && all[0].Kind+all[1].Kind != "login_failedwrite" {
		t.Errorf("there is %+v", all)
	}
}

// TestRepresentationsOfEvents compares the history in the engine's form and in
// isonet's own.
func TestRepresentationsOfEvents(t *testing.T) {
	w := newRemote(t, []string{"bob@lab"}, keeping(t, 1<<20))
	w.loop.ports = nil
	w.loop.realise()
	w.done()
	bob := header{"Authorization": basic("bob@lab", "b:ob")} // who may only read sees what was done
	newID := w.store.Snapshot()
	n, _ := newID.NetworkByName("new")
	golden := func(name string, got []byte) {
		golden(t, name, []byte(strings.ReplaceAll(string(got), string(n.ID), "ID")))
	}
	for name, path := range map[string]string{"events": base + "/events", "event": base + "/events/3"} {
		golden(name+".xml", w.must(http.StatusOK, "GET", path, "", bob).Body.Bytes())
		golden(name+".json", w.must(http.StatusOK, "GET", path, "", bob, jsonReply).Body.Bytes())
	}
	golden("history.json", w.must(http.StatusOK, "GET", base+"/isonet/history", "", bob).Body.Bytes())
}

func TestEventsAreSearched(t *testing.T) {
	w := newRemote(t, nil, keeping(t, 1<<20))
	w.loop.ports = nil
	w.loop.realise()
	w.done()
	w.handler = w.api.Local()
	types := make([]string, 50)
	for i := range types {
		types[i] = fmt.Sprint("type=", 940+i)
	}
	for query, want := range map[string]string{
		"":       "5 4 3 2 1",
		"from=2": "5 4 3", "from=5": "", "from=x": "5 4 3 2 1",
		"max=2": "5 4", "max=0": "", "max=2&from=1": "5 4",
		"search=" + url.QueryEscape("page 2") + "&max=2":                       "3 2",
		"search=" + url.QueryEscape("sortby time asc page 1") + "&max=2":       "5 4",
		"search=" + url.QueryEscape("sortby index asc page 1") + "&max=2":      "1 2",
		"search=" + url.QueryEscape("severity=error"):                          "1",
		"search=" + url.QueryEscape("severity!=error and usrname=ADMIN"):       "5 4 3 2",
		"search=" + url.QueryEscape("code=942 or code=1114 and user.name=no*"): "2",
		"search=" + url.QueryEscape(strings.Join(types, " or ")):               "2",
		"search=" + url.QueryEscape("event_host=host1 and message=*mtu*"):      "3",
		"search=" + url.QueryEscape("correlation_id=ticket-2"):                 "5 4",
		"search=" + url.QueryEscape(`time > "2026-01-02 03:04:05"`):            "",
		"search=" + url.QueryEscape("time>=2026-01-02 and time<2026-01-03"):    "5 4 3 2 1",
		"search=" + url.QueryEscape("id<=2"):                                   "2 1",
		"search=" + url.QueryEscape("type=942") + "&max=1":                     "2",
	} {
		var list struct{ Event []struct{ ID string } }
		if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/events?"+query, "", jsonReply).Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range list.Event {
			ids = append(ids, e.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: events %s, want %s", query, got, want)
		}
	}
	w.must(http.StatusBadRequest, "GET", base+"/events?search="+url.QueryEscape("severity>normal"), "")
	for _, id := range []string{"0", "6", "-1", "01", "x", "9223372036854775807", "99999999999999999999"} {
		w.must(http.StatusNotFound, "GET", base+"/events/"+id, "")
	}
}

// TestPagesOfManyEvents looks beyond as many events as a reply has.
func TestPagesOfManyEvents(t *testing.T) {
	const entries = 10_250
	dir := t.TempDir()
	var lines strings.Builder
	for i := range entries {
		fmt.Fprintf(&lines, `{"index":%d,"time":"2026-01-02T03:04:05Z","kind":"write","code":942,"severity":"normal","text":"x"}`+"\n", i+1)
	}
	if err := os.WriteFile(filepath.Join(dir, "history-writes"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, keepingIn(t, dir, 16<<20))
	for query, want := range map[string]struct{ events, first int }{
		"":                                        {10_000, entries},
		"max=100000":                              {10_000, entries},
		"search=page+1":                           {100, entries},
		"search=page+103":                         {50, 50},
		"search=page+104":                         {},
		"search=page+2&max=10000":                 {250, 250},
		"search=page+2&max=100000":                {250, 250},
		"search=id<151+page+2":                    {50, 50},
		"search=page+6&max=2000&from=200":         {50, 250},
		"search=page+3&max=9223372036854775807":   {},
		"search=page+4&max=4611686018427387904":   {},
		"search=page+9223372036854775807&max=100": {},
		"search=page+9223372036854775807&max=0":   {},
		"search=sortby+index+page+2&max=2":        {2, 253},
	} {
		var list struct{ Event []struct{ ID string } }
		if err := json.Unmarshal(w.must(http.StatusOK, "GET", base+"/events?"+query, "", jsonReply).Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Event) != want.events || want.events > 0 && list.Event[0].ID != fmt.Sprint(want.first) {
			t.Errorf("%s: %d events, want %+v", query, len(list.Event), want)
		}
	}
}

// TestAnEmptyHistory checks what clients ask first, with an empty history and with none.
func TestAnEmptyHistory(t *testing.T) {
	for name, w := range map[string]*world{"empty": newWorld(t, keeping(t, 1<<20)), "off": newWorld(t, keeping(t, 0)), "none": newWorld(t)} {
		t.Run(name, func(*testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				w.must(http.StatusOK, method, base+"/events?max=1", "")
			}
			w.must(http.StatusNotFound, "GET", base+"/events/1", "")
			want := http.StatusOK
			if name != "empty" {
				want = http.StatusNotFound
			}
			w.must(want, "GET", base+"/isonet/history", "")
		})
	}
}

// TestAStreamBeginsAtOnce follows an empty history: the header must not wait for the first
// line, however the client wants it to be sent.
func TestAStreamBeginsAtOnce(t *testing.T) {
	w := newRemote(t, nil, keeping(t, 1<<20))
	server := httptest.NewServer(w.handler)
	defer server.Close()
	for _, coding := range []string{"identity", "gzip"} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, "GET", server.URL+base+"/isonet/history?watch=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("admin", "s3cr&t")
		request.Header.Set("Accept-Encoding", coding)
		reply, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatalf("%s: %v", coding, err)
		}
		if err := reply.Body.Close(); err != nil || reply.StatusCode != http.StatusOK || reply.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: status %d, %v", coding, reply.StatusCode, reply.Header)
		}
	}
}

// TestTheHistoryIsFollowed checks that who follows gets what there is and what comes,
// in its order, and after a lost connection what came meanwhile.
func TestTheHistoryIsFollowed(t *testing.T) {
	w := newWorld(t, keeping(t, 1<<20))
	server := httptest.NewServer(w.handler)
	defer server.Close()
	comment := func(text string) {
		t.Helper()
		w.must(http.StatusOK, "PUT", base+"/networks/"+string(iso2), "<network><comment>"+text+"</comment></network>", header{"Correlation-Id": text})
	}
	follow := func(query string) (next func() wire.HistoryEntry, leave func()) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		request, err := http.NewRequestWithContext(ctx, "GET", server.URL+base+"/isonet/history?watch=true"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := http.DefaultClient.Do(request)
		if err != nil || reply.StatusCode != http.StatusOK {
			t.Fatalf("%v: %v", reply, err)
		}
		lines := bufio.NewScanner(reply.Body)
		return func() (e wire.HistoryEntry) {
			t.Helper()
			if !lines.Scan() {
				t.Fatalf("the stream ends: %v", lines.Err())
			}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			return e
		}, func() { cancel(); _ = reply.Body.Close() }
	}
	comment("one")
	comment("two")
	w.entries(2)
	next, leave := follow("&max=1")
	last := next()
	if last.CorrelationID != "two" {
		t.Errorf("the first is %+v", last)
	}
	comment("three")
	if last = next(); last.CorrelationID != "three" {
		t.Errorf("then comes %+v", last)
	}
	leave()
	comment("four")
	comment("five")
	w.entries(5)
	next, leave = follow(fmt.Sprint("&from=", last.Index))
	defer leave()
	for _, want := range []string{"four", "five"} {
		if got := next(); got.CorrelationID != want {
			t.Errorf("%+v comes, want %s", got, want)
		}
	}
	w.must(http.StatusOK, "HEAD", base+"/isonet/history?watch=true", "")
}
