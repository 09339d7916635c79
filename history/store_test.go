package history_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/isonet/isonet/history"
)

// writerDir names the directory in which the test binary is to keep a history until it
// is killed.
const writerDir = "HISTORY_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		writeForEver(dir)
	}
	goleak.VerifyTestMain(m)
}

// clock is one that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) get() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a history that runs.
type world struct {
	*testing.T
	*history.Store
	clock *clock
	dir   string
	stop  func()
}

func newWorld(t *testing.T, dir string, b history.Bounds) *world {
	t.Helper()
	w := &world{T: t, dir: dir, clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	w.Store = history.New(history.Config{Dir: dir, Bounds: b, Log: slog.New(slog.DiscardHandler), Now: w.clock.get})
	w.start()
	return w
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Store.Run(ctx) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	}
	w.Cleanup(w.stop)
}

// write records a write by a user, and waits until it is shown.
func (w *world) write(user string) {
	w.Helper()
	w.Record(history.Entry{Kind: history.KindWrite, User: user})
	w.until("the write by "+user+" is shown", func() bool {
		for e, err := range w.Entries(0) {
			if err != nil {
				w.Fatal(err)
			}
			if e.Kind == history.KindWrite {
				return e.User == user
			}
		}
		return false
	})
}

// until waits until a condition holds that a change of the history can bring about.
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	deadline := time.After(3 * time.Minute)
	for !holds() {
		select {
		case <-deadline:
			w.Fatalf("it does not come about that %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (w *world) all(from int64) []history.Entry {
	w.Helper()
	var all []history.Entry
	for e, err := range w.Entries(from) {
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, e)
	}
	for i := 1; i < len(all); i++ {
		if all[i].Index >= all[i-1].Index {
			w.Fatalf("after %d comes %d", all[i-1].Index, all[i].Index)
		}
	}
	return all
}

func (w *world) users() string {
	var users []string
	for _, e := range w.all(0) {
		users = append(users, e.User+e.ClaimedUser)
	}
	return strings.Join(users, " ")
}

// files is what all files of a history take, without those that are just written to take
// the place of others.
func files(t testing.TB, dir string) (size int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "history-*"))
	if err != nil {
		t.Fatal(err)
	}
	var seen []os.FileInfo
	for _, name := range names {
		info, err := os.Stat(name)
		twice := func(other os.FileInfo) bool { return os.SameFile(info, other) }
		if fresh := strings.HasSuffix(name, ".new"); err == nil && !fresh && !slices.ContainsFunc(seen, twice) { // it may just have been renamed
			seen = append(seen, info)
			size += info.Size()
		}
	}
	return size
}

const plenty = 1 << 20

func TestWhatWasRecordedIsThereAfterARestart(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "not there yet"), history.Bounds{Size: plenty})
	w.write("alice")
	w.write("bob")
	before := w.all(0)
	w.stop()
	w = newWorld(t, w.dir, history.Bounds{Size: plenty})
	w.write("carol")
	after := w.all(0)
	if got := w.users(); got != "carol bob alice" || after[0].Index <= before[0].Index {
		t.Errorf("the history is %v, before it was %v", after, before)
	}
	if got := w.all(before[0].Index); len(got) != 1 || got[0].User != "carol" {
		t.Errorf("since %d there is %v", before[0].Index, got)
	}
	if h := w.Health(); !h.On || h.Size != files(t, w.dir) || h.Lost != 0 || h.Trouble != nil {
		t.Errorf("its health is %+v, and its files have %d bytes", h, files(t, w.dir))
	}
}

// Whatever comes and however often the files are replaced, they have room in the bound,
// and the newest are there, and have indexes that only grow.
func TestTheSizeIsBounded(t *testing.T) {
	const bound = 64 << 10
	w := newWorld(t, t.TempDir(), history.Bounds{Size: bound})
	for i := range 3000 {
		for _, kind := range []string{history.KindWrite, history.KindDeed, history.KindLogin} {
			w.Record(history.Entry{Kind: kind, Text: fmt.Sprint(i, strings.Repeat("x", i%200))})
		}
		if i%500 == 499 {
			w.write(fmt.Sprint("end", i))
			w.within(bound)
		}
	}
	w.stop()
	all := w.all(0)
	if len(all) < 100 || w.find("end2999").Kind != history.KindWrite {
		t.Errorf("there are %d entries", len(all))
	}
	highest := all[0].Index
	w = newWorld(t, w.dir, history.Bounds{Size: bound})
	w.write("again")
	if got := w.all(highest); len(got) != 1 {
		t.Errorf("after a restart %d entries have an index above %d", len(got), highest)
	}
}

