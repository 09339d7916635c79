package ovirt

import (
	"strings"

	"github.com/isonet/isonet/api/rest"
	"github.com/isonet/isonet/model"
)

// profile is what oVirt's clients append to a user's name, and the engine to
// the names of users that it keeps itself.
const profile = "internal"

// userResource is the users who may log in.
type userResource struct{ site }

func userID(name string) model.ID { return model.DeriveID("user " + name) }

// user renders a user of the users file.
func (v *view) user(name string) *userDTO {
	d := &userDTO{entity: *v.ref("users", userID(name)), Name: name, Principal: name, UserName: name}
	if !strings.Contains(name, "@") {
		d.UserName = name + "@" + profile
	}
	return d
}

func (r userResource) list(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	var all []*userDTO
	for _, name := range c.Users() {
		all = append(all, v.user(name))
	}
	found, err := find(c, all, fields[*userDTO]{
		"id":      func(d *userDTO) string { return d.ID },
		"name":    func(d *userDTO) string { return d.Name },
		"usrname": func(d *userDTO) string { return d.UserName },
	})
	return listOf("users", found), err
}

func (r userResource) get(c *rest.Call) (rest.Document, error) {
	v := r.view(c)
	name, err := userAt(c, v)
	if err != nil {
		return nil, err
	}
	return v.user(name), nil
}

// userAt returns the name of the user whom the path names.
func userAt(c *rest.Call, _ *view) (string, error) {
	id, err := c.ID("user")
	if err != nil {
		return "", err
	}
	for _, name := range c.Users() {
		if userID(name) == id {
			return name, nil
		}
	}
	return "", model.Unknown(id)
}
