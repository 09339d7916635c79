// Package totals keeps the networks' traffic totals in a file, so that they go
// on after a restart of the program (docs/adr/0005-traffic-that-lasts.md).
package totals

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/isonet/isonet/model/traffic"
)

// Interval is the time between two writes. It bounds what a crash loses.
const Interval = 30 * time.Second

// format is the first line of the file, with the CRC-32C of what follows.
const format = "isonet traffic 1 %08x\n"

// content is what follows the first line, as JSON.
type content struct {
	// Boot is the kernel's boot_id (random(4)); empty is unknown.
	Boot string `json:"boot"`
	traffic.State
}

// File is the file with the totals. It is not for several goroutines at once.
type File struct {
	path string
	log  *slog.Logger
	boot string
	// written is what the file has, failing whether the last write failed.
	written []byte
	failing bool
}

// Open returns the file of a path. It need not exist, nor its directory.
func Open(path string, log *slog.Logger) *File {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		log.Warn("whether the host was started anew since the traffic was last counted will not be known", "error", err)
	}
	return &File{path: path, log: log, boot: strings.TrimSpace(string(boot))}
}

// Load returns what was saved last, which is nothing at first, and whether the
// host was started anew since. A file that cannot be read is kept aside under
// another name and logged, and the totals start from zero.
func (f *File) Load() (state traffic.State, rebooted bool) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return traffic.State{}, false
	}
	var c content
	if err == nil {
		c, err = decode(data)
	}
	if err != nil {
		f.putAside(err)
		return traffic.State{}, false
	}
	f.written = data
	return c.State, c.Boot != "" && f.boot != "" && c.Boot != f.boot
}

func decode(data []byte) (content, error) {
	head, body, _ := bytes.Cut(data, []byte("\n"))
	if string(head)+"\n" != fmt.Sprintf(format, checksum(body)) {
		return content{}, errors.New("the file is damaged, or of a newer isonetd")
	}
	var c content
	if err := json.Unmarshal(body, &c); err != nil {
		return content{}, fmt.Errorf("read the file: %w", err)
	}
	return c, nil
}

func checksum(body []byte) uint32 { return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) }

func (f *File) putAside(problem error) {
	aside := f.path + ".broken-" + time.Now().UTC().Format("20060102T150405Z")
	if err := os.Rename(f.path, aside); err != nil {
		problem = errors.Join(problem, err)
	}
	f.log.Error("the traffic totals of before are lost, and the networks' traffic counts from zero; look into the file that is kept aside",
		"file", f.path, "kept", aside, "error", problem)
}

// Save writes a state, unless the file has it already. After a crash the file
// has this state or the one before it. When it cannot be written, that is
// logged, and the next Save tries again.
func (f *File) Save(state traffic.State) {
	err := f.save(content{f.boot, state})
	switch {
	case err != nil && !f.failing:
		f.log.Error("the traffic totals cannot be saved, and a restart will lose what is counted meanwhile; trying on", "error", err)
	case err == nil && f.failing:
		f.log.Info("the traffic totals can be saved again")
	}
	f.failing = err != nil
}

func (f *File) save(c content) error {
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write the traffic totals: %w", err)
	}
	data := append(fmt.Appendf(nil, format, checksum(body)), body...)
	if bytes.Equal(data, f.written) {
		return nil
	}
	if err := replace(f.path, data); err != nil {
		return fmt.Errorf("write the traffic totals: %w", err)
	}
	f.written = data
	return nil
}

// replace puts data in the place of a file, on the disk. A crash leaves the old
// file or the new one, whole.
func replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fresh := path + ".new"
	if err := errors.Join(os.WriteFile(fresh, data, 0o600), flush(fresh)); err != nil {
		return err
	}
	return errors.Join(os.Rename(fresh, path), flush(dir))
}

// flush brings a file or a directory to the disk.
func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
