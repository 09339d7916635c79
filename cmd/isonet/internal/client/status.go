package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/isonet/isonet/wire"
)

// ParseStatus reads one status. The networks are sorted by name.
func ParseStatus(data []byte) (wire.Status, error) {
	var s wire.Status
	if err := json.Unmarshal(data, &s); err != nil {
		return wire.Status{}, fmt.Errorf("%w: %w", ErrNotIsonetd, err)
	}
	slices.SortFunc(s.Networks, func(a, b wire.NetworkStatus) int { return strings.Compare(a.Name, b.Name) })
	return s, nil
}

// Status returns how the host's networks stand.
func (c *Client) Status(ctx context.Context) (wire.Status, error) {
	var data json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/isonet/status", nil, nil, &data); err != nil {
		return wire.Status{}, err
	}
	return ParseStatus(data)
}

// ErrStreamEnded says that the daemon ended the stream of Watch.
var ErrStreamEnded = errors.New("isonetd ended the stream, for instance because it was stopped")

// Watch calls each with a line of JSON, a status, for the present and then for
// every change. It returns when ctx ends, when each returns an error, or with
// ErrStreamEnded.
func (c *Client) Watch(ctx context.Context, each func(line []byte) error) error {
	resp, err := c.send(ctx, http.MethodGet, "/isonet/watch", nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is wanted of it
	if resp.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return newFault(resp.StatusCode, data)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue // keeps the connection alive
		}
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", ErrStreamEnded, err)
	default:
		return ErrStreamEnded
	}
}
