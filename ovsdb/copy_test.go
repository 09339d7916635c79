package ovsdb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-kubernetes/libovsdb/model"
	rfc "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/isonet/isonet/ovsdb"
)

const everySchema = `{"name": "Test", "version": "1.0.0", "tables": {
  "A": {"isRoot": true, "columns": {"name": {"type": "string"}}},
  "Every": {"isRoot": true, "columns": {
    "text": {"type": "string"}, "number": {"type": "integer"}, "flag": {"type": "boolean"},
    "opt": {"type": {"key": "string", "min": 0, "max": 1}}, "optnumber": {"type": {"key": "integer", "min": 0, "max": 1}},
    "texts": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
    "numbers": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
    "one": {"type": {"key": {"type": "uuid", "refTable": "A"}, "min": 0, "max": 1}},
    "many": {"type": {"key": {"type": "uuid", "refTable": "A"}, "min": 0, "max": "unlimited"}},
    "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
    "tables": {"type": {"key": "integer", "value": {"type": "uuid", "refTable": "A"}, "min": 0, "max": "unlimited"}},
    "counts": {"type": {"key": "string", "value": "integer", "min": 0, "max": "unlimited"}}}}}}`

// every has a column of every kind that isonet's databases have.
type every struct {
	UUID      string            `ovsdb:"_uuid"`
	Text      string            `ovsdb:"text"`
	Number    int               `ovsdb:"number"`
	Flag      bool              `ovsdb:"flag"`
	Opt       *string           `ovsdb:"opt"`
	OptNumber *int              `ovsdb:"optnumber"`
	Texts     []string          `ovsdb:"texts"`
	Numbers   []int             `ovsdb:"numbers"`
	One       *string           `ovsdb:"one"`
	Many      []string          `ovsdb:"many"`
	IDs       map[string]string `ovsdb:"ids"`
	Tables    map[int]string    `ovsdb:"tables"`
	Counts    map[string]int    `ovsdb:"counts"`
}

type nameOnly struct {
	UUID string `ovsdb:"_uuid"`
	Name string `ovsdb:"name"`
}

func TestEveryKindOfColumn(t *testing.T) {
	s := startServerWith(t, everySchema)
	cfg := config(t, s.endpoint())
	var err error
	if cfg.Model, err = model.NewClientDBModel("Test", map[string]model.Model{"A": &nameOnly{}, "Every": &every{}}); err != nil {
		t.Fatal(err)
	}
	err = ovsdb.Run(t.Context(), cfg, func(ctx context.Context, session *ovsdb.Session) error {
		results, err := session.Transact(ctx,
			rfc.Operation{Op: rfc.OperationInsert, Table: "A", Row: rfc.Row{"name": "a"}},
			rfc.Operation{Op: rfc.OperationInsert, Table: "A", Row: rfc.Row{"name": "b"}},
			rfc.Operation{Op: rfc.OperationInsert, Table: "Every", Row: rfc.Row{"text": ""}})
		if err != nil {
			return err
		}
		a, b, row := results[0].UUID, results[1].UUID, results[2].UUID.GoUUID
		empty := every{UUID: row, Texts: []string{}, Numbers: []int{}, Many: []string{}, IDs: map[string]string{}, Tables: map[int]string{}, Counts: map[string]int{}}
		odd := "ä\"\\\t\u2028 €"
		full := every{
			UUID: row, Text: odd, Number: -1 << 60, Flag: true, Opt: &odd, OptNumber: new(7),
			Texts: []string{odd}, Numbers: []int{1, 2}, One: &a.GoUUID, Many: []string{a.GoUUID},
			IDs: map[string]string{odd: odd, "": ""}, Tables: map[int]string{254: b.GoUUID}, Counts: map[string]int{"x": 1},
		}
		for _, c := range []struct {
			row  rfc.Row
			want every
		}{
			{rfc.Row{}, empty},
			{rfc.Row{
				"text": odd, "number": -1 << 60, "flag": true, "opt": odd, "optnumber": 7, "texts": odd,
				"numbers": rfc.OvsSet{GoSet: []any{1, 2}}, "one": a, "many": a,
				"ids": rfc.OvsMap{GoMap: map[any]any{odd: odd, "": ""}}, "tables": rfc.OvsMap{GoMap: map[any]any{254: b}}, "counts": rfc.OvsMap{GoMap: map[any]any{"x": 1}},
			}, full},
			{rfc.Row{"many": rfc.OvsSet{GoSet: []any{a, b}}}, func() every {
				w := full
				w.Many = []string{min(a.GoUUID, b.GoUUID), max(a.GoUUID, b.GoUUID)}
				return w
			}()},
		} {
			if len(c.row) > 0 {
				where := []rfc.Condition{rfc.NewCondition("_uuid", rfc.ConditionEqual, rfc.UUID{GoUUID: row})}
				if _, err := session.Transact(ctx, rfc.Operation{Op: rfc.OperationUpdate, Table: "Every", Row: c.row, Where: where}); err != nil {
					return err
				}
			}
			diff := ""
			if err := until(ctx, session, func() bool {
				got, ok := rows(session, "Every")[row].(*every)
				if !ok {
					return false
				}
				diff = cmp.Diff(c.want, *got)
				return diff == ""
			}); err != nil {
				return fmt.Errorf("%w (-want +got):\n%s", err, diff)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestChangesAddUp looks now and then while rows come, change and go: whoever
// follows the changes has what is there, and is told of each row as it was.
func TestChangesAddUp(t *testing.T) {
	s := startServer(t)
	random := rand.New(rand.NewPCG(1, 2))
	err := ovsdb.Run(t.Context(), config(t, s.endpoint()), func(ctx context.Context, session *ovsdb.Session) error {
		followed := map[string]map[string]model.Model{"A": {}, "B": {}}
		look := func() (diff string) {
			session.Look(func(all ovsdb.Tables, changes ovsdb.Changes) {
				for table, rows := range changes {
					for uuid, change := range rows {
						if followed[table][uuid] != change.Before {
							diff += fmt.Sprintf("the row %s was %v, not %v\n", uuid, followed[table][uuid], change.Before)
						}
						if change.After == nil {
							delete(followed[table], uuid)
							continue
						}
						followed[table][uuid] = change.After
					}
				}
				diff += cmp.Diff(map[string]map[string]model.Model(all), followed)
			})
			return diff
		}
		for step := range 300 {
			var operations []rfc.Operation
			for range 1 + random.IntN(4) {
				table, name := []string{"A", "B"}[random.IntN(2)], fmt.Sprint(random.IntN(8))
				switch random.IntN(3) {
				case 0:
					operations = append(operations, rfc.Operation{Op: rfc.OperationDelete, Table: table, Where: named(name)})
				case 1:
					operations = append(operations, add(table, name, 1))
				case 2:
					operations = append(operations, rfc.Operation{Op: rfc.OperationDelete, Table: table, Where: named(name)}, insert(table, name, 0))
				}
			}
			if _, err := session.Transact(ctx, operations...); err != nil {
				return err
			}
			if random.IntN(3) == 0 {
				if diff := look(); diff != "" {
					return fmt.Errorf("step %d: %s", step, strings.TrimSpace(diff))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
