package clients

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recording is what a client was seen to send, from a file of testdata:
//
//	# A comment.
//	headers NAME            a set of header lines, as they were sent
//	    Name: value
//	== TITLE                requests that belong together, on one connection
//	METHOD PATH NAME        a request with a set of headers
//	| LINE                  a line of its body
//	> LINE                  a line of its body without the line feed
//	=> STATUS VARIABLE...   the answer that it must get
//
// A VARIABLE takes what the answer created: the id of its first element with
// an id, or the access token; COOKIE takes the cookie. In what is sent, {VARIABLE} stands for it.
// {ADDRESS} is the server's, {H} the host, {CL} the cluster, {DC} the data
// center, and {LENGTH} the length of the body.
type recording []section

type section struct {
	title     string
	exchanges []exchange
}

type exchange struct {
	line         int // in the file
	method, path string
	headers      []string
	body         string
	status       int
	variables    []string
}

// readRecording reads a file of testdata.
func readRecording(t *testing.T, name string) recording {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	p := &recordingParser{headers: map[string][]string{}}
	for text := range strings.Lines(string(data)) {
		p.line++
		if err := p.read(strings.TrimSuffix(text, "\n")); err != nil {
			t.Fatalf("testdata/%s:%d: %v", name, p.line, err)
		}
	}
	return p.recording
}

type recordingParser struct {
	recording recording
	headers   map[string][]string
	line      int
	set       string // of headers that is being read
}

func (p *recordingParser) read(text string) error {
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "" || word == "#":
	case word == "headers":
		p.set = rest
		p.headers[rest] = nil
	case strings.HasPrefix(text, "    ") && p.set != "":
		p.headers[p.set] = append(p.headers[p.set], strings.TrimSpace(text))
	case word == "==":
		p.recording = append(p.recording, section{title: rest})
	case len(p.recording) == 0:
		return fmt.Errorf("no section has begun before %q", text)
	case word == "|" || word == ">" || word == "=>":
		return p.complete(word, rest)
	default:
		return p.request(word, rest)
	}
	return nil
}

// request begins an exchange.
func (p *recordingParser) request(method, rest string) error {
	path, set, _ := strings.Cut(rest, " ")
	headers, ok := p.headers[set]
	if !ok || !slices.Contains([]string{"DELETE", "GET", "HEAD", "POST", "PUT"}, method) {
		return fmt.Errorf("neither a request with known headers nor anything else: %q", method+" "+rest)
	}
	s := &p.recording[len(p.recording)-1]
	s.exchanges = append(s.exchanges, exchange{line: p.line, method: method, path: path, headers: headers})
	return nil
}

// complete adds a line of the body, or the answer, to the exchange.
func (p *recordingParser) complete(word, rest string) error {
	s := &p.recording[len(p.recording)-1]
	if len(s.exchanges) == 0 {
		return fmt.Errorf("there is no request before %q", word)
	}
	e := &s.exchanges[len(s.exchanges)-1]
	switch word {
	case "|":
		e.body += rest + "\n"
	case ">":
		e.body += rest
	case "=>":
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return fmt.Errorf("the answer has no status")
		}
		var err error
		e.status, err = strconv.Atoi(fields[0])
		e.variables = fields[1:]
		return err
	}
	return nil
}

var variable = regexp.MustCompile(`\{[A-Z][A-Z0-9]*\}`)

// bytes returns the request as it goes over the wire.
func (e exchange) bytes(variables map[string]string) (string, error) {
	var err error
	fill := func(text string) string {
		return variable.ReplaceAllStringFunc(text, func(name string) string {
			value, ok := variables[strings.Trim(name, "{}")]
			if !ok {
				err = fmt.Errorf("%s has no value yet", name)
			}
			return value
		})
	}
	body := fill(e.body)
	variables["LENGTH"] = strconv.Itoa(len(body))
	request := e.method + " " + fill(e.path) + " HTTP/1.1\r\n"
	for _, header := range e.headers {
		request += fill(header) + "\r\n"
	}
	return request + "\r\n" + body, err
}
