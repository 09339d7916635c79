package ovirt

import (
	"github.com/isonet/isonet/api/rest"
)

// general is the version of an option that is the same for all compatibility versions.
const general = "general"

// optionTable has the engine's options that clients cannot do without, of which isonet
// can say something.
func optionTable() map[string][]optionValueDTO {
	return map[string][]optionValueDTO{
		"AlwaysFilterResultsForWebUi": {{"false", general}},
		// No VM is started here, on no processor.
		"ServerCPUList": nil,
		// As sessions by cookie have it, in minutes.
		"UserSessionTimeOutInterval": {{"30", general}},
	}
}

type systemOptionDTO struct {
	entity
	Name   string          `xml:"name" json:"name"`
	Values optionValuesDTO `xml:"values" json:"values"`
}

func (*systemOptionDTO) Element() string { return "system_option" }

type optionValuesDTO struct {
	Value []optionValueDTO `xml:"system_option_value" json:"system_option_value,omitempty"`
}

type optionValueDTO struct {
	Value   string `xml:"value" json:"value"`
	Version string `xml:"version" json:"version"`
}

// getOption answers GET options/{option}, with the values of one version if the client
// wants that.
func (r rootResource) getOption(c *rest.Call) (rest.Document, error) {
	name := c.PathValue("option")
	values, known := optionTable()[name]
	if !known {
		return nil, rest.Refuse(rest.ErrNoResource, "isonet has no option '%s': it has no VMs and no storage that the engine's options are about.", rest.Clip(name))
	}
	d := &systemOptionDTO{entity: entity{Href: c.Base() + "/options/" + name, ID: name}, Name: name}
	version := c.Query().Get("version")
	for _, v := range values {
		if version == "" || version == v.Version {
			d.Values.Value = append(d.Values.Value, v)
		}
	}
	return d, nil
}
