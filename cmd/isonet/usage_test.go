package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// badValues are texts that the flags of type string do not take, whatever the command.
// A flag that is here with none takes every text.
var badValues = map[string][]string{
	"address":          {"x", "0.0.0.0", ""},
	"api-url":          {"http://h:1", "x"},
	"by":               nil,
	"broadcast-limit":  {"-1", "200000001"},
	"ca-dir":           nil,
	"cacert":           {"/nonexistent"},
	"color":            {"green"},
	"columns":          {"nosuch"},
	"filter":           {"x", "mtu~["},
	"comment":          {"a\x01b"},
	"context":          nil, // that it names nothing is an error: TestContextMistakes
	"description":      {"a\x01b"},
	"file":             {"/nonexistent"},
	"fingerprint":      {"abc"},
	"for":              {"nosuch", "", "deleted,active"},
	"host":             nil,
	"interval":         {"0s"},
	"isolation-policy": {"foo"},
	"label":            {"a b", "a/b"},
	"lines":            {"-1", "x"},
	"members":          {"x", "192.0.2.1,x"},
	"mtu":              {"-1", "67", "70000"},
	"name":             {"", "a\x01b"},
	"network":          nil,
	"output":           {"xml", ""},
	"ovsdb":            {"foo", ""},
	"passphrase-file":  nil,
	"password-file":    {"/nonexistent"},
	"port":             {"0", "65533"},
	"relays":           {"x"},
	"reports":          {"x"},
	"since":            {"-1s", "yesterday"},
	"socket":           nil,
	"sort":             {"size"},
	"timeout":          {"-1s"},
	"url":              {"foo", "ftp://h:1", "https://h:1/x", "https://u:p@h:1"},
	"user":             {"ann"}, // without --password-file
	"wait-hosts":       {"0s", "-1s", "61m"},
	"via":              {"tap"},
}

// TestWrongUse goes through all commands, and uses each wrongly in every way.
func TestWrongUse(t *testing.T) {
	d := &daemon{answers: standard(t)}
	socket, config := d.start(t), shortDir(t)
	refused := func(args ...string) {
		t.Helper()
		got := command{args: args, config: config, socket: socket}.run(t.Context())
		switch {
		case got.code != exitUsage, got.stdout != "":
			t.Errorf("isonet %q: %+v", args, got)
		case !nextStep.MatchString(got.stderr):
			t.Errorf("isonet %q does not say what to do: %s", args, got.stderr)
		case internals.MatchString(got.stderr):
			t.Errorf("isonet %q shows what it is made of: %s", args, got.stderr)
		case d.requests() != "":
			t.Errorf("isonet %q asked %s", args, d.requests())
			d.forget()
		}
	}
	root := (&app{}).rootCommand()
	root.InitDefaultHelpCmd()
	refused("help", "nosuch")
	for _, group := range append(groups(root), root) {
		path := words(group.CommandPath())[1:]
		refused(append(path, "nosuch")...)
		refused(append(append([]string{"help"}, path...), "nosuch")...)
		refused(append(path, "--nosuch")...)
	}
	for _, cmd := range runnable(root) {
		least, most := bounds(cmd)
		path := words(cmd.CommandPath())[1:]
		args := slices.Concat(path, someArguments(cmd, least))
		refused(append(args, "--nosuch")...)
		refused(append(args, "-?")...)
		if least > 0 {
			refused(slices.Concat(path, someArguments(cmd, least-1))...)
		}
		if most >= 0 {
			refused(slices.Concat(path, someArguments(cmd, most), []string{"extra"})...)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { refuseValues(t, refused, cmd, args, f) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { refuseValues(t, refused, cmd, args, f) })
	}
}

// nextStep is in every text about wrong use: the help, or the place in a file.
var nextStep = regexp.MustCompile(`^isonet: [^\n]*(; see 'isonet[^']* --help'|read the (setup file|backup): open /nonexistent: no such file or directory)\n$`)

// internals are words of the program's making.
var internals = regexp.MustCompile(`strconv|pflag|syntax|goroutine|0x|\.go:|daemon\.|model\.|client\.|%!`)

// refuseValues gives a flag values that it does not take.
func refuseValues(t *testing.T, refused func(...string), cmd *cobra.Command, args []string, f *pflag.Flag) {
	t.Helper()
	with := func(value string) []string {
		list := append(slices.Clone(args), "--"+f.Name+"="+value)
		if slices.Contains([]string{"user", "password-file", "cacert"}, f.Name) && cmd.Name() != "login" {
			list = append(list, "--url", "https://192.0.2.1:1")
		}
		if f.Name == "password-file" && cmd.Name() != "login" {
			list = append(list, "--user", "ann")
		}
		return list
	}
	switch f.Value.Type() {
	case "bool":
		refused(with("maybe")...)
	case "int", "duration":
		for _, value := range []string{"x", "", "1.5", "99999999999999999999"} {
			refused(with(value)...)
		}
	}
	values, listed := badValues[f.Name]
	if !listed && f.Value.Type() != "bool" {
		t.Errorf("'%s': there is no bad value of --%s: list one in badValues", cmd.CommandPath(), f.Name)
	}
	asksNobody := slices.Contains([]string{"completion", "version", "login", "logout", "list", "show", "use", "delete"}, cmd.Name()) &&
		(cmd.Parent().Name() == "context" || cmd.Parent() == cmd.Root())
	asksNobody = asksNobody || cmd.Parent().Name() == "cluster" || cmd.CommandPath() == "isonet host join"
	for _, value := range values {
		global := cmd.InheritedFlags().Lookup(f.Name) != nil
		if asksNobody && global && f.Name != "output" && f.Name != "timeout" {
			continue // it says where a daemon is, and none is asked
		}
		refused(with(value)...)
	}
}

// groups are the commands that only have commands.
func groups(cmd *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, child := range cmd.Commands() {
		if child.HasSubCommands() {
			list = append(append(list, child), groups(child)...)
		}
	}
	return list
}

// bounds returns how many arguments a command takes; most < 0 is no limit.
func bounds(cmd *cobra.Command) (least, most int) {
	least, most = -1, -1
	for n := range 8 {
		taken := cmd.Args(cmd, someArguments(cmd, n)) == nil
		if taken && least < 0 {
			least = n
		}
		if taken {
			most = n
		}
	}
	if most == 7 {
		most = -1
	}
	return least, most
}

// someArguments are arguments that a command may have.
func someArguments(cmd *cobra.Command, n int) []string {
	if cmd.Name() == "completion" {
		return slices.Repeat([]string{"bash"}, n)
	}
	if slices.Contains([]string{"backup", "restore", "validate", "diff"}, cmd.Name()) {
		return slices.Repeat([]string{filepath.Join("testdata", "setup.yaml")}, n)
	}
	return strings.Fields("a b c d e f g h")[:n]
}
