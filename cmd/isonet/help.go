package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpCommand takes the place of cobra's, which shows the help of isonet for a command
// that does not exist.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			about, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return commandNames(about), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(about, rest)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// commandNames are the names of the commands of a group.
func commandNames(group *cobra.Command) []string {
	var names []string
	for _, c := range group.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// unknownCommand refuses words after a command of which the first is none of its own. It
// suggests those that are the most like it, else those of that name elsewhere: first of
// all that of the group that the next word names, as in 'list networks'.
func unknownCommand(group *cobra.Command, words []string) error {
	word := words[0]
	var suggestions []string
	for _, c := range group.Commands() {
		if slices.Contains(c.SuggestFor, word) {
			suggestions = append(suggestions, c.CommandPath())
		}
	}
	for _, name := range near(word, commandNames(group)) {
		suggestions = append(suggestions, group.CommandPath()+" "+name)
	}
	if len(suggestions) == 0 && len(words) > 1 {
		if named, rest, err := group.Find(words[1:]); err == nil && len(rest) == 0 {
			suggestions = called(named, word)
		}
	}
	if len(suggestions) == 0 {
		suggestions = called(group.Root(), word)
	}
	return usageFor(group, fmt.Sprintf("unknown command '%s'%s", word, didYouMean(suggestions)))
}

// wrongFlag refuses a flag, and suggests those that are the most like an unknown one.
func wrongFlag(cmd *cobra.Command, err error) error {
	var suggestions []string
	if unknown, is := errors.AsType[*pflag.NotExistError](err); is && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		for _, name := range near(unknown.GetSpecifiedName(), names) {
			suggestions = append(suggestions, "--"+name)
		}
	}
	return usageFor(cmd, err.Error()+didYouMean(suggestions))
}

// called returns the commands anywhere that have the name, by their whole names.
func called(cmd *cobra.Command, name string) []string {
	var list []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && (c.Name() == name || slices.Contains(c.Aliases, name)) {
			list = append(list, c.CommandPath())
		}
		list = append(list, called(c, name)...)
	}
	slices.SortFunc(list, strings.Compare)
	return list
}
