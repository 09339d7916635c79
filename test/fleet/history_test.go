package fleet

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkPatience bounds the search for an order of a row's history.
const checkPatience = 2 * time.Minute

// input is what a client asks for: a verb on a row. A network is asked for by the id that
// it had when the client looked.
type input struct {
	row, verb, id, text string
}

// output is what a client is answered.
type output struct {
	status int
	// unknown says that it is not known whether the change was or will be made.
	unknown bool
	// What reading a network finds, and in id what creating one has made.
	id, description, label string
	// on is what reading a switch finds.
	on bool
}

func (o output) refused() bool {
	return !o.unknown && o.status >= http.StatusBadRequest && o.status < http.StatusInternalServerError
}

// made returns the id of a network that was created.
func (o output) made() string {
	if o.unknown {
		return somebody
	}
	return o.id
}

// row is the sequential specification of a row: a network, or a switch such as a
// label of a host or an attachment.
type row struct {
	id, description, label string
	on                     bool
}

// somebody is the id of a network whose creation was not answered, until it is seen.
const somebody = "?"

func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			rows := map[string][]porcupine.Operation{}
			for _, o := range history {
				rows[o.Input.(input).row] = append(rows[o.Input.(input).row], o)
			}
			return slices.Collect(maps.Values(rows))
		},
		Init:              func() any { return row{} },
		Step:              func(state, in, out any) (bool, any) { return state.(row).step(in.(input), out.(output)) },
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
	}
}

// step says whether an operation may be answered like that, and what it makes of the
// row. One of unknown outcome was made; that it was not is the same as being made after
// all others.
func (r row) step(in input, out output) (bool, any) {
	if r.id == somebody && !out.unknown {
		switch {
		case in.verb == "read" && out.id != "":
			r.id = out.id
		case in.id != "" && !out.refused():
			r.id = in.id
		}
	}
	there := r.id != "" && r.id == in.id
	switch in.verb {
	case "create":
		return r.made(r.id == "", row{id: out.made()}, out)
	case "delete":
		return r.made(there, row{}, out)
	case "describe":
		after := r
		after.description = in.text
		return r.made(there, after, out)
	case "label":
		after := r
		after.label = in.text
		return r.made(there && r.label == "", after, out)
	case "unlabel":
		after := r
		after.label = ""
		return r.made(there && r.label != "", after, out)
	case "read":
		return out.id == r.id && out.description == r.description && out.label == r.label, r
	case "add": // a switch that refuses to be on twice
		return r.made(!r.on, row{on: true}, out)
	case "set":
		return r.made(true, row{on: true}, out)
	case "remove":
		return r.made(r.on, row{}, out)
	case "look":
		return out.on == r.on, r
	}
	return false, r
}

// made is a write that can be made or not.
func (r row) made(can bool, after row, out output) (bool, any) {
	switch {
	case out.refused():
		return !can, r
	case can:
		return true, after
	}
	return out.unknown, r
}

// history is what clients asked for and were answered.
type history struct {
	testing.TB
	begin time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	// seen is, by row and API, when the newest operation was asked for that the API has
	// answered.
	seen map[[2]string]int64
	// settled is since when every API answers with the newest state.
	settled int64
	// acknowledged are when writes were.
	acknowledged []time.Time
	answers      map[string]int
	wrong        []string
}

func newHistory(t testing.TB) *history {
	return &history{TB: t, begin: time.Now(), seen: map[[2]string]int64{}, answers: map[string]int{}}
}

// asked is an operation on its way.
type asked struct {
	input
	api        string
	call, seen int64
}

// ask begins an operation by the API of a host.
func (h *history) ask(in input, api string) asked {
	h.mu.Lock()
	defer h.mu.Unlock()
	return asked{in, api, int64(time.Since(h.begin)), h.seen[[2]string{in.row, api}]}
}

// answered ends it. What an API reads, and what it refuses, is as of a moment that may
// have passed, but never before one that it has answered for already: writers of other
// hosts may be ahead of what it has heard. So such an operation begins there.
func (h *history) answered(a asked, out output) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	o := porcupine.Operation{Input: a.input, Output: out, Call: a.call, Return: int64(now.Sub(h.begin))}
	reads := a.verb == "read" || a.verb == "look"
	switch {
	case out.unknown:
		o.Return = math.MaxInt64
	case reads || out.refused():
		o.Call = max(a.seen, h.settled)
	}
	h.answers[fmt.Sprint(a.verb, " ", out.status)]++
	h.operations = append(h.operations, o)
	if out.unknown {
		return
	}
	if !reads && !out.refused() {
		h.acknowledged = append(h.acknowledged, now)
	}
	key := [2]string{a.row, a.api}
	h.seen[key] = max(h.seen[key], o.Call)
}

// failed counts what changed nothing.
func (h *history) failed(verb string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[fmt.Sprint(verb, " ", status)]++
}

