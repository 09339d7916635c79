package clients

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestT2Recordings replays byte for byte what oVirt's clients were recorded to
// send.
func TestT2Recordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("recordings: %v, %v", files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".txt"), func(t *testing.T) {
			r := &replay{host: newHost(t)}
			r.variables = map[string]string{
				"ADDRESS": address, "H": r.id, "CL": r.only("/clusters", "cluster"), "DC": r.only("/datacenters", "data_center"),
			}
			for _, s := range readRecording(t, name) {
				t.Run(s.title, func(t *testing.T) {
					r.section(t, s)
					r.hangUp()
				})
			}
			same(r.host, "the bridges at the end", r.bridges(), "")
		})
	}
}

type replay struct {
	*host
	variables map[string]string
	conn      net.Conn // nil when the next request needs a new one
	reader    *bufio.Reader
}

// only returns the id of a collection's only element.
func (h *host) only(path, element string) string {
	h.Helper()
	list, _ := h.Must("GET", path, "")[element].([]any)
	if len(list) != 1 {
		h.Fatalf("%s: %v", path, list)
	}
	return list[0].(map[string]any)["id"].(string)
}

func (r *replay) section(t *testing.T, s section) {
	t.Helper()
	for _, e := range s.exchanges {
		request, err := e.bytes(r.variables)
		if err != nil {
			t.Fatalf("line %d: %v", e.line, err)
		}
		response, body := r.exchange(t, e, request)
		if response.StatusCode != e.status {
			t.Errorf("line %d: %s %s: status %d, want %d:\n%s", e.line, e.method, e.path, response.StatusCode, e.status, body)
			continue
		}
		if err := r.check(e, response, body); err != nil {
			t.Errorf("line %d: %s %s: %v:\n%s", e.line, e.method, e.path, err, body)
		}
	}
}

// exchange sends a request and reads its answer. It keeps the connection for as
// long as both sides want it.
func (r *replay) exchange(t *testing.T, e exchange, request string) (*http.Response, []byte) {
	t.Helper()
	if r.conn == nil {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		r.conn, r.reader = conn, bufio.NewReader(conn)
	}
	// It bounds how long a server that waits for an unsent body is waited for.
	if err := r.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(r.conn, request); err != nil {
		t.Fatalf("line %d: send: %v", e.line, err)
	}
	response, err := http.ReadResponse(r.reader, &http.Request{Method: e.method})
	if err != nil {
		t.Fatalf("line %d: %s %s: no answer: %v", e.line, e.method, e.path, err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(response.Body)
	if response.Header.Get("Content-Encoding") == "gzip" && err == nil {
		body, err = unpack(body)
	}
	if err != nil {
		t.Fatalf("line %d: read the answer: %v", e.line, err)
	}
	if response.Close || headerOf(e, "Connection") == "close" {
		r.hangUp()
	}
	return response, body
}

func unpack(body []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

func (r *replay) hangUp() {
	if r.conn == nil {
		return
	}
	if err := r.conn.Close(); err != nil {
		r.Errorf("close the connection: %v", err)
	}
	r.conn = nil
}

// check checks what every client asks of an answer, and takes the variables
// from it.
func (r *replay) check(e exchange, response *http.Response, body []byte) error {
	kind := response.Header.Get("Content-Type")
	var id, href, root string
	var err error
	switch {
	case headerOf(e, "Accept") == "application/json":
		if kind != "application/json" && !strings.HasPrefix(kind, "application/json;") {
			return fmt.Errorf("the Content-Type is %q", kind)
		}
		id, href, err = readJSON(body)
	case kind != "application/xml;charset=UTF-8":
		return fmt.Errorf("the Content-Type is %q", kind)
	case e.method == http.MethodHead: // has nothing to read
	case !strings.HasPrefix(string(body), `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`+"\n<"):
		return errors.New("the XML declaration is not what clients read")
	default:
		id, href, root, err = readXML(body)
	}
	if err != nil {
		return err
	}
	if sent := headerOf(e, "Correlation-Id"); sent != "" && response.Header.Get("Correlation-Id") != sent {
		return fmt.Errorf("the Correlation-Id is %q instead of %q", response.Header.Get("Correlation-Id"), sent)
	}
	switch {
	case e.status >= 400 && root != "" && root != "fault" && root != "action":
		return fmt.Errorf("the refusal is a <%s>", root)
	case e.status == http.StatusCreated && (href == "" || !strings.HasSuffix(response.Header.Get("Location"), href)):
		return fmt.Errorf("the Location is %q, the href %q", response.Header.Get("Location"), href)
	case e.method == http.MethodDelete && e.status == http.StatusOK && !strings.Contains(string(body), "complete"):
		return errors.New("the removal is not said to be complete")
	case e.status == http.StatusUnauthorized && !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Basic "):
		return errors.New("no authentication is offered")
	}
	for _, name := range e.variables {
		if name == "COOKIE" {
			id = cookieOf(response)
		}
		if id == "" {
			return fmt.Errorf("there is nothing to take %s from", name)
		}
		r.variables[name] = id
	}
	return nil
}

// cookieOf returns the id of the session that an answer begins, in the form in which
// check_rhv takes it from the header: up to the first blank.
func cookieOf(response *http.Response) string {
	cookie, _, blank := strings.Cut(response.Header.Get("Set-Cookie"), "; ")
	id, named := strings.CutPrefix(cookie, "JSESSIONID=")
	if !blank || !named {
		return ""
	}
	return id
}

// headerOf returns a header as it was sent; "" if it was not.
func headerOf(e exchange, name string) string {
	for _, header := range e.headers {
		if value, ok := strings.CutPrefix(header, name+": "); ok {
			return value
		}
	}
	return ""
}

// readXML reads a whole document. It returns the name of its root, and the
// first id with its href.
func readXML(body []byte) (id, href, root string, err error) {
	for decoder := xml.NewDecoder(strings.NewReader(string(body))); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return id, href, root, nil
		}
		if err != nil {
			return "", "", "", err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if root == "" {
			root = start.Name.Local
		}
		if id == "" {
			id, href = attribute(start, "id"), attribute(start, "href")
		}
	}
}

func attribute(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// readJSON returns the id and href of an object, or an access token as its id.
func readJSON(body []byte) (id, href string, err error) {
	var object struct {
		ID, Href string
		Token    string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return "", "", err
	}
	return object.ID + object.Token, object.Href, nil
}
