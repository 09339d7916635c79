package daemon

import (
	"fmt"
	"strings"

	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/report"
)

// deedCodes are the codes that the history has for what the loop does by itself. They
// are documented in docs/ovirt-api.md, and never change.
func deedCodes() map[report.Deed]int {
	return map[report.Deed]int{
		report.Removed: 20010, report.Quarantined: 20011, report.Released: 20012, report.Restored: 20013, report.Replugged: 20014,
		report.Reported: 20015, report.Contested: 20016, report.Settled: 20017, report.Identified: 20018, report.Repaired: 20019,
	}
}

// keep takes down what the loop did or found by itself. What repeats itself, such as a
// port that comes and goes, is counted.
func (h *host) keep(e report.Event) {
	var text []string
	for _, part := range []string{string(e.Reason), e.Port, e.Column, e.Detail} {
		if part != "" {
			text = append(text, part)
		}
	}
	entry := history.Entry{
		Time: e.Time, Kind: history.KindDeed, Code: deedCodes()[e.Deed], Severity: history.Warning,
		Network: e.Network, NetworkID: string(e.NetworkID), Port: e.Port,
		Text: strings.TrimSuffix(fmt.Sprintf("%s on network %q: %s", e.Deed, e.Network, strings.Join(text, ", ")), ": "),
	}
	if e.Network == "" {
		entry.Text = fmt.Sprintf("%s: %s", e.Deed, strings.Join(text, ", "))
	}
	if e.Deed == report.Settled || e.Deed == report.Released || e.Deed == report.Replugged {
		entry.Severity = history.Normal
	}
	key := []string{"deed", string(e.Deed), string(e.NetworkID), string(e.Reason), e.Port, e.Column}
	if e.Deed == report.Repaired {
		key = append(key, e.Detail)
	}
	h.history.RecordAlike(strings.Join(key, " "), entry)
}
