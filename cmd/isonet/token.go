package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isonet/isonet/client"
	"github.com/isonet/isonet/cmd/isonet/internal/grid"
	"github.com/isonet/isonet/wire"
)

func (a *app) tokenCommand() *cobra.Command {
	return alias(a.group("token", "Make, list and revoke tokens by which machines join the fleet",
		`Make, list and revoke tokens by which machines join the fleet. A token lets one
machine in, until it expires. It is a secret: who has it may join instead. Ask the
isonetd that has the fleet's authorities (its option ca-dir).`,
		a.tokenMakeCommand("host", "NAME", `Make a token by which a host may join the fleet, with 'isonet host join'. NAME is
the name that the host gets. A host's certificate may tell how the host is, and
changes nothing else.`),
		a.tokenMakeCommand("server", "ADDRESS", `Make a token by which a server may join the fleet, with 'isonet cluster join'. ADDRESS
is its IP address. A server's certificate may change everything.`),
		a.tokenListCommand(), a.tokenRevokeCommand()), "tokens")
}

func (a *app) tokenMakeCommand(kind, argument, long string) *cobra.Command {
	request := wire.TokenRequest{Kind: kind}
	var life time.Duration
	cmd := &cobra.Command{
		Use:   kind + " " + argument,
		Short: "Make a token for a " + kind,
		Long:  long,
		Args:  arguments(1, 1, argument),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if life < time.Second {
				return usageFor(cmd, "--for must be a second at least")
			}
			return nil
		},
		RunE: a.with(func(ctx context.Context, s session) error {
			request.Name, request.Lifetime = s.args[0], int(life/time.Second)
			made, err := s.NewToken(ctx, request)
			if err != nil {
				return fmt.Errorf("make a token: %w", err)
			}
			return a.print(made, func(t *table) { t.line("%s", made.Token) })
		}),
	}
	cmd.Flags().DurationVar(&life, "for", time.Hour, "how long the token can be used")
	if kind == "host" {
		cmd.Flags().BoolVar(&request.Replace, "replace", false, "let a host join that the fleet has already, unless it is up")
	}
	return cmd
}

func (a *app) tokenListCommand() *cobra.Command {
	type token = wire.JoinToken
	list := newList(
		grid.Column[token]{Name: "name", Path: "name", Text: func(t token) string { return t.Name }, Least: 12},
		grid.Column[token]{Name: "kind", Path: "kind", Text: func(t token) string { return t.Kind }},
		grid.Column[token]{Name: "state", Path: "state", Text: func(t token) string { return t.State }, Mood: func(t token) grid.Mood { return mood(t.State == "unused", false) }},
		grid.Column[token]{Name: "expires", Path: "expires", Text: func(t token) string { return t.Expires.Format(time.RFC3339) }},
		grid.Column[token]{Name: "used_by", Path: "used_by", Text: func(t token) string { return t.UsedBy }, Rank: 2},
		grid.Column[token]{Name: "id", Path: "id", Text: func(t token) string { return t.ID }, Rank: 1},
	)
	return a.lists(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls", "get"},
		Short:   "List the tokens",
		Args:    arguments(0, 0, ""),
		RunE: a.with(func(ctx context.Context, s session) error {
			tokens, err := s.Tokens(ctx)
			if err != nil {
				return err
			}
			return list.print(a, tokens)
		}),
	}, list)
}

func (a *app) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke TOKEN",
		Aliases: []string{"delete", "rm", "remove"},
		Short:   "Make a token of no use",
		Long:    `Make a token of no use, by its id or by a name that one token has. Who has joined stays.`,
		Args:    arguments(1, 1, "TOKEN"),
		RunE: a.with(func(ctx context.Context, s session) error {
			t, err := findToken(ctx, s.Client, s.args[0])
			if err != nil {
				return err
			}
			if _, err := s.RevokeToken(ctx, t.ID); err != nil {
				return fmt.Errorf("revoke the token '%s': %w", t.Name, err)
			}
			return a.print(t, func(to *table) { to.line("revoked the token of the %s '%s'", t.Kind, t.Name) })
		}),
	}
}

// findToken finds a token by its id, or by a name that one token has.
func findToken(ctx context.Context, c *client.Client, reference string) (wire.JoinToken, error) {
	tokens, err := c.Tokens(ctx)
	if err != nil {
		return wire.JoinToken{}, err
	}
	var found []wire.JoinToken
	var ids []string
	for _, t := range tokens {
		switch {
		case strings.EqualFold(t.ID, reference):
			return t, nil
		case t.Name == reference:
			found, ids = append(found, t), append(ids, t.ID)
		}
	}
	switch len(found) {
	case 0:
		return wire.JoinToken{}, fmt.Errorf("there is no token '%s': see 'isonet token list'", reference)
	case 1:
		return found[0], nil
	}
	return wire.JoinToken{}, fmt.Errorf("%d tokens have the name '%s': use an id, %s", len(found), reference, strings.Join(ids, " or "))
}
