package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// toYAML writes a value in YAML, with the names and the order of its JSON form.
func toYAML(v any) ([]byte, error) {
	data, err := encode(v, "")
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	lines, _, err := yamlLines(decoder)
	return []byte(strings.Join(lines, "\n") + "\n"), err
}

// yamlLines returns the lines of the next value, and whether they are a block,
// which has to begin in a line of its own behind a key.
func yamlLines(decoder *json.Decoder) (lines []string, block bool, err error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, false, err
	}
	switch t := token.(type) {
	case json.Delim:
		lines, err = yamlBlock(decoder, t == '{')
		if len(lines) == 0 {
			return []string{map[bool]string{true: "{}", false: "[]"}[t == '{']}, false, err
		}
		return lines, true, err
	case string:
		return []string{yamlText(t)}, false, nil
	case nil:
		return []string{"null"}, false, nil
	default: // a number or a boolean
		return []string{fmt.Sprint(t)}, false, nil
	}
}

// yamlBlock returns the lines of the members of a map or a list.
func yamlBlock(decoder *json.Decoder, isMap bool) (lines []string, err error) {
	for decoder.More() {
		first, indent := "- ", "  "
		var key json.Token
		if isMap {
			if key, err = decoder.Token(); err != nil {
				return nil, err
			}
			first = yamlText(fmt.Sprint(key)) + ":"
		}
		value, block, err := yamlLines(decoder)
		if err != nil {
			return nil, err
		}
		switch {
		case isMap && block:
			lines = append(lines, first)
			first = indent
		case isMap:
			first += " "
		}
		for _, line := range value {
			lines, first = append(lines, first+line), indent
		}
	}
	_, err = decoder.Token() // the closing bracket
	return lines, err
}

var (
	// plainText needs no quotes, unless it is one of reservedText, which some
	// readers take for a boolean or nothing.
	plainText    = regexp.MustCompile(`^([A-Za-z/_][A-Za-z0-9/_.,()<>'" -]*[A-Za-z0-9/_.,()"]|[A-Za-z]|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	reservedText = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|y|n|null)$`)
)

// yamlText writes a text so that every reader of YAML gets it back: plain where
// nobody can take it for something else, else in double quotes, whose escapes in
// YAML (1.2, 5.7) include those of Go.
func yamlText(text string) string {
	if plainText.MatchString(text) && !reservedText.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}
