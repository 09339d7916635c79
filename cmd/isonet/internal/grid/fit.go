package grid

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// fit returns how wide the columns are, in cells; 0 means that there is no room for
// one. Columns that may be cut are cut before one goes, and what has to be there is
// cut to what room there is.
func (v *View[T]) fit(cells [][]string, room int) []int {
	widths, least := make([]int, len(v.columns)), make([]int, len(v.columns))
	for i, c := range v.columns {
		for _, line := range cells {
			widths[i] = max(widths[i], ansi.StringWidth(line[i]))
		}
		least[i] = widths[i]
		if c.Least > 0 {
			least[i] = min(widths[i], max(c.Least, ansi.StringWidth(cells[0][i])))
		}
	}
	if room <= 0 || sum(widths) <= room {
		return widths
	}
	shown := make([]int, len(widths))
	for rank, columns := range v.byRank() {
		more := slices.Clone(shown)
		for _, i := range columns {
			more[i] = least[i]
		}
		if rank == 0 || sum(more) <= room {
			shown = more
		}
	}
	squeeze(shown, room)
	for _, columns := range v.byRank() { // what is left over goes to the most important ones
		for _, i := range columns {
			if spare := room - sum(shown); shown[i] > 0 && spare > 0 {
				shown[i] += min(spare, widths[i]-shown[i])
			}
		}
	}
	return shown
}

// byRank yields the ranks, the most important one first, and the columns of each.
func (v *View[T]) byRank() iter.Seq2[int, []int] {
	ranks := map[int][]int{}
	for i, c := range v.columns {
		rank := c.Rank
		if v.chosen {
			rank = 0
		}
		ranks[rank] = append(ranks[rank], i)
	}
	return func(yield func(int, []int) bool) {
		for _, rank := range slices.Sorted(maps.Keys(ranks)) {
			if !yield(rank, ranks[rank]) {
				return
			}
		}
	}
}

// squeeze cuts the widest column by a cell as long as the columns are too wide, and
// leaves the last ones out if nothing is left to cut.
func squeeze(widths []int, room int) {
	for sum(widths) > room && room > 0 {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] > 1 {
			widths[widest]--
			continue
		}
		for i, w := range slices.Backward(widths) {
			if w > 0 {
				widths[i] = 0
				break
			}
		}
	}
}

// sum is how wide a line is.
func sum(widths []int) int {
	total, columns := 0, 0
	for _, w := range widths {
		if w > 0 {
			total, columns = total+w, columns+1
		}
	}
	return total + gap*max(columns-1, 0)
}

// Clean replaces what would break a line, reach the terminal as a command or show
// other text than there is: control characters by a blank, and characters that turn
// the direction of writing (Unicode Bidi_Control, UAX 9) by a replacement character.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
