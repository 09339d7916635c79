package counters

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/isonet/isonet/model/traffic"
)

// message is a JSON-RPC 1.0 message (RFC 7047 section 4). The members are parts
// of it as they were sent; those that it lacks are empty.
type message struct {
	method                  string
	id, params, result, err jsontext.Value
}

func parse(raw jsontext.Value) (message, error) {
	var m message
	r := newReader(raw)
	r.object(func(name []byte) {
		switch string(name) {
		case "method":
			m.method = string(r.text())
		case "id":
			m.id = r.value()
		case "params":
			m.params = r.value()
		case "result":
			m.result = r.value()
		case "error":
			m.err = r.value()
		default:
			r.value()
		}
	})
	return m, r.failure()
}

// update tells what the reply to monitor_cond_since or an update3 notification
// says (ovsdb-server(7)): an array of whether the server knew our last
// transaction (in a notification it is the name of the monitor), of the newest
// transaction and of the rows.
func (f *follower) update(raw jsontext.Value, reply bool) error {
	u := Update{Rows: map[string]traffic.Statistics{}}
	last, n := "", 0
	r := newReader(raw)
	r.array(func() {
		switch n++; n {
		case 1:
			u.Whole = string(r.value()) != "true" && reply
		case 2:
			last = string(r.text())
		case 3:
			if u.Whole {
				f.interval = ""
			}
			f.tables(r, &u)
		default:
			r.value()
		}
	})
	if err := r.failure(); err != nil {
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
func (f *follower) tables(r *reader, u *Update) {
	r.object(func(table []byte) {
		isInterface := string(table) == "Interface"
		r.object(func(uuid []byte) {
			if !isInterface {
				r.object(func([]byte) { f.root(r) })
				return
			}
			f.row(r, string(uuid), u)
		})
	})
}

// row reads a <row-update2> of the Interface table.
func (f *follower) row(r *reader, uuid string, u *Update) {
	r.object(func(change []byte) {
		if string(change) == "delete" {
			r.value()
			u.Gone = append(u.Gone, uuid)
			return
		}
		var s traffic.Statistics
		r.object(func(column []byte) {
			if string(column) == "statistics" {
				r.pairs(func(key []byte) { s.Set(string(key), r.integer()) })
			} else {
				s.Device = r.optional()
			}
		})
		u.Rows[uuid] = s
	})
}

// root reads the columns of the Open_vSwitch row. A pair that changed is told
// with its new value, one that was removed with the one that it had.
func (f *follower) root(r *reader) {
	if r.PeekKind() != '{' { // the row was deleted
		r.value()
		return
	}
	r.object(func([]byte) {
		r.pairs(func(key []byte) {
			value := string(r.text())
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

// reader reads JSON of a known form. After a failure it does nothing.
type reader struct {
	*jsontext.Decoder
	raw jsontext.Value
	err error
}

func newReader(raw jsontext.Value) *reader {
	return &reader{Decoder: jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true)), raw: raw}
}

func (r *reader) failure() error {
	if r.err != nil {
		return fmt.Errorf("understand the server: %w", r.err)
	}
	return nil
}

// value returns the next value as it is. It is a part of raw.
func (r *reader) value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.ReadValue()
	if err != nil {
		r.err = err
		return nil
	}
	end := r.InputOffset()
	return r.raw[end-int64(len(v)) : end]
}

// text returns what is in a string, with its escapes. Nothing that isonet looks
// for has any.
func (r *reader) text() []byte {
	v := r.value()
	if r.err != nil {
		return nil
	}
	if v.Kind() != '"' {
		r.err = fmt.Errorf("%.20s is not a string", v)
		return nil
	}
	return v[1 : len(v)-1]
}

func (r *reader) integer() int64 {
	v := r.value()
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%.20s is not an integer", v)
	}
	return n
}

// optional reads a column that holds one integer or none; 0 is none.
func (r *reader) optional() (n int64) {
	if r.PeekKind() != '[' {
		return r.integer()
	}
	r.value() // ["set",[]]
	return 0
}

// open reads the first token of an array or object and reports whether it is
// one.
func (r *reader) open(kind jsontext.Kind) bool {
	if r.err != nil {
		return false
	}
	token, err := r.ReadToken()
	if err == nil && token.Kind() != kind {
		err = fmt.Errorf("%s where %s was expected", token.Kind(), kind)
	}
	r.err = err
	return err == nil
}

// close reads the last token of an array or object.
func (r *reader) close() {
	if r.err == nil {
		_, r.err = r.ReadToken()
	}
}

// object calls member with every name of an object, to read the value.
func (r *reader) object(member func(name []byte)) {
	if !r.open('{') {
		return
	}
	for r.err == nil && r.PeekKind() != '}' {
		if name := r.text(); r.err == nil {
			member(name)
		}
	}
	r.close()
}

// array calls element for every element of an array, to read it.
func (r *reader) array(element func()) {
	if !r.open('[') {
		return
	}
	for r.err == nil && r.PeekKind() != ']' {
		element()
	}
	r.close()
}

// pairs calls value with every key of a map column, to read the value:
// ["map",[[KEY,VALUE],...]] (RFC 7047 section 5.1).
func (r *reader) pairs(value func(key []byte)) {
	if !r.open('[') {
		return
	}
	r.value()
	r.array(func() {
		if !r.open('[') {
			return
		}
		if key := r.text(); r.err == nil {
			value(key)
		}
		r.close()
	})
	r.close()
}
