package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/isonet/isonet/internal/hosttest"
	"github.com/isonet/isonet/internal/ovstest"
)

const (
	// pool is how many networks clients share, and few how many hosts' labels and
	// attachments, so that they meet.
	pool, few = 4, 3
	// common is the label of all hosts, and special that of the first ones.
	common, special = "common", "special"
	// answerWithin is how long a client waits for an answer before it asks for something
	// else.
	answerWithin = 10 * time.Second
)

// load is what clients do in the time of one fault: each host has one of its API.
type load struct {
	*fleet
	*history
	// prefix of the names that they use.
	prefix  string
	stop    chan struct{}
	running sync.WaitGroup
}

func (l *load) network(n int) string { return fmt.Sprint(l.prefix, "n", n) }
func (l *load) attached() string     { return l.prefix + "a" }
func (l *load) label() string        { return l.prefix + "l" }

// run starts the clients.
func (l *load) run(seed uint64) {
	l.stop = make(chan struct{})
	for _, by := range l.hosts {
		l.running.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(by.number))) //nolint:gosec // it is to be repeatable
			for {
				select {
				case <-l.stop:
					return
				default:
					l.act(random, by)
				}
			}
		})
	}
}

// end lets each client end what it does.
func (l *load) end() {
	close(l.stop)
	l.running.Wait()
}

// act is one thing that a client does.
func (l *load) act(random *rand.Rand, by *host) {
	of := l.hosts[random.IntN(few)]
	verb := func(verbs ...string) string { return verbs[random.IntN(len(verbs))] }
	switch random.IntN(3) {
	case 0:
		l.do(by, of, input{row: l.attachment(of), verb: verb("set", "set", "remove", "look")})
	case 1:
		l.do(by, of, input{row: l.labelOf(of), verb: verb("add", "remove", "look")})
	default:
		name := l.network(random.IntN(pool))
		seen, known := l.do(by, of, input{row: name, verb: "read"})
		if known && seen.id == "" {
			l.do(by, of, input{row: name, verb: "create"})
		} else if known {
			what := verb("describe", "describe", "label", "unlabel", "delete")
			text := special
			if what == "describe" {
				text = fmt.Sprint(random.Uint32())
			}
			l.do(by, of, input{row: name, verb: what, id: seen.id, text: text})
		}
	}
}

func (l *load) attachment(of *host) string { return fmt.Sprint(l.attached(), " on ", of.number) }
func (l *load) labelOf(of *host) string    { return fmt.Sprint(l.label(), " of ", of.number) }

// do carries out an operation by the API of one host, perhaps on another, and notes
// what became of it. Known is false for one without an answer that counts.
func (l *load) do(by, of *host, in input) (out output, known bool) {
	request := l.request(of, in)
	asked := l.ask(in, fmt.Sprint(by.number))
	reply, err := by.AskFor(answerWithin, request.method, request.path, request.body)
	switch {
	case err != nil && notSent(err):
		l.failed(in.verb, 0)
		return output{}, false
	case request.method == http.MethodGet:
		if err != nil || reply.Code == http.StatusServiceUnavailable || reply.Header.Get("Isonet-Stale") != "" {
			l.failed(in.verb, reply.Code)
			return output{}, false
		}
		if reply.Code != http.StatusOK {
			l.strange("%s %s: %d %s", request.method, request.path, reply.Code, reply.Text)
			return output{}, false
		}
		out = l.read(in, reply.Text)
	case err != nil || reply.Code == http.StatusGatewayTimeout || strings.Contains(reply.Text, "taken back"):
		out = output{status: reply.Code, unknown: true}
	case reply.Code == http.StatusServiceUnavailable, in.verb == "set" && reply.Code == http.StatusConflict:
		// Of a network that has just left the host, a device may be there for a moment.
		l.failed(in.verb, reply.Code)
		return output{}, false
	case reply.Code >= http.StatusInternalServerError:
		l.strange("%s %s %s: %d %s", request.method, request.path, request.body, reply.Code, reply.Text)
		out = output{status: reply.Code, unknown: true}
	default:
		out = output{status: reply.Code}
		if in.verb == "create" && reply.Err() == nil {
			var made struct{ ID string }
			_ = json.Unmarshal([]byte(reply.Text), &made) // without an id nothing agrees with it
			out.id = made.ID
		}
	}
	l.answered(asked, out)
	if strings.Contains(reply.Text, "taken back") { // by another write, whose outcome is not told
		if back := map[string]string{"set": "remove", "add": "remove", "remove": "set"}[in.verb]; back != "" {
			l.answered(l.ask(input{row: in.row, verb: back}, asked.api), output{unknown: true})
		}
	}
	return out, true
}

// notSent says whether an error of a request means that nobody has got it.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// request is one to the API.
type request struct{ method, path, body string }

