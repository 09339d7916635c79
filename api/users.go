package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/isonet/isonet/model"
)

// profile is what oVirt's clients append to a user's name, and the engine to
// the names of users that it keeps itself.
const profile = "internal"

func userID(name string) model.ID { return model.DeriveID("user " + name) }

// user renders a user of the users file.
func (v *view) user(name string) *userDTO {
	d := &userDTO{entity: *v.ref("users", userID(name)), Name: name, Principal: name, UserName: name}
	if !strings.Contains(name, "@") {
		d.UserName = name + "@" + profile
	}
	return d
}

// names returns who is in the users file. On the unix socket there are none.
func (u *Users) names() []string {
	if u == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(u.hashes))
}

func (a *API) listUsers(c *call) (document, error) {
	v := a.view(c)
	var all []*userDTO
	for _, name := range c.users.names() {
		all = append(all, v.user(name))
	}
	found, err := find(c, all, fields[*userDTO]{
		"id":      {of: func(d *userDTO) string { return d.ID }},
		"name":    {of: func(d *userDTO) string { return d.Name }},
		"usrname": {of: func(d *userDTO) string { return d.UserName }},
	})
	return &usersDTO{found}, err
}

func (a *API) getUser(c *call) (document, error) {
	id, err := c.id("user")
	if err != nil {
		return nil, err
	}
	for _, name := range c.users.names() {
		if userID(name) == id {
			return a.view(c).user(name), nil
		}
	}
	return nil, model.Unknown(id)
}
