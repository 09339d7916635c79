package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// toolTimeout bounds one run of a program of Open vSwitch.
const toolTimeout = time.Minute

// run runs a program of Open vSwitch and returns what it prints.
func run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, done := context.WithTimeoutCause(ctx, toolTimeout, fmt.Errorf("it did not end within %v", toolTimeout))
	defer done()
	cmd := exec.CommandContext(ctx, program, append([]string{"-vsyslog:off"}, args...)...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return strings.TrimSpace(out.String()), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s %s: %w", program, args[0], context.Cause(ctx))
	case errors.As(err, &exit):
		return "", fmt.Errorf("%s %s: %w: %s", program, args[0], err, strings.TrimSpace(problems.String()))
	default:
		return "", fmt.Errorf("%s cannot be run: %w: install Open vSwitch's packages, or have its directory in PATH (which is %q)", program, err, os.Getenv("PATH"))
	}
}

// refused returns the error in the results of a transaction, which ovsdb-client prints
// and calls a success.
func refused(results string) error {
	var list []struct {
		Error   string `json:"error"`
		Details string `json:"details"`
	}
	if err := json.Unmarshal([]byte(results), &list); err != nil {
		return fmt.Errorf("read the results of a transaction: %w", err)
	}
	for _, r := range list {
		if r.Error != "" {
			return fmt.Errorf("the database refused a transaction: %s (%s)", r.Error, r.Details)
		}
	}
	return nil
}
