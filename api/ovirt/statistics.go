package ovirt

import (
	"fmt"
	"time"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// statisticResource is the statistics of attachments.
type statisticResource struct{ site }

// statistic is one of the engine's statistics, of what a T tells of. Their ids are the
// same for every object: version 3 UUIDs of the names.
type statistic[T any] struct {
	id, name, description string
	kind, valueType, unit string
	// read returns the value, and false when it is not known.
	read func(T) (valueDTO, bool)
}

// statisticTable lists the statistics of a NIC in the engine's order. Received is what
// the network delivered to the attached ports. Errors are the sum of dropped
// packets, which the engine reports, and of erroneous ones.
func statisticTable() []statistic[model.Traffic] {
	return []statistic[model.Traffic]{
		{
			"ecd0559f-e88f-3330-94b4-1f091b0ffdf7", "data.current.rx", "Receive data rate",
			"gauge", "decimal", "bytes_per_second",
			rate(func(r *model.Rate) float64 { return r.ReceivedBytes }),
		},
		{
			"2c6fe105-4913-3f90-9425-07ddfeca5417", "data.current.tx", "Transmit data rate",
			"gauge", "decimal", "bytes_per_second",
			rate(func(r *model.Rate) float64 { return r.TransmittedBytes }),
		},
		{
			"87211eae-bb7c-382e-9e1b-378cf4505e2f", "data.current.rx.bps", "Receive data rate",
			"gauge", "decimal", "bits_per_second",
			rate(func(r *model.Rate) float64 { return 8 * r.ReceivedBytes }),
		},
		{
			"939bae68-c68f-3e94-8960-766668395f86", "data.current.tx.bps", "Transmit data rate",
			"gauge", "decimal", "bits_per_second",
			rate(func(r *model.Rate) float64 { return 8 * r.TransmittedBytes }),
		},
		{
			"0b9ddd6a-fc1b-398a-9f95-7a863c753017", "data.total.rx", "Total received data",
			"counter", "integer", "bytes",
			total(func(c model.Counters) uint64 { return c.ReceivedBytes }),
		},
		{
			"4d75baca-1fc9-3b19-b44f-6d32abda3888", "data.total.tx", "Total transmitted data",
			"counter", "integer", "bytes",
			total(func(c model.Counters) uint64 { return c.TransmittedBytes }),
		},
		{
			"50b8f057-7795-30bd-825a-1acadd37a9d7", "errors.total.rx", "Total receive errors",
			"counter", "integer", "none",
			total(func(c model.Counters) uint64 { return c.ReceivedDrops + c.ReceivedErrors }),
		},
		{
			"7211a516-3e61-3c4e-be79-739424d13461", "errors.total.tx", "Total transmit errors",
			"counter", "integer", "none",
			total(func(c model.Counters) uint64 { return c.TransmittedDrops + c.TransmittedErrors }),
		},
	}
}

func rate(of func(*model.Rate) float64) func(model.Traffic) (valueDTO, bool) {
	return func(t model.Traffic) (valueDTO, bool) {
		if t.Rate == nil {
			return valueDTO{}, false
		}
		v := valueDTO{Datum: gauge(of(t.Rate))}
		if !t.Rate.Until.IsZero() {
			v.Detail = fmt.Sprintf("average of the %.1f s until %s", t.Rate.Interval.Seconds(), moment(t.Rate.Until))
		}
		return v, true
	}
}

// total makes a counter. It is told with the time of its last change, because
// Open vSwitch publishes nothing else: in the element that oVirt has for what a
// number cannot say.
func total(of func(model.Counters) uint64) func(model.Traffic) (valueDTO, bool) {
	return func(t model.Traffic) (valueDTO, bool) {
		v := valueDTO{Datum: counter(of(t.Total))}
		if !t.Updated.IsZero() {
			v.Detail = "updated " + moment(t.Updated)
		}
		return v, true
	}
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// statistics renders the statistics of an attachment. One without traffic has
// them without values.
func (v *view) statistics(a model.Attachment) *statisticsDTO {
	traffic, known := v.traffic[a.Network]
	parent := func(d *statisticDTO) { d.Host = v.ref("hosts", a.Host) }
	return statisticsBelow(v.at(string(a.ID), "hosts", string(a.Host), "networkattachments"), parent,
		statisticTable(), traffic, known && v.status.HostID == a.Host)
}

// statisticsBelow renders the statistics of an object. Each refers to a parent.
func statisticsBelow[T any](e entity, parent func(*statisticDTO), table []statistic[T], of T, known bool) *statisticsDTO {
	list := &statisticsDTO{}
	for _, s := range table {
		d := &statisticDTO{
			entity: entity{Href: e.Href + "/statistics/" + s.id, ID: s.id},
			Name:   s.name, Description: s.description, Kind: s.kind, Type: s.valueType, Unit: s.unit,
		}
		parent(d)
		if value, ok := s.read(of); ok && known {
			d.Values.Value = []valueDTO{value}
		}
		list.Statistic = append(list.Statistic, d)
	}
	return list
}

func (r statisticResource) list(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	at, err := attachmentAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	return listOf("statistics", rest.Limit(c, v.statistics(at).Statistic)), nil
}

func (r statisticResource) get(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	at, err := attachmentAt(c, v.desired)
	if err != nil {
		return nil, err
	}
	return statisticAt(c, v.statistics(at))
}

// statisticAt returns the one of a list that the path names.
func statisticAt(c *rest.Call, list *statisticsDTO) (rest.Document, error) {
	id := c.PathValue("statistic")
	for _, s := range list.Statistic {
		if s.ID == id {
			return s, nil
		}
	}
	return nil, model.Unknown(id)
}
