package ovirt

import (
	"maps"
	"slices"
	"strings"

	"github.com/isonet/isonet/api/rest"
)

// links are the links of a representation that a client may follow, and in
// turn those of what they lead to. Names are in lower case without underscores:
// oVirt allows both spellings. A link up, such as from an attachment to its
// host, ends there. So the tree is finite and no reply grows beyond what one
// walk down visits.
type links map[string]links

// follow holds the links that a client wants replaced by what they lead to, and
// what to follow there.
type follow map[string]follow

func (f follow) has(link string) bool {
	_, ok := f[link]
	return ok
}

// under returns what to follow within a followed link.
func (f follow) under(link string) follow { return f[link] }

// leave returns the links that are not followed.
func (f follow) leave(all []linkDTO) []linkDTO {
	return slices.DeleteFunc(all, func(l linkDTO) bool { return f.has(l.Rel) })
}

// followed reads the query parameter follow. It refuses links that are not among
// the allowed ones, because leaving them out silently would look like absence.
func followed(c *rest.Call, allowed links) (follow, error) {
	f := follow{}
	for path := range strings.SplitSeq(c.Query().Get("follow"), ",") {
		path = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(path)), "_", "")
		if path = withoutEmpty(path); path == "" {
			continue
		}
		if err := f.add(path, allowed); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// withoutEmpty takes from a dotted path the link at its end if that leads to a list which
// is empty everywhere: what follows it leads to nothing, and that is right.
func withoutEmpty(path string) string {
	last := path[strings.LastIndexByte(path, '.')+1:]
	if last != "permissions" && last != "storagedomains" {
		return path
	}
	return strings.TrimSuffix(strings.TrimSuffix(path, last), ".")
}

// add adds a dotted path.
func (f follow) add(path string, allowed links) error {
	passed := ""
	for name := range strings.SplitSeq(path, ".") {
		below, ok := allowed[name]
		if !ok {
			return rest.Refuse(rest.ErrValue, "The link '%s' cannot be followed: %s.", path, allowed.advice(passed))
		}
		if !f.has(name) {
			f[name] = follow{}
		}
		f, allowed, passed = f[name], below, passed+name+"."
	}
	return nil
}

// advice names the links that can be followed after those passed.
func (l links) advice(passed string) string {
	if len(l) == 0 {
		return "nothing can be followed after '" + strings.TrimSuffix(passed, ".") + "'"
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		names = append(names, passed+name)
	}
	return "use one of " + strings.Join(names, ", ")
}
