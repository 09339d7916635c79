package api

import (
	"strconv"
	"strings"
)

// warningHeader is in the reply of a write that was done, or would be, and that
// VMs will notice: a sentence in ASCII for each thing.
const warningHeader = "Isonet-Warning"

// warn tells the client what a change means for VMs.
func (c *call) warn(texts []string) {
	for _, text := range texts {
		c.w.Header().Add(warningHeader, ascii(text))
	}
}

// ascii writes text so that it fits into a header.
func ascii(text string) string {
	quoted := strconv.QuoteToASCII(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