func (l *load) request(of *host, in input) request {
	network := "/networks/" + in.id
	labels := of.Path() + "/networklabels"
	switch in.verb {
	case "read":
		return request{"GET", "/networks?follow=networklabels&search=name%3D" + in.row, ""}
	case "create":
		return request{"POST", "/networks", fmt.Sprintf(`{"name":%q,"data_center":{"name":"Default"}}`, in.row)}
	case "delete":
		return request{"DELETE", network, ""}
	case "describe":
		return request{"PUT", network, fmt.Sprintf(`{"description":%q}`, in.text)}
	case "label":
		return request{"POST", network + "/networklabels", fmt.Sprintf(`{"id":%q}`, in.text)}
	case "unlabel":
		return request{"DELETE", network + "/networklabels/" + in.text, ""}
	case "add":
		return request{"POST", labels, fmt.Sprintf(`{"id":%q}`, l.label())}
	case "set":
		return request{"POST", of.Path() + "/setupnetworks", hosttest.Attaching(l.attached())}
	case "remove":
		if in.row == l.labelOf(of) {
			return request{"DELETE", labels + "/" + l.label(), ""}
		}
		return request{"POST", of.Path() + "/setupnetworks", detaching(l.attached())}
	}
	if in.row == l.labelOf(of) { // look
		return request{"GET", labels, ""}
	}
	return request{"GET", of.Path() + "/networkattachments?follow=network", ""}
}

// detaching is the body of setupnetworks that detaches a network unless it is in use.
func detaching(network string) string {
	return fmt.Sprintf(`{"removed_network_attachments":{"network_attachment":[{"network":{"name":%q}}]}}`, network)
}

// read finds in an answer what an operation is after.
func (l *load) read(in input, text string) output {
	out := output{status: http.StatusOK}
	var reply struct {
		Network []struct {
			ID, Description string
			Labels          struct {
				Label []struct{ ID string } `json:"network_label"`
			} `json:"network_labels"`
		}
		Label       []struct{ ID string }                     `json:"network_label"`
		Attachments []struct{ Network struct{ Name string } } `json:"network_attachment"`
	}
	if err := json.Unmarshal([]byte(text), &reply); err != nil {
		l.strange("%+v reads %s: %v", in, text, err)
	}
	for _, n := range reply.Network {
		out.id, out.description = n.ID, n.Description
		for _, label := range n.Labels.Label {
			out.label = label.ID
		}
	}
	for _, label := range reply.Label {
		out.on = out.on || label.ID == l.label()
	}
	for _, a := range reply.Attachments {
		out.on = out.on || a.Network.Name == l.attached()
	}
	return out
}

// more waits until more writes are acknowledged.
func (l *load) more(t *fleet, writes int) {
	t.Helper()
	before := l.writes()
	ovstest.Eventually(t, fmt.Sprintf("%d more writes are acknowledged", writes), func() error {
		if got := l.writes() - before; got < writes {
			return fmt.Errorf("%d were; answers %v", got, l.counts())
		}
		return nil
	})
}

// refused waits until more answers say that nothing can be written, or that it is unknown
// whether it was, or do not come.
func (l *load) refused(t *fleet, answers int) {
	t.Helper()
	count := func() (n int) {
		for what, times := range l.counts() {
			if slices.Contains([]string{"0", "503", "504"}, what[strings.IndexByte(what, ' ')+1:]) {
				n += times
			}
		}
		return n
	}
	before := count()
	ovstest.Eventually(t, fmt.Sprintf("%d more writes are not made", answers), func() error {
		if got := count() - before; got < answers {
			return fmt.Errorf("%d were not; answers %v", got, l.counts())
		}
		return nil
	})
}

// prepare makes the network that the clients attach.
func (l *load) prepare() {
	l.fleet.Helper()
	l.hosts[0].Create(l.attached())
	l.agree()
}

// reachesAll gives all hosts another network, by a label, and returns how long that took.
func (l *load) reachesAll() time.Duration {
	l.fleet.Helper()
	begin, name := time.Now(), l.prefix+"all"
	by := l.hosts[0]
	var reply hosttest.Reply
	ovstest.Eventually(l.fleet, "a network for all hosts is made", func() error {
		// The name is taken after an answer that was lost.
		reply = by.Answer("POST", "/networks", fmt.Sprintf(`{"name":%q,"data_center":{"name":"Default"}}`, name))
		if reply.Code == http.StatusConflict {
			return nil
		}
		return reply.Err()
	})
	labels := by.Network(name) + "/networklabels"
	ovstest.Eventually(l.fleet, "it gets the label of all hosts", func() error {
		reply = by.Answer("POST", labels, fmt.Sprintf(`{"id":%q}`, common))
		if reply.Code == http.StatusBadRequest { // it has one
			return nil
		}
		return reply.Err()
	})
	for _, h := range l.hosts {
		ovstest.Eventually(l.fleet, fmt.Sprintf("host %d has it", h.number), func() error {
			if own := h.Own(); !slices.Contains(own, name) {
				return fmt.Errorf("it has %v", own)
			}
			return nil
		})
	}
	return time.Since(begin)
}

// cleanUp removes what the clients have made.
func (l *load) cleanUp() {
	l.fleet.Helper()
	by := l.hosts[0]
	d, err := by.desired()
	if err != nil {
		l.fleet.Fatal(err)
	}
	for _, h := range l.hosts[:few] {
		id := strings.TrimPrefix(h.Path(), "/hosts/")
		if slices.Contains(d.hosts[id], l.attached()) {
			by.Must("POST", h.Path()+"/setupnetworks", detaching(l.attached()))
		}
		if slices.Contains(d.labels[id], l.label()) {
			by.Must("DELETE", h.Path()+"/networklabels/"+l.label(), "")
		}
	}
	for _, n := range d.networks {
		if name := strings.Fields(n)[0]; strings.HasPrefix(name, l.prefix) {
			by.Must("DELETE", by.Network(name), "")
		}
	}
}