// A stranger who tries to log in from everywhere does not push out what operators did.
func TestAFloodOfLoginsLeavesTheWrites(t *testing.T) {
	const bound = 64 << 10
	w := newWorld(t, t.TempDir(), history.Bounds{Size: bound})
	w.write("alice")
	for i := range 5000 {
		name := fmt.Sprint("mallory", i)
		w.Record(history.Entry{Kind: history.KindDeed, Text: "a port comes and goes"}, history.Entry{Kind: history.KindLogin, ClaimedUser: name})
		if i%500 == 499 {
			w.until("they are kept", func() bool { return strings.HasPrefix(w.users(), name) })
		}
	}
	w.write("bob")
	var writers []string
	for e, err := range w.Entries(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == history.KindWrite {
			writers = append(writers, e.User)
		}
	}
	if got := strings.Join(writers, " "); got != "bob alice" {
		t.Errorf("of the writers there are %s", got)
	}
	w.within(bound)
}

// What is alike is told once, and then counted: at the end of the time, and when isonetd
// stops.
func TestWhatIsAlikeIsCounted(t *testing.T) {
	w := newWorld(t, t.TempDir(), history.Bounds{Size: plenty})
	guess := func(address, name string) {
		w.RecordAlike(address, history.Entry{Kind: history.KindLogin, Client: address, ClaimedUser: name, Text: "no"})
	}
	guess("192.0.2.1", "first")
	guess("192.0.2.2", "other")
	for range 1000 {
		guess("192.0.2.1", "more")
	}
	w.until("both are told once", func() bool { return w.users() == "other first" })
	w.clock.pass(11 * time.Minute)
	w.write("alice") // wakes it
	w.until("the rest is counted", func() bool { return strings.Count(w.users(), "more") == 1 })
	if e := w.find("more"); e.Count != 1000 || !strings.Contains(e.Text, "1000 times") || e.Since.IsZero() {
		t.Errorf("it is told as %+v", e)
	}
	guess("192.0.2.1", "last")
	w.stop()
	if e := w.find("last"); e.Count != 1 {
		t.Errorf("at the end it is told as %+v", e)
	}
}

// From more addresses than are told apart, the rest counts as one.
func TestManyAddressesAreCountedTogether(t *testing.T) {
	w := newWorld(t, t.TempDir(), history.Bounds{Size: plenty})
	for i := range 10000 {
		w.RecordAlike(fmt.Sprint(i), history.Entry{Kind: history.KindLogin, ClaimedUser: "x"})
	}
	w.stop()
	counted := 0
	for _, e := range w.all(0) {
		counted += e.Count
	}
	if counted != 10000-4096 {
		t.Errorf("%d are counted", counted)
	}
}

func (w *world) find(user string) history.Entry {
	w.Helper()
	for _, e := range w.all(0) {
		if e.User+e.ClaimedUser == user {
			return e
		}
	}
	w.Fatalf("there is nothing by %s in %s", user, w.users())
	return history.Entry{}
}

func TestWhatIsTooOldGoes(t *testing.T) {
	w := newWorld(t, t.TempDir(), history.Bounds{Size: plenty, Age: time.Hour})
	w.write("alice")
	w.clock.pass(40 * time.Minute)
	w.write("bob")
	w.clock.pass(40 * time.Minute)
	if got := w.users(); got != "bob" {
		t.Errorf("there is %s", got)
	}
	highest := w.all(0)[0].Index
	w.Rebound(history.Bounds{Size: plenty, Age: time.Hour}) // makes it look
	w.until("it is gone from the disk", func() bool { return !grep(t, w.dir, "alice") && grep(t, w.dir, "bob") })
	w.clock.pass(2 * time.Hour)
	w.Rebound(history.Bounds{Size: plenty, Age: time.Hour})
	w.until("all is gone from the disk", func() bool { return !grep(t, w.dir, "bob") })
	w.stop()
	w = newWorld(t, w.dir, history.Bounds{Size: plenty})
	w.write("carol")
	if got := w.all(0); len(got) != 1 || got[0].Index <= highest {
		t.Errorf("after %d comes %v", highest, got)
	}
}

