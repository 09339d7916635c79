package ovirt

import (
	"github.com/isonet/isonet/api/rest"
)

// listOf returns a list of documents that are there.
func listOf[D rest.Document](name string, documents []D) rest.List {
	return rest.List{Name: name, Members: func(yield func(rest.Document) bool) {
		for _, d := range documents {
			if !yield(d) {
				return
			}
		}
	}}
}

// each renders what is found one by one, when the list of them is written.
func each[T any, D rest.Document](name string, render func(*view, T, follow) D) func(*view, []T, follow) rest.List {
	return func(v *view, found []T, f follow) rest.List {
		return rest.List{Name: name, Members: func(yield func(rest.Document) bool) {
			for _, item := range found {
				if !yield(render(v, item, f)) {
					return
				}
			}
		}}
	}
}
