package keeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/quick"

	"golang.org/x/sys/unix"
)

// pair is both ends of a connection in this process.
func pair(t testing.TB) (a, b *Conn) {
	t.Helper()
	a, fd, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	b = NewConn(fd)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func memfdOf(t testing.TB, content string) int {
	t.Helper()
	fd, err := Memfd("test", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestRoundTrip has any Message come back as it was.
func TestRoundTrip(t *testing.T) {
	a, b := pair(t)
	same := func(m Message) bool {
		m.Record = nil // any JSON: quick makes none
		if m.Spawn != nil {
			m.Spawn.Stage = nil
		}
		if m.Kind == "memfd" {
			return true
		}
		if err := a.Send(&m); err != nil {
			t.Fatal(err)
		}
		got, fds, err := b.Receive()
		if err != nil || len(fds) != 0 {
			t.Fatal(err, fds)
		}
		want, _ := json.Marshal(&m)
		have, _ := json.Marshal(got)
		return bytes.Equal(want, have)
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

// TestOnWire pins the short names: an engine and a keeper of different days have to understand each other.
func TestOnWire(t *testing.T) {
	m := &Message{Kind: SpawnOrder, Unit: "web", Gen: 2, Op: 3, Seen: 1, Record: json.RawMessage(`{"a":1}`),
		Spawn: &Spawn{Exec: &Exec{Path: "/p", Argv: []string{"p"}, Env: []string{"A=1"}, Dir: "/"}, UID: 1, GID: 2, Mark: "M=1", Ready: 7}}
	const want = `{"k":"spawn","u":"web","g":2,"o":3,"sn":1,"r":{"a":1},` +
		`"sp":{"exec":{"path":"/p","argv":["p"],"env":["A=1"],"dir":"/"},"uid":1,"gid":2,"mark":"M=1","ready":7}}`
	data, err := json.Marshal(m)
	if err != nil || string(data) != want {
		t.Errorf("%s\nwant %s, %v", data, want, err)
	}
	got, _, err := decode([]byte(strings.Replace(want, "{", `{"later":[1],`, 1)), nil) // of a later version
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDescriptorsTravel(t *testing.T) {
	a, b := pair(t)
	for _, size := range []int{1, maxMessage, 3 * maxMessage} {
		record, _ := json.Marshal(strings.Repeat("x", size))
		fds := []int{memfdOf(t, "one"), memfdOf(t, "two")}
		for len(fds) < maxFiles {
			fds = append(fds, fds[0])
		}
		if err := a.Send(&Message{Kind: Row, Record: record}, fds...); err != nil {
			t.Fatal(err)
		}
		m, got, err := b.Receive()
		if err != nil || !bytes.Equal(m.Record, record) || len(got) != maxFiles {
			t.Fatalf("size %d: %d descriptors, %v", size, len(got), err)
		}
		for i, want := range []string{"one", "two"} {
			if data, err := ReadMemfd(got[i]); string(data) != want || err != nil {
				t.Errorf("descriptor %d holds %q, %v", i, data, err)
			}
			if flags, _ := unix.FcntlInt(uintptr(got[i]), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
				t.Error("a received descriptor is inherited")
			}
		}
		CloseAll(got)
	}
}

// TestTooManyDescriptors: the message comes without any, and nothing stays open.
func TestTooManyDescriptors(t *testing.T) {
	a, b := pair(t)
	fd := memfdOf(t, "x")
	fds := make([]int, 200)
	for i := range fds {
		fds[i] = fd
	}
	before := openFiles(t, os.Getpid())
	if err := a.Send(&Message{Kind: Hold}, fds...); err != nil {
		t.Fatal(err)
	}
	m, got, err := b.Receive()
	if err != nil || m.Kind != Hold || len(got) != 0 {
		t.Errorf("%+v, %d descriptors, %v", m, len(got), err)
	}
	if after := openFiles(t, os.Getpid()); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestEndOfConnection(t *testing.T) {
	a, b := pair(t)
	for range 3 {
		if err := a.Send(&Message{Kind: Ping}); err != nil {
			t.Fatal(err)
		}
	}
	b.Hangup() // what was sent before is still there
	for range 3 {
		if m, _, err := b.Receive(); err != nil || m.Kind != Ping {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if _, _, err := b.Receive(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if err := a.Send(&Message{Kind: Ping}); !errors.Is(err, unix.EPIPE) {
		t.Errorf("send to nobody: %v", err)
	}
}

func TestTrySendDoesNotWait(t *testing.T) {
	a, b := pair(t)
	record, _ := json.Marshal(strings.Repeat("x", 100<<10))
	sent := 0
	for ; sent < 10000; sent++ {
		err := a.TrySend(&Message{Kind: Note, Record: record})
		if err == ErrFull {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if sent == 0 || sent == 10000 {
		t.Fatalf("full after %d messages", sent)
	}
	done := make(chan error)
	go func() { done <- a.Send(&Message{Kind: Listed}) }()
	for range sent {
		if _, _, err := b.Receive(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if m, _, err := b.Receive(); err != nil || m.Kind != Listed {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestWhatCannotBeEncoded(t *testing.T) {
	a, _ := pair(t)
	if err := a.Send(&Message{Kind: Note, Record: json.RawMessage(`{`)}); !errors.Is(err, errEncode) {
		t.Errorf("got %v", err)
	}
}

func TestReadMemfd(t *testing.T) {
	fd := memfdOf(t, "content")
	if _, err := unix.Seek(fd, 3, 0); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadMemfd(fd); string(data) != "content" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := ReadMemfd(memfdOf(t, "")); len(data) != 0 || err != nil {
		t.Errorf("of an empty one: %q, %v", data, err)
	}
	huge := memfdOf(t, "")
	if err := unix.Ftruncate(huge, maxMemfd+1); err != nil {
		t.Fatal(err)
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer CloseAll(p[:])
	for name, fd := range map[string]int{"too large": huge, "a pipe": p[0], "closed": -1} {
		if _, err := ReadMemfd(fd); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzDecode: no datagram makes decode panic, or leave a descriptor open or unmentioned.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"k":"memfd"}`, `{"k":"spawn","sp":{"exec":null}}`, `[`, `{"k":1}`, `{"u":"\u0000"}`, `null`} {
		f.Add([]byte(seed), []byte(seed), 2)
	}
	f.Fuzz(func(t *testing.T, data, large []byte, n int) {
		var files []int
		for range min(max(n, 0), 5) {
			fd, err := Memfd("fuzz", large)
			if err != nil {
				t.Skip(err)
			}
			files = append(files, fd)
		}
		m, rest, err := decode(data, append([]int(nil), files...))
		if (m == nil) != (err != nil) {
			t.Fatalf("%+v, %v", m, err)
		}
		CloseAll(rest)
		for _, fd := range files {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				t.Fatalf("descriptor %d is open", fd)
			}
		}
	})
}
