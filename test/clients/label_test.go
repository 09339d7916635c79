package clients

import (
	"testing"

	ovirtsdk "github.com/ovirt/go-ovirt"
)

func TestHostLabels(t *testing.T) {
	s := newSDK(t)
	added := sent(s.host, s.hostLabels().Add().Label(label("lab1")).Send)
	same(s.host, "the added label", has(s.host, has(s.host, added.Label).Id), "lab1")
	got := sent(s.host, s.hostLabels().LabelService("lab1").Get().Send)
	same(s.host, "the label", has(s.host, has(s.host, got.Label).Id), "lab1")
	same(s.host, "the number of labels", len(has(s.host, sent(s.host, s.hostLabels().List().Send).Labels).Slice()), 1)
	refused(s.host, s.hostLabels().Add().Label(label("lab1")).Send, `"409"`, "lab1")
	refused(s.host, s.hostLabels().Add().Label(label("a b")).Send, `"400"`, "English letters, numbers, hyphen or underscore")
	sent(s.host, s.hostLabels().LabelService("lab1").Remove().Send)
	fails[*ovirtsdk.NotFoundError](s.host, s.hostLabels().LabelService("lab1").Remove().Send)
	fails[*ovirtsdk.NotFoundError](s.host, s.hostLabels().LabelService("lab1").Get().Send)
}

// A network is on a host while both have the same label, in whatever order they
// got it.
func TestT9LabelAttaches(t *testing.T) {
	s := newSDK(t)
	red := s.addNetwork(vmNetwork("red"))
	labelsOfRed := s.networks().NetworkService(red).NetworkLabelsService()
	sent(s.host, labelsOfRed.Add().Label(label("lab1")).Send)
	same(s.host, "what is attached before the host has the label", s.attached(), "")

	sent(s.host, s.hostLabels().Add().Label(label("lab1")).Send)
	same(s.host, "what the host's label attached", s.attached(), red)
	blue := s.addNetwork(vmNetwork("blue"))
	sent(s.host, s.networks().NetworkService(blue).NetworkLabelsService().Add().Label(label("lab1")).Send)
	same(s.host, "what the network's label attached", s.attached(), sorted(red, blue))
	same(s.host, "the bridges", s.bridges(), "blue red")

	for _, a := range has(s.host, sent(s.host, s.attachments().List().Send).Attachments).Slice() {
		refused(s.host, s.attachments().AttachmentService(has(s.host, a.Id)).Remove().Send, `"409"`, "managed by the label")
	}
	sent(s.host, labelsOfRed.LabelService("lab1").Remove().Send)
	same(s.host, "what is attached without the network's label", s.attached(), blue)
	sent(s.host, s.hostLabels().LabelService("lab1").Remove().Send)
	same(s.host, "what is attached without the host's label", s.attached(), "")
	same(s.host, "the bridges at the end", s.bridges(), "")
}