// within waits until the files have room in a bound: the one that is to take another's
// place is beside both of them for a moment.
func (w *world) within(bound int64) {
	w.Helper()
	w.until(fmt.Sprintf("the files have at most %d bytes", bound), func() bool { return files(w.T, w.dir) <= bound })
}

// grep reports whether a text is in the files.
func grep(t testing.TB, dir, text string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "history-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil && strings.Contains(string(data), text) {
			return true
		}
	}
	return false
}

func TestALoweredBoundShortensTheFiles(t *testing.T) {
	const bound = 64 << 10
	w := newWorld(t, t.TempDir(), history.Bounds{Size: 16 * bound})
	for i := range 3000 {
		w.Record(history.Entry{Kind: history.KindWrite, User: fmt.Sprint(i), Text: strings.Repeat("x", 200)})
		if i%500 == 499 {
			w.write(fmt.Sprint("step", i))
		}
	}
	w.write("last")
	if size := files(t, w.dir); size < 2*bound {
		t.Fatalf("the files have %d bytes only", size)
	}
	w.Rebound(history.Bounds{Size: bound})
	w.within(bound)
	all := w.all(0)
	if len(all) < 20 || all[0].User != "last" || all[1].User != "step2999" {
		t.Fatalf("%d entries are left, the newest %v", len(all), all[0])
	}
	for i := range len(all) - 1 {
		if all[i].Index-all[i+1].Index != 1 {
			t.Fatalf("there is a gap between %d and %d", all[i+1].Index, all[i].Index)
		}
	}
}

// Without a size there is no history, and no file. What was there before stays, and is
// there again with a size.
func TestOff(t *testing.T) {
	w := newWorld(t, t.TempDir(), history.Bounds{})
	w.Record(history.Entry{Kind: history.KindWrite, User: "nobody"})
	w.RecordAlike("x", history.Entry{Kind: history.KindWrite, User: "nobody"})
	if got := w.users(); got != "" || w.Health() != (history.Health{}) {
		t.Errorf("there is %s, and its health is %+v", got, w.Health())
	}
	w.Rebound(history.Bounds{Size: plenty})
	w.write("alice")
	w.Rebound(history.Bounds{})
	w.until("nothing is shown", func() bool { return w.users() == "" })
	w.Record(history.Entry{Kind: history.KindWrite, User: "nobody"})
	w.Rebound(history.Bounds{Size: plenty})
	w.write("bob")
	if got := w.users(); got != "bob alice" {
		t.Errorf("there is %s", got)
	}
	w.stop()
	var none *history.Store
	none.Record(history.Entry{})
	none.RecordAlike("", history.Entry{})
	for _, err := range none.Entries(0) {
		t.Error(err)
		t.Error("nothing has an entry")
	}
}

// What cannot be read is left out, and what follows is there. What a crash has left of a
// line is cut off.
func TestDamagedFiles(t *testing.T) {
	for name, damage := range map[string]func(string) string{
		"a torn last line":   func(s string) string { return s + `{"index":99,"kind":"wri` },
		"a torn entry":       func(s string) string { return s[:len(s)-5] },
		"no first line":      func(s string) string { _, s, _ = strings.Cut(s, "\n"); return s },
		"nothing":            func(string) string { return "" },
		"garbage":            func(string) string { return strings.Repeat("\x00garbage\n", 20000) },
		"garbage, no lines":  func(string) string { return strings.Repeat("\x00", 300000) },
		"garbage before all": func(s string) string { return strings.Repeat("y", 70000) + "\n" + s },
		"empty lines":        func(s string) string { return "\n\n" + s + "\n\n\n" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, t.TempDir(), history.Bounds{Size: plenty})
			w.write("alice")
			w.write("bob")
			w.stop()
			path := filepath.Join(w.dir, "history-writes")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(damage(string(data))), 0o600); err != nil {
				t.Fatal(err)
			}
			before := w.users()
			w = newWorld(t, w.dir, history.Bounds{Size: plenty})
			w.write("carol")
			if got := w.users(); got != strings.TrimSpace("carol "+before) {
				t.Errorf("there is %s, before there was %s", got, before)
			}
		})
	}
}

