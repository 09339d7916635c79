package ovsdb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/internal/ovstest"
	"github.com/isonet/isonet/ovsdb"
)

// everything returns the configuration of a session with a database of everySchema.
func everything(t *testing.T, endpoints ...string) ovsdb.Config {
	t.Helper()
	cfg := config(t, endpoints...)
	var err error
	if cfg.Model, err = model.NewClientDBModel("Test", map[string]model.Model{"A": &nameOnly{}, "Every": &every{}}); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// selection is a choice of rows of the table Every: those that have one of some texts,
// or any of some numbers in a set, in code and as conditions.
type selection struct {
	all     bool
	texts   []string
	numbers []int
}

func randomSelection(random *rand.Rand) selection {
	s := selection{all: random.IntN(6) == 0}
	for range random.IntN(3) {
		s.texts = append(s.texts, fmt.Sprint(random.IntN(4)))
	}
	for range random.IntN(3) {
		s.numbers = append(s.numbers, random.IntN(5))
	}
	return s
}

func (s selection) conditions() ovsdb.Conditions {
	if s.all {
		return ovsdb.Conditions{}
	}
	list := []rfc.Condition{}
	for _, text := range s.texts {
		list = append(list, rfc.NewCondition("text", rfc.ConditionEqual, text))
	}
	for _, number := range s.numbers {
		list = append(list, rfc.NewCondition("numbers", rfc.ConditionIncludes, number))
	}
	return ovsdb.Conditions{"Every": list}
}

func (s selection) of(rows map[string]model.Model) map[string]model.Model {
	selected := map[string]model.Model{}
	for uuid, row := range rows {
		r := row.(*every)
		if s.all || slices.Contains(s.texts, r.Text) || slices.ContainsFunc(s.numbers, func(n int) bool { return slices.Contains(r.Numbers, n) }) {
			selected[uuid] = row
		}
	}
	return selected
}

// randomRow returns random values of some columns.
func randomRow(random *rand.Rand, as []rfc.UUID) rfc.Row {
	number := func() any { return random.IntN(5) }
	text := func() any { return fmt.Sprint(random.IntN(4)) }
	reference := func() any { return as[random.IntN(len(as))] }
	set := func(limit int, atom func() any) rfc.OvsSet {
		s := rfc.OvsSet{GoSet: []any{}}
		for range random.IntN(limit + 1) {
			if a := atom(); !slices.Contains(s.GoSet, a) {
				s.GoSet = append(s.GoSet, a)
			}
		}
		return s
	}
	pairs := func(key, value func() any) rfc.OvsMap {
		m := rfc.OvsMap{GoMap: map[any]any{}}
		for range random.IntN(4) {
			m.GoMap[key()] = value()
		}
		return m
	}
	row := rfc.Row{
		"text": text(), "number": number(), "flag": random.IntN(2) == 0,
		"opt": set(1, text), "optnumber": set(1, number), "texts": set(4, text), "numbers": set(4, number),
		"one": set(1, reference), "many": set(4, reference),
		"ids": pairs(text, text), "tables": pairs(number, reference), "counts": pairs(text, number),
	}
	for column := range row {
		if random.IntN(2) == 0 {
			delete(row, column)
		}
	}
	return row
}

// TestConditionsSelect changes rows and conditions at random: the copy is at each time
// what a plain monitor has, without what is not selected.
func TestConditionsSelect(t *testing.T) {
	t.Parallel()
	member := ovstest.StartCluster(t, write(t, everySchema), "Test", 1).Leader()
	for _, c := range []struct {
		name     string
		endpoint string
	}{
		{"a server", startServerWith(t, everySchema).endpoint()},
		{"a member of a cluster", member.Endpoint()},
		{"a relay", ovstest.StartRelay(t, "Test", member.Endpoint()).Endpoint()},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			selected := randomSelection(random)
			cfg := everything(t, c.endpoint)
			cfg.Conditions = selected.conditions()
			err := ovsdb.Run(t.Context(), everything(t, c.endpoint), func(ctx context.Context, plain *ovsdb.Session) error {
				return ovsdb.Run(ctx, cfg, func(ctx context.Context, session *ovsdb.Session) error {
					var as []rfc.UUID
					for i := range 4 {
						results, err := plain.Transact(ctx, rfc.Operation{Op: rfc.OperationInsert, Table: "A", Row: rfc.Row{"name": fmt.Sprint(i)}})
						if err != nil {
							return err
						}
						as = append(as, results[0].UUID)
					}
					differs := func() string {
						return cmp.Diff(selected.of(rows(plain, "Every")), rows(session, "Every")) + cmp.Diff(rows(plain, "A"), rows(session, "A"))
					}
					for step := range 300 {
						var operations []rfc.Operation
						for range random.IntN(4) {
							where := []rfc.Condition{rfc.NewCondition("number", rfc.ConditionEqual, random.IntN(5))}
							switch random.IntN(4) {
							case 0:
								operations = append(operations, rfc.Operation{Op: rfc.OperationDelete, Table: "Every", Where: where})
							case 1:
								operations = append(operations, rfc.Operation{Op: rfc.OperationUpdate, Table: "Every", Where: where, Row: randomRow(random, as)})
							default:
								operations = append(operations, rfc.Operation{Op: rfc.OperationInsert, Table: "Every", Row: randomRow(random, as)})
							}
						}
						if _, err := plain.Transact(ctx, operations...); err != nil {
							return err
						}
						if random.IntN(3) == 0 {
							// Changes that both have are on the way: nothing may get lost by that.
							selected = randomSelection(random)
							if err := session.Select(ctx, selected.conditions()); err != nil {
								return err
							}
						}
						if err := until(ctx, session, func() bool { return differs() == "" }); err != nil {
							return fmt.Errorf("step %d: %w (-want +got):\n%s", step, err, differs())
						}
						if random.IntN(3) == 0 {
							selected = randomSelection(random)
							if err := session.Select(ctx, selected.conditions()); err != nil {
								return err
							}
							if diff := differs(); diff != "" { // without any wait
								return fmt.Errorf("step %d: after Select (-want +got):\n%s", step, diff)
							}
						}
					}
					return nil
				})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDefaultsAreNotTold lets rows arrive whose columns have the values that a server
// leaves out.
func TestDefaultsAreNotTold(t *testing.T) {
	t.Parallel()
	const schema = `{"name": "Test", "version": "1.0.0", "tables": {"Every": {"isRoot": true, "columns": {
    "text": {"type": "string"}, "one": {"type": "uuid"},
    "texts": {"type": {"key": "string", "min": 1, "max": "unlimited"}},
    "ids": {"type": {"key": "string", "value": "uuid", "min": 1, "max": "unlimited"}},
    "single": {"type": {"key": "string", "value": "string", "min": 0, "max": 1}}}}}}`
	type every struct {
		UUID   string            `ovsdb:"_uuid"`
		Text   string            `ovsdb:"text"`
		One    string            `ovsdb:"one"`
		Texts  []string          `ovsdb:"texts"`
		IDs    map[string]string `ovsdb:"ids"`
		Single map[string]string `ovsdb:"single"`
	}
	s := startServerWith(t, schema)
	cfg := config(t, s.endpoint())
	var err error
	if cfg.Model, err = model.NewClientDBModel("Test", map[string]model.Model{"Every": &every{}}); err != nil {
		t.Fatal(err)
	}
	conditional := cfg
	conditional.Conditions = ovsdb.Conditions{}
	err = ovsdb.Run(t.Context(), cfg, func(ctx context.Context, plain *ovsdb.Session) error {
		return ovsdb.Run(ctx, conditional, func(ctx context.Context, session *ovsdb.Session) error {
			insert := rfc.Operation{Op: rfc.OperationInsert, Table: "Every", Row: rfc.Row{"text": ""}}
			pair := func(key, value any) rfc.OvsMap { return rfc.OvsMap{GoMap: map[any]any{key: value}} }
			update := func(row rfc.Row) rfc.Operation {
				return rfc.Operation{Op: rfc.OperationUpdate, Table: "Every", Row: row, Where: []rfc.Condition{rfc.NewCondition("text", rfc.ConditionEqual, "")}}
			}
			for _, operation := range []rfc.Operation{
				insert,
				update(rfc.Row{"single": pair("a", "b")}),
				update(rfc.Row{"single": pair("a", "c"), "texts": "x"}),
				update(rfc.Row{"single": pair("b", "c"), "texts": ""}),
			} {
				if _, err := plain.Transact(ctx, operation); err != nil {
					return err
				}
				differs := func() string { return cmp.Diff(rows(plain, "Every"), rows(session, "Every")) }
				if err := until(ctx, session, func() bool { return differs() == "" }); err != nil {
					return fmt.Errorf("%w (-want +got):\n%s", err, differs())
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSelectionsThatAreWrong ends the session: nobody knows what the copy has.
func TestSelectionsThatAreWrong(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	wrong := ovsdb.Conditions{"A": {rfc.NewCondition("nothing", rfc.ConditionEqual, "x")}}
	unknown := ovsdb.Conditions{"C": nil}
	for _, conditions := range []ovsdb.Conditions{wrong, unknown} {
		cfg := config(t, s.endpoint())
		cfg.Conditions = conditions
		if err := ovsdb.Run(t.Context(), cfg, func(context.Context, *ovsdb.Session) error { return nil }); err == nil {
			t.Errorf("a session begins with the conditions %v", conditions)
		}
		cfg.Conditions = ovsdb.Conditions{}
		if err := ovsdb.Run(t.Context(), cfg, func(ctx context.Context, session *ovsdb.Session) error { return session.Select(ctx, conditions) }); err == nil {
			t.Errorf("the conditions %v are accepted", conditions)
		}
	}
}
