package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/model"
	"github.com/isonet/isonet/ovsdb"
	"github.com/isonet/isonet/store/internal/schema"
)

const (
	// kindKey and byKey are the keys of a token's external_ids that have its kind, and
	// the address or system-id of who used it.
	kindKey = "isonet-kind"
	byKey   = "isonet-by"
	// tokenMemory is how long a token is kept after it has expired, for who asks.
	tokenMemory = 7 * 24 * time.Hour
	// maxTokens bounds how many there are.
	maxTokens = 10000
	// redeemTries bounds how often a token is looked at that others change meanwhile.
	redeemTries = 8
)

// Tokens returns all join tokens, by name and by when they expire.
func (s *Store) Tokens(ctx context.Context) ([]model.JoinToken, error) {
	tokens, err := s.tokens(ctx, []rfc.Condition{})
	slices.SortFunc(tokens, func(a, b model.JoinToken) int {
		if by := strings.Compare(a.Name, b.Name); by != 0 {
			return by
		}
		return a.Expires.Compare(b.Expires)
	})
	return tokens, err
}

func (s *Store) tokens(ctx context.Context, where []rfc.Condition) ([]model.JoinToken, error) {
	results, err := s.transact(ctx, rfc.Operation{Op: rfc.OperationSelect, Table: schema.JoinTokenTable, Where: where})
	if err != nil {
		return nil, fmt.Errorf("read the join tokens: %w", err)
	}
	tokens := []model.JoinToken{}
	for _, row := range results[0].Rows {
		t, err := joinToken(row)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// transact makes a transaction that is not one of the desired state.
func (s *Store) transact(ctx context.Context, operations ...rfc.Operation) ([]rfc.OperationResult, error) {
	s.rest.ask()
	now, err := (&update{store: s}).connected(ctx)
	if err != nil {
		return nil, err
	}
	return now.session.Transact(ctx, operations...)
}

func joinToken(row rfc.Row) (model.JoinToken, error) {
	digest, text := row["digest"].(string)
	name, named := row["name"].(string)
	expires, number := row["expires"].(float64)
	id, is := row["_uuid"].(rfc.UUID)
	if !text || !named || !number || !is {
		return model.JoinToken{}, errors.New("a row of the table Join_Token cannot be read")
	}
	t := model.JoinToken{ID: model.ID(id.GoUUID), Digest: digest, Name: name, Expires: time.Unix(int64(expires), 0)}
	switch used := row["used_by"].(type) {
	case string:
		t.UsedBy = used
	case rfc.OvsSet:
		if len(used.GoSet) == 1 {
			t.UsedBy, _ = used.GoSet[0].(string)
		}
	}
	if ids, is := row["external_ids"].(rfc.OvsMap); is {
		t.Kind, _ = ids.GoMap[kindKey].(string)
		t.By, _ = ids.GoMap[byKey].(string)
	}
	return t, nil
}

// AddToken keeps a new token, and forgets those that expired long ago.
func (s *Store) AddToken(ctx context.Context, t model.JoinToken) error {
	all, err := s.Tokens(ctx)
	if err != nil {
		return err
	}
	if len(all) >= maxTokens {
		return model.Conflictf("There are %d join tokens: revoke some, see 'isonet token list'.", len(all))
	}
	_, err = s.transact(
		ctx,
		rfc.Operation{
			Op: rfc.OperationDelete, Table: schema.JoinTokenTable,
			Where: []rfc.Condition{rfc.NewCondition("expires", rfc.ConditionLessThan, int(time.Now().Add(-tokenMemory).Unix()))},
		},
		rfc.Operation{
			Op: rfc.OperationInsert, Table: schema.JoinTokenTable,
			Row: rfc.Row{
				"digest": t.Digest, "name": t.Name, "expires": int(t.Expires.Unix()),
				"external_ids": rfc.OvsMap{GoMap: map[any]any{kindKey: t.Kind}},
			},
		},
	)
	if err != nil {
		return fmt.Errorf("keep the join token: %w", err)
	}
	return nil
}

// RevokeToken makes a token of no use. What joined with it stays.
func (s *Store) RevokeToken(ctx context.Context, id model.ID) error {
	results, err := s.transact(ctx, rfc.Operation{Op: rfc.OperationDelete, Table: schema.JoinTokenTable, Where: byUUID(string(id))})
	if err != nil {
		return fmt.Errorf("revoke the join token: %w", err)
	}
	if results[0].Count == 0 {
		return model.Unknown(id)
	}
	return nil
}

// FindToken returns the token of a digest; false if there is none.
func (s *Store) FindToken(ctx context.Context, digest string) (model.JoinToken, bool, error) {
	found, err := s.tokens(ctx, []rfc.Condition{rfc.NewCondition("digest", rfc.ConditionEqual, digest)})
	if err != nil || len(found) == 0 {
		return model.JoinToken{}, false, err
	}
	return found[0], true, nil
}

// RedeemToken gives a token to the key of a fingerprint, for who joins. Of several keys
// one gets it; the same key gets it again. It returns false if another one has it, or if
// it is not there any more.
func (s *Store) RedeemToken(ctx context.Context, digest, fingerprint, by string) (bool, error) {
	for range redeemTries {
		t, there, err := s.FindToken(ctx, digest)
		if err != nil || !there || t.UsedBy != "" {
			return there && t.UsedBy == fingerprint, err
		}
		none, wait := rfc.OvsSet{GoSet: []any{}}, 0
		where := []rfc.Condition{rfc.NewCondition("digest", rfc.ConditionEqual, digest)}
		_, err = s.transact(
			ctx,
			rfc.Operation{
				Op: rfc.OperationWait, Table: schema.JoinTokenTable, Timeout: &wait, Where: where,
				Columns: []string{"used_by"}, Until: string(rfc.WaitConditionEqual), Rows: []rfc.Row{{"used_by": none}},
			},
			rfc.Operation{
				Op: rfc.OperationUpdate, Table: schema.JoinTokenTable, Where: where,
				Row: rfc.Row{
					"used_by":      rfc.OvsSet{GoSet: []any{fingerprint}},
					"external_ids": rfc.OvsMap{GoMap: map[any]any{kindKey: t.Kind, byKey: by}},
				},
			},
		)
		if err != nil && !errors.Is(err, ovsdb.ErrStale) {
			return false, fmt.Errorf("redeem the join token: %w", err)
		}
	}
	return false, fmt.Errorf("%w: the join token changes all the time", ErrUnavailable)
}
