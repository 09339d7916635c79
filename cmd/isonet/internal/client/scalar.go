package client

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The JSON form of the oVirt API writes integers and booleans as strings. Both
// forms are read.

type integer int64

func (i *integer) UnmarshalJSON(data []byte) error {
	text := unquote(data)
	if text == "" || text == "null" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not an integer", data)
	}
	*i = integer(n)
	return nil
}

type boolean bool

func (b *boolean) UnmarshalJSON(data []byte) error {
	switch unquote(data) {
	case "true":
		*b = true
	case "false", "", "null":
		*b = false
	default:
		return fmt.Errorf("%s is not a boolean", data)
	}
	return nil
}

// unquote returns the text of a JSON string, or of any other value as it is.
func unquote(data []byte) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(data)
}
