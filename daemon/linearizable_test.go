package daemon_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/internal/ovstest"
)

// The clients of TestConcurrentWritersAreLinearizable share few networks, so
// that they meet.
const (
	writers       = 50
	opsPerWriter  = 8
	sharedNames   = 8
	historySeed   = 20260102
	checkPatience = 2 * time.Minute
)

// input is what a client asks for: a verb on the network of a name, by the id
// that it had when the client looked.
type input struct {
	verb, name, id, text string
}

// output is what a client is answered. Read answers what there is.
type output struct {
	status                 int
	id, description, label string
}

// networkState is what the history is checked against: one network as the API
// promises it. The host has the label "lab".
type networkState struct {
	id, description, label string
	explicit               bool
}

// historyModel is the sequential specification, a network at a time.
func historyModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byName := map[string][]porcupine.Operation{}
			for _, o := range history {
				name := o.Input.(input).name
				byName[name] = append(byName[name], o)
			}
			return slices.Collect(maps.Values(byName))
		},
		Init: func() any { return networkState{} },
		Step: func(state, in, out any) (bool, any) { return state.(networkState).step(in.(input), out.(output)) },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%+v -> %+v", in, out)
		},
	}
}

func (s networkState) step(in input, out output) (bool, any) {
	there := s.id != "" && s.id == in.id
	is := func(status int) bool { return out.status == status }
	switch in.verb {
	case "create":
		if s.id != "" {
			return is(http.StatusConflict), s
		}
		return is(http.StatusCreated), networkState{id: out.id}
	case "read":
		return out == output{http.StatusOK, s.id, s.description, s.label}, s
	case "delete":
		if !there {
			return is(http.StatusNotFound), s
		}
		return is(http.StatusOK), networkState{}
	case "describe":
		if !there {
			return is(http.StatusNotFound), s
		}
		s.description = in.text
		return is(http.StatusOK), s
	case "label":
		if !there {
			return is(http.StatusNotFound), s
		}
		if s.label != "" {
			return is(http.StatusBadRequest), s
		}
		s.label = "lab"
		return is(http.StatusCreated), s
	case "unlabel":
		if !there || s.label == "" {
			return is(http.StatusNotFound), s
		}
		s.label = ""
		return is(http.StatusOK), s
	case "attach":
		if !there {
			return is(http.StatusBadRequest), s
		}
		s.explicit = s.explicit || s.label == "" // what a label attached stays so
		return is(http.StatusOK), s
	case "detach":
		switch {
		case !there || !s.explicit && s.label == "":
			return is(http.StatusBadRequest), s
		case s.label != "":
			return is(http.StatusConflict), s
		}
		s.explicit = false
		return is(http.StatusOK), s
	}
	return false, s
}

// do carries an input out.
func (h *host) do(hostPath string, in input) output {
	setup := func(member string) output {
		code, _ := h.call("POST", hostPath+"/setupnetworks", fmt.Sprintf(`{%q:{"network_attachment":[{"network":{"id":%q}}]}}`, member, in.id))
		return output{status: code}
	}
	answer := func(method, path, body string) output {
		code, reply := h.call(method, path, body)
		id, _ := reply["id"].(string)
		if code != http.StatusCreated || in.verb != "create" {
			id = ""
		}
		return output{status: code, id: id}
	}
	path := "/networks/" + in.id
	switch in.verb {
	case "create":
		return answer("POST", "/networks", fmt.Sprintf(`{"name":%q,"data_center":{"name":"Default"}}`, in.name))
	case "delete":
		return answer("DELETE", path, "")
	case "describe":
		return answer("PUT", path, fmt.Sprintf(`{"description":%q}`, in.text))
	case "label":
		return answer("POST", path+"/networklabels", `{"id":"lab"}`)
	case "unlabel":
		return answer("DELETE", path+"/networklabels/lab", "")
	case "attach":
		return setup("modified_network_attachments")
	case "detach":
		return setup("removed_network_attachments")
	}
	code, reply := h.call("GET", "/networks?follow=networklabels&search=name%3D"+in.name, "")
	out := output{status: code}
	if list, _ := reply["network"].([]any); len(list) == 1 {
		n := list[0].(map[string]any)
		out.id, out.description = n["id"].(string), n["description"].(string)
		if labels, _ := n["network_labels"].(map[string]any)["network_label"].([]any); len(labels) == 1 {
			out.label = labels[0].(map[string]any)["id"].(string)
		}
	}
	return out
}