// Whoever removes or empties the files ends what they had, not the history.
func TestFilesThatAreTakenAway(t *testing.T) {
	for name, takeAway := range map[string]func(path string) error{
		"removed":  os.Remove,
		"emptied":  func(path string) error { return os.Truncate(path, 0) },
		"replaced": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, []byte("x\n"), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, t.TempDir(), history.Bounds{Size: plenty})
			w.write("alice")
			highest := w.all(0)[0].Index
			if err := takeAway(filepath.Join(w.dir, "history-writes")); err != nil {
				t.Fatal(err)
			}
			w.write("bob")
			w.write("carol")
			if got := w.users(); got != "carol bob" || w.all(0)[1].Index <= highest {
				t.Errorf("there is %s", got)
			}
			w.stop()
			w = newWorld(t, w.dir, history.Bounds{Size: plenty})
			if w.write("dave"); w.users() != "dave carol bob" {
				t.Errorf("after a restart there is %s", w.users())
			}
		})
	}
}

// What a file has beyond any bound is not looked through: a reader would wait for it, and
// the history with it.
func TestAHugeFile(t *testing.T) {
	for _, name := range []string{"history-writes", "history-writes.1"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, t.TempDir(), history.Bounds{Size: plenty})
			w.write("alice")
			w.stop()
			path := filepath.Join(w.dir, name)
			if err := errors.Join(os.WriteFile(path, []byte("x\n"), 0o600), os.Truncate(path, 1<<40)); err != nil {
				t.Fatal(err)
			}
			w = newWorld(t, w.dir, history.Bounds{Size: plenty})
			w.write("bob")
			w.Rebound(history.Bounds{Size: plenty}) // makes it look
			w.within(plenty)
			w.write("carol")
		})
	}
}

// A second isonetd with the directory of the first shows its history, and writes to it
// only when the first has ended.
func TestTwoWriters(t *testing.T) {
	first := newWorld(t, t.TempDir(), history.Bounds{Size: plenty})
	first.write("alice")
	second := newWorld(t, first.dir, history.Bounds{Size: plenty})
	second.Record(history.Entry{Kind: history.KindWrite, User: "bob"})
	second.until("it knows that it cannot", func() bool { return second.Health().Trouble != nil })
	first.write("carol")
	if got := second.users(); got != "carol alice" || first.users() != got {
		t.Errorf("the second shows %s, the first %s", got, first.users())
	}
	if err := second.Health().Trouble; !strings.Contains(err.Error(), "another isonetd") {
		t.Errorf("it says: %v", err)
	}
	first.stop()
	second.until("it has taken over", func() bool { return second.users() == "bob carol alice" && second.Health().Trouble == nil })
}

// What the disk does not take in time is lost, counted and told.
func TestLosses(t *testing.T) {
	dir := t.TempDir()
	s := history.New(history.Config{Dir: dir, Bounds: history.Bounds{Size: plenty}, Log: slog.New(slog.DiscardHandler)})
	for range 1500 { // nobody writes yet
		s.Record(history.Entry{Kind: history.KindLogin}, history.Entry{Kind: history.KindWrite, User: "x"})
	}
	w := &world{T: t, Store: s, dir: dir, clock: &clock{}}
	w.start()
	w.until("the loss is told", func() bool {
		for _, e := range w.all(0) {
			if e.Kind == history.KindLoss {
				return strings.HasPrefix(e.Text, fmt.Sprint(2*(1500-1024), " entries"))
			}
		}
		return false
	})
	if got := w.Health().Lost; got != 2*(1500-1024) {
		t.Errorf("%d are lost", got)
	}
}

