package clients

import (
	"errors"
	"slices"
	"strings"
	"testing"

	ovirtsdk "github.com/ovirt/go-ovirt"
)

// sdk is a host with a connection of oVirt's Go SDK to it.
type sdk struct {
	*host
	conn *ovirtsdk.Connection
}

func newSDK(t *testing.T, options ...string) *sdk {
	t.Helper()
	h := newHost(t, options...)
	return &sdk{h, h.connect(api, admin)}
}

// connect logs in at the first request, as the SDK does, and logs out at the
// end of the test.
func (h *host) connect(url, user string) *ovirtsdk.Connection {
	h.Helper()
	conn, err := ovirtsdk.NewConnectionBuilder().URL(url).Username(user).Password(password).Build()
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		if err := conn.Close(); err != nil {
			h.Errorf("close the connection: %v", err)
		}
	})
	return conn
}

// sent sends a request that must succeed.
func sent[T any](h *host, send func() (T, error)) T {
	h.Helper()
	reply, err := send()
	if err != nil {
		h.Fatal(err)
	}
	return reply
}

// refused sends a request that must be refused, in words that contain each of
// the texts.
func refused[T any](h *host, send func() (T, error), texts ...string) {
	h.Helper()
	_, err := send()
	if err == nil {
		h.Fatalf("the request succeeded instead of being refused with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			h.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

// fails sends a request that must fail with an error of the SDK's type E.
func fails[E error, T any](h *host, send func() (T, error)) {
	h.Helper()
	var want E
	if _, err := send(); !errors.As(err, &want) {
		h.Errorf("the error is %T instead of %T: %v", err, want, err)
	}
}

// has returns what a getter of the SDK must find.
func has[T any](h *host, get func() (T, bool)) T {
	h.Helper()
	value, ok := get()
	if !ok {
		h.Fatalf("the answer lacks the %T", value)
	}
	return value
}

// same reports what differs.
func same[T comparable](h *host, what string, got, want T) {
	h.Helper()
	if got != want {
		h.Errorf("%s is %v, want %v", what, got, want)
	}
}

func (s *sdk) service() *ovirtsdk.HostService {
	return s.conn.SystemService().HostsService().HostService(s.id)
}

func (s *sdk) networks() *ovirtsdk.NetworksService { return s.conn.SystemService().NetworksService() }

func (s *sdk) attachments() *ovirtsdk.NetworkAttachmentsService {
	return s.service().NetworkAttachmentsService()
}

// hostLabels is for a resource that oVirt's model does not have: the SDK gets
// there by the path.
func (s *sdk) hostLabels() *ovirtsdk.NetworkLabelsService {
	return ovirtsdk.NewNetworkLabelsService(s.conn, "/hosts/"+s.id+"/networklabels")
}

// statistics is for a resource that oVirt's model does not have either.
func (s *sdk) statistics(attachment string) *ovirtsdk.StatisticsService {
	return ovirtsdk.NewStatisticsService(s.conn, "/hosts/"+s.id+"/networkattachments/"+attachment+"/statistics")
}

func vmNetwork(name string) *ovirtsdk.NetworkBuilder {
	return ovirtsdk.NewNetworkBuilder().Name(name).
		DataCenterBuilder(ovirtsdk.NewDataCenterBuilder().Name("Default")).
		UsagesOfAny(ovirtsdk.NETWORKUSAGE_VM)
}

// to returns an attachment to the network of a name.
func to(network string) *ovirtsdk.NetworkAttachmentBuilder {
	return ovirtsdk.NewNetworkAttachmentBuilder().NetworkBuilder(ovirtsdk.NewNetworkBuilder().Name(network))
}

func attachmentID(id string) *ovirtsdk.NetworkAttachment {
	return ovirtsdk.NewNetworkAttachmentBuilder().Id(id).MustBuild()
}

func label(id string) *ovirtsdk.NetworkLabel {
	return ovirtsdk.NewNetworkLabelBuilder().Id(id).MustBuild()
}

// addNetwork makes a network and returns its id.
func (s *sdk) addNetwork(network *ovirtsdk.NetworkBuilder) string {
	s.Helper()
	added := has(s.host, sent(s.host, s.networks().Add().Network(network.MustBuild()).Send).Network)
	return has(s.host, added.Id)
}

// attach attaches a network and returns the attachment's id.
func (s *sdk) attach(network string) string {
	s.Helper()
	added := has(s.host, sent(s.host, s.attachments().Add().Attachment(to(network).MustBuild()).Send).Attachment)
	return has(s.host, added.Id)
}

// attached returns the ids of the networks that are attached, sorted.
func (s *sdk) attached() string {
	s.Helper()
	var ids []string
	for _, a := range has(s.host, sent(s.host, s.attachments().List().Send).Attachments).Slice() {
		ids = append(ids, has(s.host, has(s.host, a.Network).Id))
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func sorted(ids ...string) string {
	slices.Sort(ids)
	return strings.Join(ids, " ")
}
