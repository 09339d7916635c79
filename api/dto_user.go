package api

type userDTO struct {
	entity
	Name      string `xml:"name" json:"name"`
	Principal string `xml:"principal" json:"principal"`
	UserName  string `xml:"user_name" json:"user_name"`
}

func (*userDTO) element() string { return "user" }

type usersDTO struct {
	User []*userDTO `xml:"user" json:"user,omitempty"`
}

func (*usersDTO) element() string { return "users" }
