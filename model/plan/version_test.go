package plan_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/isonet/isonet/model/plan"
)

func TestVersionNotices(t *testing.T) {
	for _, test := range []struct {
		running, recorded string
		// says is in the text of the notices, in their order.
		says []string
	}{
		{"", "", nil},
		{"3.1.0", "", nil},
		{"2.17.0", "2.17.0", nil},
		{"4.0.0", "4.0.0", nil},
		{"4.1.90", "4.1.90", nil},
		{"", "3.5.0", nil},
		{"2.16.9", "", []string{"is 2.16.9, and isonet is for 2.17 or later"}},
		{"1.11", "", []string{"is 1.11, and isonet is for 2.17 or later"}},
		{"", "2.5.5", []string{"is 2.5.5, and isonet is for 2.17 or later"}},
		{"5.0.0", "", []string{"is 5.0.0, and isonet was tried with none later than 4.0"}},
		{"3.1.0", "3.5.0", []string{"that runs is 3.1.0, and the database says that Open vSwitch is 3.5.0"}},
		{"2.13.3", "3.5.0", []string{"is 2.13.3, and isonet", "that runs is 2.13.3"}},
		{"of tomorrow", "", []string{"'of tomorrow', which cannot be compared"}},
		{"3", "", []string{"'3', which cannot be compared"}},
	} {
		got := plan.VersionNotices(test.running, test.recorded)
		if len(got) != len(test.says) {
			t.Errorf("%q, %q: %+v, want %d", test.running, test.recorded, got, len(test.says))
			continue
		}
		for i, notice := range got {
			if !strings.Contains(notice.Text, test.says[i]) || notice.Remedy == "" {
				t.Errorf("%q, %q: %+v, want %q", test.running, test.recorded, notice, test.says[i])
			}
		}
	}
}

// The documents say which releases these are.
func TestDocumentsNameTheReleases(t *testing.T) {
	for document, says := range map[string]string{
		"README.md":         "Open vSwitch %s or later. isonet was tested with versions up to %s.",
		"docs/isolation.md": "Open vSwitch %s to %s.",
	} {
		text, err := os.ReadFile("../../" + document)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(says, plan.Oldest, plan.Newest); !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", document, want)
		}
	}
}
