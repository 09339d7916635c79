package ovsdb_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isonet/isonet/ovsdb"
)

func TestParseEndpoints(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // nil: refused
	}{
		{"unix:/run/openvswitch/db.sock", []string{"unix:/run/openvswitch/db.sock"}},
		{"tcp:127.0.0.1:6640", []string{"tcp:127.0.0.1:6640"}},
		{"tcp:[::1]:6640", []string{"tcp:[::1]:6640"}},
		{"ssl:a.example:1,ssl:b.example:2,ssl:c.example:3", []string{"ssl:a.example:1", "ssl:b.example:2", "ssl:c.example:3"}},
		{"unix:/a,tcp:b:1", []string{"unix:/a", "tcp:b:1"}},
		{"", nil},
		{"tcp:a:1,", nil},
		{"tcp:a:1, tcp:b:1", nil},
		{"unix:", nil},
		{"unix:db.sock", nil},
		{"/run/openvswitch/db.sock", nil},
		{"tcp:127.0.0.1", nil},
		{"tcp:::1:6640", nil},
		{"ssl:", nil},
		{"ptcp:6640", nil},
		{"http://127.0.0.1:6640", nil},
	} {
		got, err := ovsdb.ParseEndpoints(c.text)
		if (err == nil) != (c.want != nil) {
			t.Errorf("%q: error %v", c.text, err)
		} else if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}
