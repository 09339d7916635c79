package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/cmd/isonet/internal/setup"
	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/wire"
)

func (a *app) networkCommand() *cobra.Command {
	return alias(a.group("network", "Show and change networks", "",
		a.networkListCommand(), a.networkShowCommand(), a.networkCreateCommand(),
		a.networkUpdateCommand(), a.networkDeleteCommand()), "networks", "net")
}

func (a *app) networkListCommand() *cobra.Command {
	list := newList(networkColumns()...)
	return a.lists(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List all networks",
		Args:    arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			networks, err := s.Networks(ctx)
			if err != nil {
				return err
			}
			return list.print(a, networks)
		}),
	}, list)
}

func networkColumns() []grid.Column[client.Network] {
	type n = client.Network
	columns := []grid.Column[n]{
		{Name: "network", Path: "name", Text: func(n n) string { return n.Name }, Least: 12},
		{Name: "id", Path: "id", Text: func(n n) string { return n.ID }, Rank: 5},
		{Name: "bridge", Path: "bridge", Text: func(n n) string { return n.Bridge }, Rank: 4},
		{Name: "mtu", Path: "mtu", Text: func(n n) string { return mtu(n.MTU) }, Number: func(n n) (float64, bool) {
			return float64(model.Network{MTU: n.MTU}.EffectiveMTU()), true
		}, Rank: 2},
		{Name: "label", Path: "label", Text: func(n n) string { return n.Label }, Rank: 1, Least: 10},
		{Name: "description", Path: "description", Text: func(n n) string { return n.Description }, Rank: 3, Least: 12},
		{Name: "comment", Path: "comment", Text: func(n n) string { return n.Comment }, Rank: 6, Least: 12, Wide: true},
		{Name: "port-isolation", Path: "port_isolation", Text: func(n n) string { return strconv.FormatBool(n.PortIsolation) }, Rank: 7, Wide: true},
	}
	for i, s := range settingsOf(client.Settings{}) {
		columns = append(columns, grid.Column[n]{Name: s.flag, Path: s.json, Rank: 7, Wide: true, Text: func(n n) string {
			if s := settingsOf(n.Settings)[i]; !s.value.IsNil() {
				return s.text()
			}
			return "" // the daemon has none
		}})
	}
	return columns
}

func (a *app) networkShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show NETWORK",
		Aliases:           []string{"get"},
		Short:             "Show one network",
		Args:              arguments(1, 1, "NETWORK"),
		ValidArgsFunction: a.completeNetworks(1),
		RunE: a.with(func(ctx context.Context, s session) error {
			networks, err := s.Networks(ctx)
			if err != nil {
				return err
			}
			found, err := resolve(networks, s.args)
			if err != nil {
				return err
			}
			n := found[0]
			return a.print(n, func(t *table) {
				t.row("name:", n.Name)
				t.row("id:", n.ID)
				t.row("description:", n.Description)
				t.row("comment:", n.Comment)
				t.row("mtu:", mtu(n.MTU))
				t.row("label:", n.Label)
				t.row("bridge:", n.Bridge)
				t.row("port isolation:", strconv.FormatBool(n.PortIsolation))
				for _, s := range settingsOf(n.Settings) {
					if s.value.IsNil() {
						continue // the daemon has none
					}
					t.row(strings.ReplaceAll(s.flag, "-", " ")+":", s.text())
				}
			})
		}),
	}
}

// mtu writes an MTU as the network's ports get it.
func mtu(n int) string {
	return strconv.Itoa(model.Network{MTU: n}.EffectiveMTU())
}

