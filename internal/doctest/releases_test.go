package doctest

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestReleasesAreWrittenDown runs scripts/releases where make and Docker only say
// something: each release that was run has a row, in the order of test/releases,
// with the commit that was tested.
func TestReleasesAreWrittenDown(t *testing.T) {
	p := newPlace(t, map[string]string{
		"scripts/releases":          script(t, "releases"),
		"scripts/openvswitch/build": "#!/bin/sh\n[ \"$1\" != broken ] && echo image\n",
		"test/releases":             "one image\nbroken image\ntwo image\nthree image\n",
		"docs/releases.md":          "Before\n\n| release |\n|---|\n| three | old |\n\nAfter\n",
		"bin/docker":                "#!/bin/sh\necho 'Candidate: 1.2'\n",
		"bin/make": `#!/bin/sh
case "$*" in
*e2e-two) printf -- '--- PASS: TestA (0s)\n--- FAIL: TestB (0s)\n    --- FAIL: TestB/b (0s)\n'; exit 2 ;;
*kernel*two) printf -- '--- PASS: TestA (0s)\npanic: test timed out\n'; exit 2 ;;
*) printf -- '--- PASS: TestA (0s)\n    --- SKIP: TestA/b (0s)\n' ;;
esac
`,
	})
	p.must("git", "init", "-q")
	p.must("git", "add", ".")
	p.must("git", "commit", "-q", "-m", "all")
	if out, code := p.run("scripts/releases", "one", "broken", "two"); code != 1 || !strings.Contains(out, "broken was not tested") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	document := read(t, filepath.Join(p.dir, "docs", "releases.md"))
	rest := document
	for _, part := range []string{
		"Before", "| one |", "| passed: 1 tests, 1 skipped | passed: 1 tests, 1 skipped |",
		"| two |", "| **failed**: 2 of 3 tests, of `TestB` | **failed**: it did not come to its end; 1 tests passed |",
		"| three | old |", "After",
	} {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%q is not where it belongs in\n%s", part, document)
		}
		rest = after
	}
	if strings.Contains(document, "dirty") || strings.Contains(document, "broken") {
		t.Errorf("the document is\n%s", document)
	}
}
