package grid

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// condition reads COLUMN, an operator, and a value.
func condition[T any](columns []Column[T], text string) (func(T) bool, error) {
	parts := regexp.MustCompile(`(?s)^([^=!~<>]+)(!=|!~|<=|>=|=|~|<|>)(.*)$`).FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("'%s' is no condition: write COLUMN=VALUE, or with !=, <, <=, >, >=, ~ or !~ (regular expression)", text)
	}
	operator, value := parts[2], strings.TrimSpace(parts[3])
	c, err := find(columns, strings.TrimSpace(parts[1]))
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(operator, "~") {
		expression, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("'%s': %w", text, err)
		}
		return func(row T) bool { return expression.MatchString(c.Text(row)) == (operator == "~") }, nil
	}
	number, isNumber := quantity(value)
	switch {
	case c.Number != nil && isNumber:
		return func(row T) bool {
			n, known := c.Number(row)
			return known && compare(operator, n, number) || !known && operator == "!="
		}, nil
	case operator == "=":
		return func(row T) bool { return c.Text(row) == value }, nil
	case operator == "!=":
		return func(row T) bool { return c.Text(row) != value }, nil
	case c.Number == nil:
		return nil, fmt.Errorf("'%s': the column '%s' has no numbers to compare: use =, !=, ~ or !~", text, c.Name)
	}
	return nil, fmt.Errorf("'%s': '%s' is no number such as 1500, '1.5 GiB', 10s or 2026-11-23T09:00:00Z", text, value)
}

func compare(operator string, a, b float64) bool {
	switch operator {
	case "=":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

// quantity reads a number, a size in bytes, a duration in seconds, or a moment in
// seconds since 1970.
func quantity(text string) (float64, bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, true
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d.Seconds(), true
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return float64(t.Unix()), true
	}
	n, err := humanize.ParseBytes(strings.TrimSuffix(text, "/s"))
	return float64(n), err == nil
}
