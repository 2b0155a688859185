package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNoPulse: whatever STAY_PULSE names that is no page, the program runs on, and nothing is written.
func TestNoPulse(t *testing.T) {
	with := func(change func(h *header)) []byte {
		h := goodHeader(31)
		change(&h)
		return h.bytes(4096)
	}
	tests := []struct {
		name string
		data []byte // of the file; nil: place is what is tried
		place,
		want string
	}{
		{"unset", nil, "-", "no STAY_PULSE is not set"},
		{"empty", nil, "", "no STAY_PULSE is not set"},
		{"no file", nil, "/nowhere/at all", "no "},
		{"a directory", nil, os.TempDir(), "no "},
		{"a device", nil, "/dev/null", "no "},
		{"descriptor not open", nil, "fd:77", "no "},
		{"descriptor that is a pipe", nil, "fd:0", "no "},
		{"descriptor without a number", nil, "fd:", "no the descriptor"},
		{"descriptor with more than a number", nil, "fd:3x", "no the descriptor"},
		{"descriptor with a sign", nil, "fd:-1", "no the descriptor"},
		{"descriptor beyond all numbers", nil, "fd:99999999999999999999", "no the descriptor"},
		{"empty file", []byte{}, "", "no what STAY_PULSE names is no pulse page"},
		{"short file", goodHeader(30).bytes(4095), "", "no what STAY_PULSE names is no pulse page"},
		{"other magic", with(func(h *header) { h.magic = "STAYPULT" }), "", "no what STAY_PULSE names is no pulse page"},
		{"version 2", with(func(h *header) { h.version = 2 }), "", "no the pulse page has "},
		{"version 0", with(func(h *header) { h.version = 0 }), "", "no the pulse page has "},
		{"other header size", with(func(h *header) { h.size = 256 }), "", "no the header of the pulse page is broken"},
		{"other slot size", with(func(h *header) { h.slotSize = 64 }), "", "no the header of the pulse page is broken"},
		{"no slots", with(func(h *header) { h.slots = 0 }), "", "no the header of the pulse page is broken"},
		{"more slots than file", with(func(h *header) { h.slots = 32 }), "", "no the pulse page is shorter than its header says"},
		{"most slots", with(func(h *header) { h.slots = 65535 }), "", "no the pulse page is shorter than its header says"},
	}
	each(t, func(t *testing.T, l *language) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				place := test.place
				if test.data != nil {
					place = filePage(t, 31, test.data).path
				}
				d := drive(t, l, place)
				if answer := d.ask("start 0 0 x"); !strings.HasPrefix(answer, test.want) || len(answer) < len("no x") {
					t.Errorf("start: %q, want %q…", answer, test.want)
				}
				use(d, 0)
				d.end()
				if test.data != nil {
					if after, err := os.ReadFile(place); err != nil || string(after) != string(test.data) {
						t.Errorf("the file was written: %v", err)
					}
				}
			})
		}
	})
}

// TestFIFO: a page that is none must not make a program wait.
func TestFIFO(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		d := drive(t, l, fifo)
		if answer := d.ask("start 0 0 x"); !strings.HasPrefix(answer, "no ") {
			t.Errorf("start: %q", answer)
		}
	})
}

// TestNoNull: a program that never started a pulse may use it.
func TestNoNull(t *testing.T) {
	d := drive(t, languages[0], "-")
	use(d, 5)
	d.end()
}

// TestDescriptor: the page may be an inherited descriptor, whose file has no name any more.
func TestDescriptor(t *testing.T) {
	each(t, func(t *testing.T, l *language) {
		p := newPage(t, 31)
		file, err := os.OpenFile(p.path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		d := drive(t, l, "fd:3", file)
		d.do("start 0 0 x")
		d.do("start 1 0 y")
		d.do("beat 1")
		if x, y := find(t, p, "x"), find(t, p, "y"); x.count != 1 || y.count != 2 {
			t.Errorf("%+v, %+v", x, y)
		}
		d.do("close 0")
		d.do("start 0 0 z")
		d.end()
	})
}

// TestLaterEnvironment: a page that is open stays open.
func TestLaterEnvironment(t *testing.T) {
	for _, l := range languages[:4] {
		t.Run(l.name, func(t *testing.T) {
			p := newPage(t, 31)
			d := drive(t, l, p.path)
			d.do("start 0 0 x")
			d.do("unset 0")
			d.do("start 1 0 y")
			if len(p.taken()) != 2 {
				t.Errorf("taken: %+v", p.taken())
			}
		})
	}
}