// strange notes an answer that there must not be.
func (h *history) strange(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, fmt.Sprintf(format, args...))
}

// settle says that no API is behind.
func (h *history) settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = int64(time.Since(h.begin))
}

// counts returns how many answers there were, by verb and status.
func (h *history) counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.answers)
}

// writes returns how many were acknowledged.
func (h *history) writes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.acknowledged)
}

// gap returns the longest time after a moment in which no write was acknowledged.
func (h *history) gap(after time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	var longest time.Duration
	for _, at := range h.acknowledged {
		if at.After(after) {
			longest, after = max(longest, at.Sub(after)), at
		}
	}
	return longest
}

// check fails the test unless the history has an order in which each answer is what a
// single client would get, and begins another one.
func (h *history) check(what string) {
	h.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, wrong := range h.wrong {
		h.Errorf("%s: %s", what, wrong)
	}
	if porcupine.CheckOperationsTimeout(model(), h.operations, checkPatience) != porcupine.Ok {
		h.explain(what)
	}
	h.operations, h.answers, h.wrong = nil, map[string]int{}, nil
}

// explain tells which rows have no such order.
func (h *history) explain(what string) {
	h.Helper()
	for _, operations := range model().Partition(h.operations) {
		verdict := porcupine.CheckOperationsTimeout(model(), operations, checkPatience)
		if verdict == porcupine.Ok {
			continue
		}
		h.Errorf("%s: the history of %s is %s", what, operations[0].Input.(input).row, verdict)
		slices.SortFunc(operations, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		for _, o := range operations {
			h.Logf("%12v to %12v  %+v -> %+v", time.Duration(o.Call), time.Duration(o.Return), o.Input, o.Output)
		}
	}
}

// TestHistory shows what the check finds.
func TestHistory(t *testing.T) {
	type step struct {
		verb, id, text string
		out            output
		call, end      int64
	}
	ok, conflict, missing := output{status: 200}, output{status: 409}, output{status: 404}
	unknown := output{status: 504, unknown: true}
	created := func(id string) output { return output{status: 201, id: id} }
	for _, test := range []struct {
		name  string
		steps []step
		want  bool
	}{
		{"in order", []step{
			{"create", "", "", created("1"), 0, 1}, {"describe", "1", "b", ok, 2, 3}, {"read", "", "", output{status: 200, id: "1", description: "b"}, 4, 5},
		}, true},
		{"a lost update", []step{
			{"create", "", "", created("1"), 0, 1},
			{"describe", "1", "a", ok, 2, 3},
			{"describe", "1", "b", ok, 4, 5},
			{"read", "", "", output{status: 200, id: "1", description: "a"}, 6, 7},
		}, false},
		{"a lost network", []step{{"create", "", "", created("1"), 0, 1}, {"read", "", "", ok, 2, 3}}, false},
		{"created twice", []step{{"create", "", "", created("1"), 0, 5}, {"create", "", "", created("2"), 1, 4}}, false},
		{"unknown and made", []step{
			{"create", "", "", unknown, 0, math.MaxInt64},
			{"create", "", "", conflict, 2, 3},
			{"read", "", "", output{status: 200, id: "7"}, 4, 5},
			{"delete", "7", "", ok, 6, 7},
			{"create", "", "", created("8"), 8, 9},
		}, true},
		{"unknown and not made", []step{{"create", "", "", unknown, 0, math.MaxInt64}, {"read", "", "", ok, 2, 3}}, true},
		{"unknown and made twice", []step{
			{"create", "", "", unknown, 0, math.MaxInt64},
			{"read", "", "", output{status: 200, id: "7"}, 2, 3},
			{"delete", "7", "", ok, 4, 5},
			{"read", "", "", output{status: 200, id: "9"}, 6, 7},
		}, false},
		{"a refusal without a reason", []step{{"create", "", "", conflict, 0, 1}}, false},
		{"a network that is not there", []step{{"delete", "1", "", missing, 0, 1}}, true},
		{"switched", []step{
			{"add", "", "", created(""), 0, 1},
			{"add", "", "", conflict, 2, 3},
			{"remove", "", "", ok, 4, 5},
			{"remove", "", "", missing, 6, 7},
			{"set", "", "", ok, 8, 9},
			{"set", "", "", ok, 10, 11},
			{"look", "", "", output{status: 200, on: true}, 12, 13},
		}, true},
		{"switched and lost", []step{{"set", "", "", ok, 0, 1}, {"look", "", "", ok, 2, 3}}, false},
	} {
		var operations []porcupine.Operation
		for _, s := range test.steps {
			operations = append(operations, porcupine.Operation{Input: input{"row", s.verb, s.id, s.text}, Output: s.out, Call: s.call, Return: s.end})
		}
		if got := porcupine.CheckOperations(model(), operations); got != test.want {
			t.Errorf("%s: the check says %t", test.name, got)
		}
	}
}