// TestConcurrentWritersAreLinearizable lets many clients change the same
// networks while two operators destroy and spoil their bridges with ovs-vsctl.
// What the clients were answered must have an order in which it is what one
// client would have got, and in the end Open vSwitch has what the API says.
func TestConcurrentWritersAreLinearizable(t *testing.T) {
	h := newHost(t, nil)
	h.start()
	hostPath := h.path()
	h.must("POST", hostPath+"/networklabels", `{"id":"lab"}`)

	begin := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	record := func(client int, in input) output {
		call := time.Since(begin)
		out := h.do(hostPath, in)
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{
			ClientId: client, Input: in, Output: out, Call: int64(call), Return: int64(time.Since(begin)),
		})
		return out
	}
	var clients, operators sync.WaitGroup
	for client := range writers {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(historySeed, uint64(client)))
			verbs := []string{"describe", "label", "unlabel", "attach", "attach", "detach", "delete"}
			for i := range opsPerWriter {
				name := fmt.Sprintf("net%d", random.IntN(sharedNames))
				seen := record(client, input{verb: "read", name: name})
				if seen.id == "" {
					record(client, input{verb: "create", name: name})
					continue
				}
				record(client, input{verb: verbs[random.IntN(len(verbs))], name: name, id: seen.id, text: fmt.Sprint(client, "-", i)})
			}
		})
	}
	stop := make(chan struct{})
	for operator, spoil := range [][]string{{"--if-exists", "del-br"}, {"--if-exists", "set", "Bridge"}} {
		operators.Go(func() {
			random := rand.New(rand.NewPCG(historySeed+1, uint64(operator)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				args := append(slices.Clone(spoil), fmt.Sprintf("net%d", random.IntN(sharedNames)))
				if operator == 1 {
					args = append(args, "fail_mode=secure", "stp_enable=true")
				}
				_ = h.ovs.VsctlCommand(append([]string{"--no-wait"}, args...)...).Run() // isonetd may be faster
			}
		})
	}
	clients.Wait()
	close(stop)
	operators.Wait()

	verdict, info := porcupine.CheckOperationsVerbose(historyModel(), history, checkPatience)
	if verdict != porcupine.Ok {
		file := h.ovs.Dir() + "/history.html"
		t.Errorf("the history of %d operations is %s; seed %d", len(history), verdict, historySeed)
		_ = porcupine.VisualizePath(historyModel(), info, file) // a help only
		counts := map[string]int{}
		for _, o := range history {
			counts[fmt.Sprint(o.Input.(input).verb, " ", o.Output.(output).status)]++
		}
		t.Logf("answers: %v", counts)
	}
	h.converges()
}

// converges fails the test unless Open vSwitch becomes what the API says, and
// stays so.
func (h *host) converges() {
	h.Helper()
	ovstest.Eventually(h, "all networks are active and nothing is left to do", func() error {
		code, plan := h.call("GET", "/isonet/plan", "")
		if operations, _ := plan["operations"].([]any); code != http.StatusOK || len(operations) > 0 {
			return fmt.Errorf("plan: %d %v", code, plan)
		}
		for _, n := range h.must("GET", "/isonet/status", "")["networks"].([]any) {
			if n.(map[string]any)["state"] != "active" {
				return fmt.Errorf("network %v", n)
			}
		}
		return nil
	})
	h.must("POST", h.path()+"/syncallnetworks", "{}")
	var want []string
	for _, n := range h.must("GET", "/isonet/status", "")["networks"].([]any) {
		want = append(want, n.(map[string]any)["bridge"].(string))
	}
	slices.Sort(want)
	if diff := cmp.Diff(strings.Join(want, " "), strings.Join(h.bridges(), " ")); diff != "" {
		h.Errorf("bridges (-desired +Open vSwitch):\n%s", diff)
	}
	before := h.ovs.Versions()
	h.must("POST", h.path()+"/syncallnetworks", "{}")
	h.must("POST", h.path()+"/setupnetworks", "{}")
	if diff := cmp.Diff(before, h.ovs.Versions()); diff != "" {
		h.Errorf("rows (-before +after nothing was to do):\n%s", diff)
	}
}

// TestHistoryModelRefuses shows that the check finds a lost update.
func TestHistoryModelRefuses(t *testing.T) {
	step := func(verb, text string, out output, call, end int64) porcupine.Operation {
		return porcupine.Operation{Input: input{verb, "net", "1", text}, Output: out, Call: call, Return: end}
	}
	for read, want := range map[string]bool{"b": true, "a": false} {
		history := []porcupine.Operation{
			step("create", "", output{status: 201, id: "1"}, 0, 1),
			step("describe", "a", output{status: 200}, 2, 3),
			step("describe", "b", output{status: 200}, 4, 5),
			step("read", "", output{status: 200, id: "1", description: read}, 6, 7),
		}
		if got := porcupine.CheckOperations(historyModel(), history); got != want {
			t.Errorf("a history that reads %q is linearizable: %t", read, got)
		}
	}
}