func (a *app) networkCreateCommand() *cobra.Command {
	var attributes *attributeFlags
	cmd := &cobra.Command{
		Use:     "create NAME",
		Aliases: []string{"add"},
		Short:   "Create a network",
		Args:    arguments(1, 1, "NAME"),
		RunE: a.with(func(ctx context.Context, s session) error {
			change := attributes.change(s.cmd)
			change.Name = &s.args[0]
			n, err := s.CreateNetwork(ctx, change)
			if err != nil {
				return err
			}
			s.wrote(n)
			return a.print(n, func(t *table) { t.line("created network '%s', id %s", n.Name, n.ID) })
		}),
		PreRunE:           func(cmd *cobra.Command, args []string) error { return attributes.check(cmd, args[0]) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	attributes = a.addAttributeFlags(cmd)
	return a.waits(cmd)
}

func (a *app) networkUpdateCommand() *cobra.Command {
	var attributes *attributeFlags
	cmd := &cobra.Command{
		Use:               "update NETWORK",
		Aliases:           []string{"edit", "set"},
		SuggestFor:        []string{"rename"},
		Short:             "Change the attributes of a network that are given as flags",
		Args:              arguments(1, 1, "NETWORK"),
		ValidArgsFunction: a.completeNetworks(1),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if attributes.change(cmd).Empty() {
				return usageFor(cmd, "nothing to update: give at least one attribute")
			}
			name := "x" // any that may be: the network has one
			if cmd.Flags().Changed("name") {
				name = *attributes.Name
			}
			return attributes.check(cmd, name)
		},
		RunE: a.with(func(ctx context.Context, s session) error {
			networks, err := s.Networks(ctx)
			if err != nil {
				return err
			}
			found, err := resolve(networks, s.args)
			if err != nil {
				return err
			}
			n, err := s.UpdateNetwork(ctx, found[0].ID, attributes.change(s.cmd))
			if err != nil {
				return err
			}
			s.wrote(n)
			return a.print(n, func(t *table) { t.line("updated network '%s'", n.Name) })
		}),
	}
	attributes = a.addAttributeFlags(cmd)
	attributes.Name = cmd.Flags().String("name", "", "new name; the bridge keeps its name")
	must(cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions))
	return a.waits(cmd)
}

// attributeFlags are the flags for a network's attributes, whether they are given
// or not.
type attributeFlags client.NetworkChange

