package openflow

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUpdates decodes an event, in both forms that Open vSwitch has had.
func TestUpdates(t *testing.T) {
	want := Flow{Table: 20, Priority: 3, Cookie: 9, Idle: 1, Hard: 2, Match: NewMatch(InPort(1)), Instructions: Actions(Output(7))}
	var got []Flow
	body := append(updateOf(Modified, want), 0, 8, 0, 4, 0, 0, 0, 1) // and one of its own, in short
	if err := DecodeUpdates(body, func(e Event, f Flow) {
		if e == Modified {
			got = append(got, f)
		}
	}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]Flow{want}, got); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	// nx_flow_update_full in a statistics message of OpenFlow 1.0.
	old := []byte{
		0xff, 0xff, 0, 0, 0, 0, 0x23, 0x20, 0, 0, 0, 2, 0, 0, 0, 0,
		0, 24, 0, 2, 0, 0, 0, 3, 0, 1, 0, 2, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 9,
	}
	oldBody, is := OldUpdates(Message{Version: 1, Type: 17, Body: old})
	if !is {
		t.Fatal("it is not known")
	}
	want.Match, want.Instructions = "", ""
	got = nil
	if err := DecodeOldUpdates(oldBody, func(e Event, f Flow) {
		if e == Modified {
			got = append(got, f)
		}
	}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]Flow{want}, got); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

// TestEqualMatches writes the same in several ways.
func TestEqualMatches(t *testing.T) {
	all := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	mac := []byte{2, 0, 0, 0, 0, 1}
	for _, pair := range [][2]Match{
		{NewMatch(EthSrc(mac, all)), NewMatch(EthSrc(mac, nil))},
		{NewMatch(EthSrc(mac, nil), InPort(3)), NewMatch(InPort(3), EthSrc(mac, nil))},
		{NewMatch(VLAN(0x1fff, 0x1fff)), "\x80\x00\x0c\x02\x1f\xff"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%x and %x differ", pair[0], pair[1])
		}
	}
	if NewMatch(VLAN(5, 0xfff)) == NewMatch(VLAN(5, 0x1fff)) {
		t.Error("two of other meaning are equal")
	}
}
