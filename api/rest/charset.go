package rest

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// charset is a character set that a body may be in (RFC 9110 section 8.3.2).
type charset string

const (
	charsetUTF8   charset = "UTF-8"
	charsetASCII  charset = "US-ASCII"
	charsetLatin1 charset = "ISO-8859-1"
)

const supportedCharsets = "use UTF-8, US-ASCII or ISO-8859-1"

// charsetOf finds a character set by its names in IANA's registry, as clients spell
// them.
func charsetOf(name string) (c charset, known bool) {
	switch strings.ToLower(name) {
	case "utf-8", "utf8", "csutf8":
		return charsetUTF8, true
	case "us-ascii", "ascii", "iso646-us", "ansi_x3.4-1968", "csascii":
		return charsetASCII, true
	case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "csisolatin1":
		return charsetLatin1, true
	}
	return "", false
}

// declaration is that of an XML document (XML 1.0 section 2.8), with the name of its
// encoding.
var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n][^>]{0,200}?encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z0-9._-]{1,64})["']`)

// declaredCharset is what an XML document says of itself; UTF-8 where it does not. What
// is not known is left to the decoder to refuse.
func declaredCharset(data []byte) charset {
	if found := declaration.FindSubmatch(data); found != nil {
		if c, known := charsetOf(string(found[1])); known {
			return c
		}
	}
	return charsetUTF8
}

// toUTF8 returns a body in UTF-8, without the mark of that encoding.
func (c charset) toUTF8(data []byte) ([]byte, error) {
	switch {
	case c == charsetLatin1:
		return charmap.ISO8859_1.NewDecoder().Bytes(data)
	case c == charsetASCII && slices.ContainsFunc(data, func(b byte) bool { return b >= utf8.RuneSelf }):
		return nil, Refuse(ErrSyntax, "The body is not in the character set US-ASCII that it is said to be in: send it in UTF-8.")
	case !utf8.Valid(data):
		return nil, Refuse(ErrSyntax, "The body is not valid UTF-8: send it in that encoding.")
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}