func (a *app) addAttributeFlags(cmd *cobra.Command) *attributeFlags {
	flags := cmd.Flags()
	f := &attributeFlags{
		MTU:           flags.Int("mtu", 0, "MTU in bytes; 0 means 1500"),
		Label:         flags.String("label", "", "attach the network to hosts that have this label; '' means none"),
		Description:   flags.String("description", "", "what the network is for"),
		Comment:       flags.String("comment", "", "free text"),
		PortIsolation: flags.Bool("port-isolation", false, "keep the ports from reaching each other"),
	}
	f.addSettings(flags)
	must(cmd.RegisterFlagCompletionFunc("isolation-policy", completePolicies))
	must(cmd.RegisterFlagCompletionFunc("label", a.completeLabelFlag))
	for _, name := range []string{"mtu", "description", "comment", "broadcast-limit"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return f
}

// setting is a member of client.Settings: a pointer.
type setting struct {
	flag, json, usage string
	value             reflect.Value
}

func settingsOf(s client.Settings) []setting {
	v := reflect.ValueOf(s)
	list := make([]setting, v.NumField())
	for i := range list {
		tag := v.Type().Field(i).Tag
		json, _, _ := strings.Cut(tag.Get("json"), ",")
		list[i] = setting{strings.ReplaceAll(tag.Get("yaml"), "_", "-"), json, tag.Get("usage"), v.Field(i)}
	}
	return list
}

// text is the value for a reader.
func (s setting) text() string {
	switch {
	case s.value.Elem().Kind() == reflect.Int && s.value.Elem().IsZero():
		return "none"
	case s.flag == "broadcast-limit":
		return fmt.Sprintf("%d/s", s.value.Elem().Int())
	}
	return fmt.Sprint(s.value.Elem())
}

// addSettings makes a flag for each setting.
func (f *attributeFlags) addSettings(flags *pflag.FlagSet) {
	to := reflect.ValueOf(&f.Settings).Elem()
	for i, s := range settingsOf(f.Settings) {
		var value any
		switch s.value.Type().Elem().Kind() {
		case reflect.Bool:
			value = flags.Bool(s.flag, false, s.usage)
		case reflect.Int:
			value = flags.Int(s.flag, 0, s.usage)
		default:
			value = flags.String(s.flag, "", s.usage)
		}
		to.Field(i).Set(reflect.ValueOf(value))
	}
}

func completePolicies(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var policies []string
	for _, p := range model.Policies() {
		policies = append(policies, string(p))
	}
	return policies, cobra.ShellCompDirectiveNoFileComp
}

// check refuses values that no daemon takes.
func (f *attributeFlags) check(cmd *cobra.Command, name string) error {
	if name == "" {
		return usageFor(cmd, "a network needs a name")
	}
	c := f.change(cmd)
	n := setup.Network{Name: name, MTU: c.MTU, Label: c.Label, Description: c.Description, Comment: c.Comment, Settings: c.Settings}
	if err := n.Validate(); err != nil {
		return usageFor(cmd, strings.TrimSuffix(err.Error(), "."))
	}
	return nil
}

// change returns the attributes whose flags were given.
func (f *attributeFlags) change(cmd *cobra.Command) client.NetworkChange {
	settings := f.Settings
	for i, s := range settingsOf(settings) {
		if !cmd.Flags().Changed(s.flag) {
			reflect.ValueOf(&settings).Elem().Field(i).SetZero()
		}
	}
	return client.NetworkChange{
		Name: given(cmd, "name", f.Name), Label: given(cmd, "label", f.Label), Description: given(cmd, "description", f.Description),
		Comment: given(cmd, "comment", f.Comment), MTU: given(cmd, "mtu", f.MTU), PortIsolation: given(cmd, "port-isolation", f.PortIsolation),
		Settings: settings,
	}
}

func given[T any](cmd *cobra.Command, flag string, value *T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return value
}

func (a *app) networkDeleteCommand() *cobra.Command {
	var force bool
	var e everything
	cmd := &cobra.Command{
		Use:     "delete NETWORK...",
		Aliases: []string{"rm", "remove"},
		Short:   "Delete networks",
		Long: `Delete networks, and with each its bridge on every host. All of them are deleted at
once, or none. Of more than 1000 networks, 1000 are deleted at a time. --all means all
networks: the command shows them and asks. Without a terminal it needs --yes.`,
		Args:              e.arguments("NETWORK", arguments(1, -1, "NETWORK")),
		ValidArgsFunction: a.completeNetworks(-1),
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return a.mayAsk(cmd, e.all && !e.yes) },
		RunE: a.with(func(ctx context.Context, s session) error {
			networks, err := s.Networks(ctx)
			if err != nil {
				return err
			}
			plan := setup.Plan{Delete: networks}
			if !e.all {
				if plan.Delete, err = resolve(networks, s.args); err != nil {
					return err
				}
			}
			s.wrote(plan.Delete...)
			return a.applyIfAgreed(s, e.all && !e.yes, host{}, plan, wire.Plan{}, force)
		}),
	}
	e.add(cmd, "delete all networks")
	cmd.Flags().BoolVar(&force, "force", false, "delete even if ports are in use")
	return a.waits(cmd)
}

// resolve finds networks by id or name, each once. An id comes before a name
// that looks like one.
func resolve(networks []client.Network, references []string) ([]client.Network, error) {
	index := make(map[string]client.Network, 2*len(networks))
	for _, n := range networks {
		index[n.Name] = n
	}
	for _, n := range networks {
		index[n.ID] = n
	}
	var found []client.Network
	var missing []string
	seen := map[string]bool{}
	for _, reference := range references {
		n, ok := index[reference]
		if id, isID := model.ParseID(reference); !ok && isID {
			n, ok = index[string(id)]
		}
		switch {
		case !ok && !slices.Contains(missing, reference):
			missing = append(missing, reference)
		case ok && !seen[n.ID]:
			seen[n.ID] = true
			found = append(found, n)
		}
	}
	if len(missing) > 0 {
		names := make([]string, len(networks))
		for i, n := range networks {
			names[i] = n.Name
		}
		return nil, unknownNames("there is no network", "isonet network list", names, missing...)
	}
	return found, nil
}
