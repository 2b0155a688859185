package proctree

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 2 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 987654 1 2 3"
	tests := []struct {
		name, stat string
		want       proc
		bad        bool
	}{
		{"plain", "42 (cat) S" + rest, proc{id: id{42, 987654}, comm: "cat", state: 'S', parent: 1, session: 7, threads: 3}, false},
		{"parentheses", "42 (a) R 1 (b) Z" + rest, proc{id: id{42, 987654}, comm: "a) R 1 (b", state: 'Z', parent: 1, session: 7, threads: 3}, false},
		{"newline", "42 (a\n) R 9\n) D" + rest + "\n", proc{id: id{42, 987654}, comm: "a\n) R 9\n", state: 'D', parent: 1, session: 7, threads: 3}, false},
		{"no name", "42 () S" + rest, proc{id: id{42, 987654}, state: 'S', parent: 1, session: 7, threads: 3}, false},
		{"empty", "", proc{}, true},
		{"cut", "42 (cat) S 1 2 7", proc{}, true},
		{"no end", "42 (cat S" + rest, proc{}, true},
		{"no pid", "(cat) S" + rest, proc{}, true},
		{"wrong way round", "42 )cat( S" + rest, proc{}, true},
		{"words", "42 (cat) S" + strings.ReplaceAll(rest, "987654", "x"), proc{}, true},
		{"state", "42 (cat) SS" + rest, proc{}, true},
		{"negative", "42 (cat) S -1" + rest, proc{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat([]byte(test.stat))
			if test.bad {
				if err == nil {
					t.Errorf("got %+v, want an error", got)
				}
				return
			}
			if err != nil || *got != test.want {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("42 (a) R 1 (b) Z 1 2 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 987654 1 2 3")
	f.Add("1 ()")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseStat([]byte(s))
		if (p == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	})
}

func TestLive(t *testing.T) {
	tests := []struct {
		state   byte
		threads int
		want    bool
	}{{'S', 1, true}, {'D', 1, true}, {'T', 1, true}, {'Z', 1, false}, {'Z', 0, false}, {'X', 0, false}, {'Z', 2, true}}
	for _, test := range tests {
		if got := (&proc{state: test.state, threads: test.threads}).live(); got != test.want {
			t.Errorf("state %c with %d threads: live is %v", test.state, test.threads, got)
		}
	}
}

func TestStartTime(t *testing.T) {
	a, err1 := StartTime(os.Getpid())
	b, err2 := StartTime(os.Getpid())
	if err1 != nil || err2 != nil || a != b || a == 0 {
		t.Errorf("start time %d, %v, then %d, %v", a, err1, b, err2)
	}
	for _, pid := range []int{0, -1, 1<<22 + 1} {
		if _, err := StartTime(pid); !errors.Is(err, unix.ESRCH) {
			t.Errorf("process %d: %v, want ESRCH", pid, err)
		}
	}
}

func TestReadsOfOneself(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if env := entries(os.Getpid()); !slices.Contains(env, "PATH="+os.Getenv("PATH")) {
		t.Errorf("environment has no PATH: %d entries", len(env))
	}
	if env := entries(1<<22 + 1); env != nil {
		t.Errorf("environment of nobody: %q", env)
	}
	if out := outputs(1<<22 + 1); out != [2]uint64{} {
		t.Errorf("outputs of nobody: %v", out)
	}
	if list := numbered("/proc"); !slices.Contains(list, os.Getpid()) {
		t.Errorf("/proc lists %d processes without this one", len(list))
	}
	if list := numbered("/no/such"); list != nil {
		t.Errorf("a directory that is not there lists %v", list)
	}
}

func TestReadFileBounds(t *testing.T) {
	path := t.TempDir() + "/file"
	text := strings.Repeat("x", 10_000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := readFile(path, maxList); err != nil || string(data) != text {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
	if data, err := readFile(path, 600); err != nil || len(data) < 600 || len(data) > 2048 {
		t.Errorf("bounded read gave %d bytes, %v", len(data), err)
	}
	fifo := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := readFile(fifo, 10); err != nil || len(data) != 0 { // and did not wait
		t.Errorf("fifo: %q, %v", data, err)
	}
}

func TestPids(t *testing.T) {
	if got := pids([]byte("12 0 34\n5 x -7 ")); !slices.Equal(got, []int{12, 34, 5}) {
		t.Errorf("got %v", got)
	}
	if got := pids(nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2J\n\xffé\u0085"); got != "a?[2J??é?" {
		t.Errorf("got %q", got)
	}
}
