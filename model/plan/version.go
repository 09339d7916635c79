package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The releases of Open vSwitch that isonet is for: what differs between them is
// met by looking at what the database and ovs-vswitchd say, and never at these.
const (
	// Oldest is the first whose database has every column that isonet uses.
	Oldest = "2.17"
	// Newest is the last that isonet was tried with.
	Newest = "4.0"
)

// Notice is something about a host that breaks nothing and is worth knowing.
type Notice struct {
	// Text says what there is, and Remedy what to do, both in words for an operator.
	Text, Remedy string
}

// ColumnNotices tells of columns of the database that isonet does not know, see
// Actual.
func ColumnNotices(strange []string) []Notice {
	if len(strange) == 0 {
		return nil
	}
	return []Notice{{
		fmt.Sprintf("Open vSwitch's database has columns of which isonet does not know what they do, and which it leaves alone: %s", strings.Join(strange, ", ")),
		"look for a later isonet, and keep others from setting them on networks' bridges",
	}}
}

// RowNotices tells of rows of the store that somebody wrote without isonet, by row, and
// why they cannot count.
func RowNotices(invalid map[string]string) []Notice {
	if len(invalid) == 0 {
		return nil
	}
	rows := slices.Sorted(maps.Keys(invalid))
	text := fmt.Sprintf("somebody wrote %d rows of the store without isonet, which are invalid: what they were before counts. The first is %s: %s", len(rows), rows[0], invalid[rows[0]])
	return []Notice{{text, "change what they describe by isonet, which writes them correctly, or correct or delete them with ovsdb-client; the log of isonetd names all"}}
}

// VersionNotices tells what there is to say about the version of an Open vSwitch:
// running is what ovs-vswitchd calls itself, recorded what the database says
// (Open_vSwitch ovs_version), which ovs-ctl(8) writes and nobody else. "" is
// unknown.
func VersionNotices(running, recorded string) []Notice {
	version := cmp.Or(running, recorded)
	if version == "" {
		return nil
	}
	var notices []Notice
	have, readable := release(version)
	oldest, _ := release(Oldest)
	newest, _ := release(Newest)
	switch {
	case !readable:
		notices = append(notices, Notice{
			fmt.Sprintf("Open vSwitch calls its version '%s', which cannot be compared with those that isonet is for", version),
			fmt.Sprintf("isonet is for %s to %s: try its networks with \"isonet prove\"", Oldest, Newest),
		})
	case have.before(oldest):
		notices = append(notices, Notice{
			fmt.Sprintf("Open vSwitch is %s, and isonet is for %s or later", version, Oldest),
			"update Open vSwitch",
		})
	case have.major > newest.major:
		notices = append(notices, Notice{
			fmt.Sprintf("Open vSwitch is %s, and isonet was tried with none later than %s", version, Newest),
			"look for a later isonet, and try the networks with \"isonet prove\"",
		})
	}
	if running != "" && recorded != "" && running != recorded {
		notices = append(notices, Notice{
			fmt.Sprintf("the ovs-vswitchd that runs is %s, and the database says that Open vSwitch is %s", running, recorded),
			"restart ovs-vswitchd if Open vSwitch was updated since it started",
		})
	}
	return notices
}

// number is a release: the first two parts of a version.
type number struct{ major, minor int }

func (n number) before(other number) bool {
	return n.major < other.major || n.major == other.major && n.minor < other.minor
}

func release(version string) (number, bool) {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(first)
	if err != nil {
		return number{}, false
	}
	minor, err := strconv.Atoi(second)
	return number{major, minor}, err == nil
}
