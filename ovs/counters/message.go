package counters

import (
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/isonet/isonet/model/traffic"
	"github.com/isonet/isonet/ovsdb"
)

// message is a JSON-RPC 1.0 message (RFC 7047 section 4). The members are parts
// of it as they were sent; those that it lacks are empty.
type message struct {
	method                  string
	id, params, result, err jsontext.Value
}

func parse(raw jsontext.Value) (message, error) {
	var m message
	r := ovsdb.NewReader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "method":
			m.method = string(r.Text())
		case "id":
			m.id = r.Value()
		case "params":
			m.params = r.Value()
		case "result":
			m.result = r.Value()
		case "error":
			m.err = r.Value()
		default:
			r.Value()
		}
	})
	return m, r.Failure()
}

// update tells what the reply to monitor_cond_since or an update3 notification
// says (ovsdb-server(7)): an array of whether the server knew our last
// transaction (in a notification it is the name of the monitor), of the newest
// transaction and of the rows.
func (f *follower) update(raw jsontext.Value, reply bool) error {
	u := Update{Rows: map[string]traffic.Statistics{}}
	last, n := "", 0
	r := ovsdb.NewReader(raw)
	r.Array(func() {
		switch n++; n {
		case 1:
			u.Whole = string(r.Value()) != "true" && reply
		case 2:
			last = string(r.Text())
		case 3:
			if u.Whole {
				f.interval = ""
			}
			f.tables(r, &u)
		default:
			r.Value()
		}
	})
	if err := r.Failure(); err != nil {
		return err
	}
	if n < 3 {
		return fmt.Errorf("the server sent %d elements instead of 3 for an update", n)
	}
	f.last, u.Interval = last, period(f.interval)
	f.tell(u)
	return nil
}

// period returns the time between two publications. Values that vswitchd does
// not accept are its default, which is also its least.
func period(text string) time.Duration {
	ms, _ := strconv.ParseInt(text, 10, 32)
	return max(time.Duration(ms)*time.Millisecond, traffic.DefaultInterval)
}

// tables reads the <table-updates2> of an update.
func (f *follower) tables(r *ovsdb.Reader, u *Update) {
	r.Object(func(table []byte) {
		isInterface := string(table) == "Interface"
		r.Object(func(uuid []byte) {
			if !isInterface {
				r.Object(func([]byte) { f.root(r) })
				return
			}
			f.row(r, string(uuid), u)
		})
	})
}

// row reads a <row-update2> of the Interface table.
func (f *follower) row(r *ovsdb.Reader, uuid string, u *Update) {
	r.Object(func(change []byte) {
		if string(change) == "delete" {
			r.Value()
			u.Gone = append(u.Gone, uuid)
			return
		}
		var s traffic.Statistics
		r.Object(func(column []byte) {
			if string(column) == "statistics" {
				r.Pairs(func(key []byte) { s.Set(string(key), r.Integer()) })
			} else {
				s.Device = r.OptionalInteger()
			}
		})
		u.Rows[uuid] = s
	})
}

// root reads the columns of the Open_vSwitch row. A pair that changed is told
// with its new value, one that was removed with the one that it had.
func (f *follower) root(r *ovsdb.Reader) {
	if r.Peek() != '{' { // the row was deleted
		r.Value()
		return
	}
	r.Object(func([]byte) {
		r.Pairs(func(key []byte) {
			value := string(r.Text())
			if string(key) != "stats-update-interval" {
				return
			}
			if f.interval == value {
				value = ""
			}
			f.interval = value
		})
	})
}
