package rest

// Document is a representation that can be a whole body.
type Document interface {
	// Element returns the name of the XML root element.
	Element() string
}

// timed is a Document that tells the time, which makes it no other reply: its tag is
// that of the rest.
type timed interface {
	Timeless() Document
}
