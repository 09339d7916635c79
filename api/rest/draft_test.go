package rest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"
)

// member is one of a list. It may be one that cannot be written.
type member struct {
	Text  string `xml:"text" json:"text"`
	Wrong wrong  `xml:"wrong,omitempty" json:"wrong,omitempty"`
}

func (*member) Element() string { return "member" }

type wrong bool

func (wrong) MarshalText() ([]byte, error) { return nil, errors.New("cannot be written") }

// structured is what a List of members is written like.
type structured struct {
	Member []*member `xml:"member" json:"member,omitempty"`
}

func (structured) Element() string { return "members" }

func listOf(members ...*member) List {
	return List{Name: "members", Members: func(yield func(Document) bool) {
		for _, m := range members {
			if !yield(m) {
				return
			}
		}
	}}
}

func TestAListIsWrittenAsAStructureIs(t *testing.T) {
	one, two := &member{Text: "<&>\u2028"}, &member{}
	for _, members := range [][]*member{nil, {one}, {one, two, one}} {
		for _, form := range []Format{FormatXML, FormatJSON} {
			var list, structure bytes.Buffer
			if err := errors.Join(form.Write(&list, listOf(members...)), form.Write(&structure, structured{members})); err != nil {
				t.Fatal(err)
			}
			if list.String() != structure.String() {
				t.Errorf("a list of %d is\n%s\nand the structure is\n%s", len(members), &list, &structure)
			}
		}
	}
}

func TestWhatIsKeptComesBack(t *testing.T) {
	random := make([]byte, maxKept+2*partSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	repeated := bytes.Repeat([]byte("a list repeats itself, "), 2<<20)
	for name, c := range map[string]struct {
		text []byte
		kept bool
	}{
		"nothing": {nil, true}, "little": {[]byte("x"), true}, "a part": {random[:partSize], true}, "a part and more": {random[:partSize+1], true},
		"much that repeats itself": {repeated, true}, "as much as may be": {random[:maxKept-partSize], true}, "too much": {random, false},
	} {
		t.Run(name, func(t *testing.T) {
			made, at := newDraft(), 0
			for size := 1; at < len(c.text); size = size*3%100_000 + 1 {
				n := min(size, len(c.text)-at)
				_, _ = made.Write(c.text[at : at+n])
				at += n
			}
			if made.length != len(c.text) || (made.kept != nil) != c.kept {
				t.Fatalf("the length is %d, kept %v", made.length, made.kept != nil)
			}
			if !c.kept {
				return
			}
			if made.kept.size > maxKept {
				t.Errorf("%d bytes are kept", made.kept.size)
			}
			var back bytes.Buffer
			if err := made.kept.writeTo(&back); err != nil || !bytes.Equal(back.Bytes(), c.text) {
				t.Errorf("%d bytes came back: %v", back.Len(), err)
			}
		})
	}
}

// tellFaults says errors in plain text.
type tellFaults struct{}

func (tellFaults) Status(error) int { return http.StatusInternalServerError }

func (tellFaults) Send(c *Call, status int, err error) {
	c.SendBytes(status, "text/plain", []byte(err.Error()))
}

// TestAReplyBreaksOff shows that nobody takes a part of a list for all of it: what goes wrong
// while the client gets it ends the connection, and what goes wrong before is a fault.
func TestAReplyBreaksOff(t *testing.T) {
	letters := make([]byte, 1<<20) // do not become less by packing
	random := rand.New(rand.NewPCG(1, 2))
	for i := range letters {
		letters[i] = byte('a' + random.IntN(26))
	}
	const members = 17 // are too long to keep
	const asXML, by10, withGzip = "HTTP/1.1\r\nHost: x\r\n", "HTTP/1.0\r\n", "HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n"
	right := func(int) *member { return &member{} }
	fails := func(at int) func(int) *member {
		return func(time int) *member { return &member{Wrong: time == at} }
	}
	panics := func(at int) func(int) *member {
		return func(time int) *member {
			if time == at {
				panic("of a member")
			}
			return &member{}
		}
	}
	differs := func(time int) *member { return &member{Text: fmt.Sprint(time)} }
	for name, c := range map[string]struct {
		// last returns the last member, when the list is made for that many times.
		last   func(time int) *member
		form   string
		status int
		broken bool
	}{
		"no":                          {right, asXML, 200, false},
		"an error before":             {fails(1), asXML, 500, false},
		"a panic before":              {panics(1), withGzip, 500, false},
		"an error":                    {fails(2), asXML, 200, true},
		"an error, HTTP 1.0":          {fails(2), by10, 200, true},
		"an error, JSON with gzip":    {fails(2), withGzip, 200, true},
		"a panic":                     {panics(2), asXML, 200, true},
		"another list":                {differs, asXML, 200, true},
		"another list, JSON and gzip": {differs, withGzip, 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			mux := NewMux([]Route{{Pattern: "GET /list", Handle: func(call *Call) error {
				times := 0
				return call.Send(http.StatusOK, List{Name: "members", Members: func(yield func(Document) bool) {
					times++
					for range members {
						if !yield(&member{Text: string(letters)}) {
							return
						}
					}
					yield(c.last(times))
				}})
			}}})
			endpoint := &Endpoint{
				Open: NewMux(), IsOpen: func(string) bool { return false }, Faults: tellFaults{}, Logger: slog.New(slog.DiscardHandler),
				Mux: func(*Call) (*Mux, error) { return mux, nil },
			}
			compress, err := Compression()
			if err != nil {
				t.Fatal(err)
			}
			reply := ask(t, served(t, compress(endpoint)), "GET /api/list "+c.form+"\r\n")
			defer func() { _ = reply.Body.Close() }()
			if reply.StatusCode != c.status {
				t.Errorf("the status is %d, want %d", reply.StatusCode, c.status)
			}
			if _, err := io.Copy(io.Discard, reply.Body); (err != nil) != c.broken {
				t.Errorf("the reply ended with %v", err)
			}
		})
	}
}

// served starts a server and returns its address.
func served(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(handler, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// ask sends a request and returns the reply as it comes, packed or not.
func ask(t *testing.T, address, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}
