package ovirt

import (
	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// handler answers a request with a document.
type handler = func(*rest.Call) (rest.Document, error)

// show answers with what find finds of a view, and with the links of it that the
// client follows.
func show[T any, D rest.Document](s site, allowed links, find func(*rest.Call, *view) (T, error), render func(*view, T, follow) D) handler {
	return func(c *rest.Call) (rest.Document, error) {
		f, err := followed(c, allowed)
		if err != nil {
			return nil, err
		}
		v := s.view(c)
		found, err := find(c, v)
		if err != nil {
			return nil, err
		}
		return render(v, found, f), nil
	}
}

// searched finds those of a list that the client searches.
func searched[T any](all func(*view) []T, by fields[T]) func(*rest.Call, *view) ([]T, error) {
	return func(c *rest.Call, v *view) ([]T, error) { return find(c, all(v), by) }
}

// limited finds as many of a list as the client wants at the most.
func limited[T any](all func(*view) []T) func(*rest.Call, *view) ([]T, error) {
	return func(c *rest.Call, v *view) ([]T, error) { return rest.Limit(c, all(v)), nil }
}

// one finds what there is one of.
func one[T any](the func(*view) T) func(*rest.Call, *view) (T, error) {
	return func(_ *rest.Call, v *view) (T, error) { return the(v), nil }
}

// in makes a finder for show of one that looks at the desired state only.
func in[T any](find func(*rest.Call, *model.Desired) (T, error)) func(*rest.Call, *view) (T, error) {
	return func(c *rest.Call, v *view) (T, error) { return find(c, v.desired) }
}

// empty answers for a collection that never has members.
func empty(name string) handler {
	return func(*rest.Call) (rest.Document, error) { return emptyList{name}, nil }
}

// below makes the handler of a path below the one object of a collection.
func below(name string, only model.ID, f handler) handler {
	return func(c *rest.Call) (rest.Document, error) {
		if err := onlyAt(c, name, only); err != nil {
			return nil, err
		}
		return f(c)
	}
}

func inDataCenter(f handler) handler { return below("datacenter", dataCenterID(), f) }

func inCluster(f handler) handler { return below("cluster", clusterID(), f) }
