package history

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzBackwards reads lines from the end, and finds those that are there from the
// beginning.
func FuzzBackwards(f *testing.F) {
	f.Add([]byte("one\ntwo\n\nthree"), uint16(3))
	f.Add(bytes.Repeat([]byte("x"), 20), uint16(maxLine/20))
	f.Add(bytes.Repeat([]byte("0123456789\n"), 100), uint16(200))
	f.Fuzz(func(t *testing.T, data []byte, times uint16) {
		if len(data)*int(times) > 8*maxLine {
			return
		}
		data = bytes.Repeat(data, int(times))
		var want, got []string
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			if len(line) > 0 && len(line) < maxLine {
				want = append(want, string(line))
			}
		}
		for line, err := range backwards(bytes.NewReader(data), int64(len(data))) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(line))
		}
		slices.Reverse(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d lines are read, %d are there", len(got), len(want))
		}
	})
}
