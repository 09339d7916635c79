package counters

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzMessage holds that whatever a server sends ends in an error or an update,
// and that nothing is understood that is no JSON.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"result":[false,"00000000-0000-0000-0000-000000000000",{"Interface":{"u":{"initial":{"ifindex":3,"statistics":["map",[["rx_bytes",5],["tx_bytes",6]]]}}},"Open_vSwitch":{"r":{"initial":{}}}}],"error":null}`,
		`{"id":null,"method":"update3","params":[null,"x",{"Interface":{"u":{"modify":{"statistics":["map",[["rx_bytes",7]]]}}}}]}`,
		`{"method":"update3","params":[null,"x",{"Interface":{"u":{"delete":null}}}]}`,
		`{"method":"update3","params":[null,"x",{"Interface":{"u":{"modify":{"ifindex":["set",[]]}}}}]}`,
		`{"method":"update3","params":[null,"x",{"Open_vSwitch":{"r":{"modify":{"other_config":["map",[["stats-update-interval","10000"]]]}}}}]}`,
		`{"method":"update3","params":[null,"x",{"Open_vSwitch":{"r":{"delete":null}}}]}`,
		`{"method":"echo","params":[],"id":"echo"}`,
		`{"method":"update3","params":[null,"\ud800",{"Interface":{"\"":{"insert":{"statistics":["map",[["\u0000",1e3]]]}}}}]}`,
		`[]`, `{"params":{}}`, `{"method":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parse(jsontext.Value(raw))
		if err != nil {
			return
		}
		told := 0
		follower := &follower{tell: func(Update) { told++ }}
		for _, part := range []jsontext.Value{m.params, m.result} {
			before := told
			err := follower.update(part, true)
			if (told > before) != (err == nil) {
				t.Errorf("error %v, told %t", err, told > before)
			}
			if err == nil && !json.Valid(part) {
				t.Errorf("it understood %s", part)
			}
		}
	})
}

// A message that never ends must not fill the memory.
func TestMessageIsBounded(t *testing.T) {
	server, client := net.Pipe()
	go func() {
		_, _ = server.Write([]byte(`["` + strings.Repeat("x", 1<<20))) // the reader gives up
	}()
	defer server.Close() //nolint:errcheck // a pipe
	w := &wire{conn: client, probe: time.Minute, left: 1 << 16}
	_, err := jsontext.NewDecoder(w).ReadValue()
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a message of 1 MiB where 64 KiB are allowed: %v", err)
	}
}
