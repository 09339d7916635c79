package ovirt

import (
	"math"
	"strconv"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/history"
	"github.com/isonet/isonet/model"
)

// maxEvents bounds the events of one reply.
const maxEvents = 10000

// eventResource is the history in the engine's form.
type eventResource struct{ site }

// event renders an entry of the history.
func (v *view) event(e history.Entry) *eventDTO {
	id := strconv.FormatInt(e.Index, 10)
	d := &eventDTO{
		entity: v.at(id, "events"), Description: e.Text, Code: integer(e.Code), CorrelationID: e.CorrelationID,
		CustomID: -1, Index: integer(e.Index), Origin: "oVirt", Severity: e.Severity, Time: timestamp(e.Time),
	}
	if e.HostID != "" {
		d.Host = &namedDTO{*v.ref("hosts", model.ID(e.HostID)), e.Host}
	}
	switch {
	case e.User != "":
		d.User = &namedDTO{*v.ref("users", userID(e.User)), e.User}
	case e.Client != "" && e.ClaimedUser == "": // the peer of the unix socket is no user of the users file
		d.User = &namedDTO{Name: e.Client}
	}
	return d
}

// eventFields are what events can be searched and sorted by, under the engine's names.
func eventFields() fields[*eventDTO] {
	code := func(d *eventDTO) string { return strconv.Itoa(int(d.Code)) }
	text := func(d *eventDTO) string { return d.Description }
	index := func(d *eventDTO) string { return d.ID }
	user := func(d *eventDTO) string { return value(d.User).Name }
	host := func(d *eventDTO) string { return value(d.Host).Name }
	return fields[*eventDTO]{
		"type": code, "code": code, "message": text, "description": text, "id": index, "index": index,
		"usrname": user, "user": user, "user.name": user, "event_host": host, "host": host, "host.name": host,
		"severity":       func(d *eventDTO) string { return d.Severity },
		"time":           func(d *eventDTO) string { return d.Time.search() },
		"correlation_id": func(d *eventDTO) string { return d.CorrelationID },
		"origin":         func(d *eventDTO) string { return d.Origin },
	}
}

// list answers with the newest first. It reads no more of the history than it shows,
// unless it has to sort them.
func (r eventResource) list(c *rest.Call) (rest.Document, error) {
	q, err := parseQuery(c.Query().Get("search"))
	if err != nil {
		return nil, err
	}
	fold := !c.Flag("case_sensitive")
	holds, err := eventFields().condition(q, fold)
	if err != nil {
		return nil, err
	}
	pass, most := 0, maxEvents
	if q.sortby == "" {
		pass, most = pageOf(c, q.page)
		q.page = 0 // the others are left out here
	}
	v := r.view(c)
	var found []*eventDTO
	for e, err := range r.History.Entries(from(c)) {
		if err != nil {
			return nil, err
		}
		if len(found) == most {
			break
		}
		d := v.event(e)
		switch {
		case !holds(d):
		case pass > 0:
			pass--
		default:
			found = append(found, d)
		}
	}
	if found, err = eventFields().search(q, found, fold); err != nil {
		return nil, err
	}
	return listOf("events", page(c, found, q.page)), nil
}

// pageOf returns how many events stand before a page, and how many it has at most. The
// number 0 is all of them.
func pageOf(c *rest.Call, number int) (before, most int) {
	size, limited := c.Max()
	switch {
	case limited:
		size = min(size, maxEvents)
	case number > 0:
		size = pageSize
	default:
		size = maxEvents
	}
	if number > math.MaxInt/maxEvents {
		return 0, 0 // no history goes as far
	}
	return size * max(number-1, 0), size
}

// from returns the query parameter of that name: the events after the one with that
// index are wanted. What is no number limits nothing.
func from(c *rest.Call) int64 {
	n, err := strconv.ParseInt(c.Query().Get("from"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (r eventResource) get(c *rest.Call) (rest.Document, error) {
	id := c.PathValue("event")
	index, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(index, 10) != id {
		return nil, model.Unknown(id)
	}
	for e, err := range r.History.Entries(index - 1) {
		if err != nil {
			return nil, err
		}
		if e.Index == index {
			return r.view(c).event(e), nil
		}
	}
	return nil, model.Unknown(id)
}
