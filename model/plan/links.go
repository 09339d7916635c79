package plan

import (
	"iter"
	"maps"
)

// Links are the network devices of vswitchd's network namespace at one moment.
// They never change: a change makes other Links, which share with the ones
// before what is the same, so that it costs about the same among three devices
// and among ten thousand. A nil *Links has none, and says that nobody looked.
type Links struct {
	devices sharded[int, *Device] // by ifindex, each of which never changes
	indexes sharded[string, int]  // by name and by altname
	count   int
	// strange says that ifindexes of Open vSwitch mean nothing here.
	strange bool
}

// NewLinks returns these devices. Each has an ifindex of its own.
func NewLinks(devices ...Device) *Links { return (&Links{}).Change(nil, devices) }

// Change returns Links without those of some ifindexes and with some that are new
// or are not what they were.
func (l *Links) Change(gone []int, changed []Device) *Links {
	next := &Links{}
	if l != nil {
		*next = *l
	}
	devices, indexes := newEditor(&next.devices, hashInt), newEditor(&next.indexes, hashString)
	forget := func(index int) {
		before, known := next.Index(index)
		if !known {
			return
		}
		for name := range before.names() {
			// Another one may have got the name meanwhile.
			if at, _ := next.indexes.get(hashString(name), name); at == index {
				indexes.remove(name)
			}
		}
		devices.remove(index)
		next.count--
	}
	for _, index := range gone {
		forget(index)
	}
	for _, d := range changed {
		forget(d.Index)
	}
	for _, d := range changed {
		devices.put(d.Index, &d)
		for name := range d.names() {
			indexes.put(name, d.Index)
		}
		next.count++
	}
	return next
}

// Index returns the device with an ifindex.
func (l *Links) Index(index int) (Device, bool) {
	if d := l.Ref(index); d != nil {
		return *d, true
	}
	return Device{}, false
}

// Ref returns the device with an ifindex, nil if there is none. Nobody may change
// it, and other Links return the same pointer as long as it is the same: who keeps
// it sees whether the device has changed.
func (l *Links) Ref(index int) *Device {
	if l == nil {
		return nil
	}
	d, _ := l.devices.get(hashInt(index), index)
	return d
}

// Named returns the device that has a name now, as its own or as an altname: the
// kernel gives none of them twice.
func (l *Links) Named(name string) (Device, bool) {
	if l == nil {
		return Device{}, false
	}
	index, known := l.indexes.get(hashString(name), name)
	if !known {
		return Device{}, false
	}
	return l.Index(index)
}

// Of returns the device that Open vSwitch opened for an interface, as far as that
// is known: by its ifindex, which a rename does not change, or, where Open
// vSwitch tells none, by its name.
func (l *Links) Of(i Interface) (Device, bool) {
	if i.IfIndex > 0 && l != nil && !l.strange {
		return l.Index(i.IfIndex)
	}
	return l.Named(i.Name)
}

// For returns the links as they are of use for these bridges of an Open vSwitch:
// where none of the bridges' own devices is seen, isonetd runs in another network
// namespace than vswitchd, in which the same ifindex is another device.
func (l *Links) For(bridges map[string]Bridge) *Links {
	if l == nil {
		return nil
	}
	for _, b := range bridges {
		if b.Seen(l) {
			return l
		}
	}
	strange := *l
	strange.strange = true
	return &strange
}

// Len returns how many devices there are.
func (l *Links) Len() int {
	if l == nil {
		return 0
	}
	return l.count
}

// All yields all devices in no order.
func (l *Links) All() iter.Seq[Device] {
	return func(yield func(Device) bool) {
		if l == nil {
			return
		}
		for _, shard := range l.devices {
			for _, d := range shard {
				if !yield(*d) {
					return
				}
			}
		}
	}
}

// shards is into how many parts a map is divided: who changes an entry copies the
// part that it is in.
const shards = 256

// sharded is a map of which two versions share the parts that are the same.
type sharded[K comparable, V any] [shards]map[K]V

func (s *sharded[K, V]) get(hash uint64, key K) (V, bool) {
	value, known := s[hash%shards][key]
	return value, known
}

// editor changes a map. It copies each part before it changes it for the first
// time.
type editor[K comparable, V any] struct {
	parts  *sharded[K, V]
	hash   func(K) uint64
	copied [shards]bool
}

func newEditor[K comparable, V any](parts *sharded[K, V], hash func(K) uint64) *editor[K, V] {
	return &editor[K, V]{parts: parts, hash: hash}
}

func (e *editor[K, V]) part(key K) map[K]V {
	n := e.hash(key) % shards
	if !e.copied[n] {
		e.copied[n] = true
		if e.parts[n] = maps.Clone(e.parts[n]); e.parts[n] == nil {
			e.parts[n] = map[K]V{}
		}
	}
	return e.parts[n]
}

func (e *editor[K, V]) put(key K, value V) { e.part(key)[key] = value }

func (e *editor[K, V]) remove(key K) { delete(e.part(key), key) }

// hashInt keeps neighbours apart: ifindexes are counted up.
func hashInt(n int) uint64 { return uint64(n) }

// hashString is FNV-1a.
func hashString(s string) uint64 {
	hash := uint64(14695981039346656037)
	for i := range len(s) {
		hash = (hash ^ uint64(s[i])) * 1099511628211
	}
	return hash
}