// A full disk takes nothing from what is there. When there is room again, the history
// goes on, with what was recorded meanwhile.
func TestAFullDisk(t *testing.T) {
	dir, err := os.MkdirTemp("", "history")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size=256k"); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(dir, syscall.MNT_DETACH), os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, dir, history.Bounds{Size: plenty})
	w.write("alice")
	ballast := filepath.Join(dir, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // the last block of a file has room
		w.Record(history.Entry{Kind: history.KindWrite, User: fmt.Sprint(i), Text: strings.Repeat("x", 1000)})
	}
	w.until("it is known that the disk is full", func() bool { return errors.Is(w.Health().Trouble, syscall.ENOSPC) })
	during := w.all(0)
	if len(during) == 0 || during[len(during)-1].User != "alice" {
		t.Errorf("on the full disk there are %d entries", len(during))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.until("all is there", func() bool { return len(w.all(0)) == 101 && w.Health().Trouble == nil })
	if got := w.users(); !strings.HasPrefix(got, "99 98 ") || !strings.HasSuffix(got, " 0 alice") {
		t.Errorf("there is %s", got)
	}
	if lost := w.Health().Lost; lost != 0 {
		t.Errorf("%d are lost", lost)
	}
}

// writeForEver keeps a history in small files, and says which index is shown.
func writeForEver(dir string) {
	s := history.New(history.Config{Dir: dir, Bounds: history.Bounds{Size: 32 << 10}, Log: slog.New(slog.DiscardHandler)})
	go func() {
		_ = s.Run(context.Background()) // it is killed
	}()
	for {
		changed := s.Changed()
		s.Record(history.Entry{Kind: history.KindWrite, Text: strings.Repeat("x", 300)})
		<-changed
		for e, err := range s.Entries(0) {
			if err != nil {
				panic(err) // which ends the process, and fails the test
			}
			fmt.Println(e.Index)
			break
		}
	}
}

// TestKilledWhileWriting kills a process again and again while it writes. What it has
// shown is there afterwards, and the indexes go on.
func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	highest := int64(0)
	for round := range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), writerDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, shown := bufio.NewScanner(out), int64(0)
		for n := 0; n < 50+37*round && lines.Scan(); n++ {
			if _, err := fmt.Sscan(lines.Text(), &shown); err != nil {
				t.Fatal(err)
			}
			if shown <= highest {
				t.Fatalf("after %d comes %d", highest, shown)
			}
			highest = shown
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		for line := range strings.Lines(string(rest)) {
			if _, err := fmt.Sscan(line, &shown); err == nil && strings.HasSuffix(line, "\n") {
				highest = max(highest, shown)
			}
		}
		w := newWorld(t, dir, history.Bounds{Size: 32 << 10})
		all := w.all(0)
		if len(all) == 0 || all[0].Index < highest {
			t.Fatalf("%d was shown, and is lost", highest)
		}
		for i := range len(all) - 1 {
			if all[i].Index-all[i+1].Index != 1 {
				t.Fatalf("there is a gap between %d and %d", all[i+1].Index, all[i].Index)
			}
		}
		highest = all[0].Index
		w.stop()
	}
}

// FuzzFiles reads a history from files with anything in them, and goes on with it.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("{\"isonet\":\"history 1\",\"next\":7}\n{\"index\":7,\"kind\":\"write\"}\n"), []byte("{\"index\":8,\"kind\":\"write\"}"))
	f.Add([]byte("\n\n{\"index\":-1}\n{\"isonet\":\"history 1\",\"next\":-9}"), []byte(strings.Repeat("x\n", 70000)))
	f.Fuzz(func(t *testing.T, older, current []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"history-writes.1": older, "history-writes": current, "history-writes.new": older} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := history.New(history.Config{Dir: dir, Bounds: history.Bounds{Size: plenty, Age: time.Hour}, Log: slog.New(slog.DiscardHandler)})
		s.Record(history.Entry{Kind: history.KindWrite, User: "alice"})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		newest := true
		for e, err := range s.Entries(0) {
			if err != nil {
				t.Fatal(err)
			}
			if newest && e.User != "alice" {
				t.Errorf("the newest is %+v", e)
			}
			newest = false
		}
	})
}
