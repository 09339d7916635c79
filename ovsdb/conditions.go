package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// Conditions say which rows of the tables a session has a copy of: those that satisfy
// at least one condition of their table (monitor_cond, ovsdb-server(7)). With an empty
// list there are none. Of a table that is not named there are all.
type Conditions map[string][]ovsdb.Condition

// where returns the <condition>s of a table.
func (c Conditions) where(table string) []any {
	selected, limited := c[table]
	switch {
	case !limited:
		return []any{true}
	case len(selected) == 0:
		return []any{false}
	}
	where := make([]any, 0, len(selected))
	for _, condition := range selected {
		where = append(where, condition)
	}
	return where
}

// conditional returns the <monitor-cond-requests> for all columns.
func (c *rowCopy) conditional(conditions Conditions) (map[string]any, error) {
	if err := c.check(conditions); err != nil {
		return nil, err
	}
	requests := map[string]any{}
	for table, s := range c.shapes {
		requests[table] = []any{map[string]any{"columns": s.names(), "where": conditions.where(table)}}
	}
	return requests, nil
}

// check fails when a condition is for a table that is not followed.
func (c *rowCopy) check(conditions Conditions) error {
	for table := range conditions {
		if _, known := c.shapes[table]; !known {
			return fmt.Errorf("there are conditions for the table %s, which is not followed", table)
		}
	}
	return nil
}

// choose changes the conditions (monitor_cond_change, ovsdb-server(7)). The server sends
// what they change before it answers, so that the copy has it by then.
func (c *connection) choose(ctx context.Context, conditions Conditions) error {
	if err := c.copy.check(conditions); err != nil {
		return err
	}
	updates := map[string]any{}
	for table := range c.copy.shapes {
		updates[table] = []any{map[string]any{"where": conditions.where(table)}}
	}
	var reply json.RawMessage
	if err := c.call(ctx, "monitor_cond_change", []any{configured, configured, updates}, &reply); err != nil {
		return fmt.Errorf("change which rows of the database %s are followed: %w", c.database, err)
	}
	return nil
}
