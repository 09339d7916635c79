package rest

// Document is a representation that can be a whole body.
type Document interface {
	// Element returns the name of the XML root element.
	Element() string
}
