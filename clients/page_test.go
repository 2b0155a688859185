package clients

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The states of a slot.
const (
	free = iota
	claimed
	busy
	paused
	idle
)

// A page is the file that stay would make.
type page struct {
	t     testing.TB
	path  string
	slots int
}

// A header is the head of a page, to be broken.
type header struct {
	magic                           string
	version, size, slotSize, slots  uint16
	generation, limit, created, any uint64
}

func goodHeader(slots int) header {
	return header{magic: "STAYPULS", version: 1, size: 128, slotSize: 128, slots: uint16(slots), generation: 7, limit: 1e9, created: uint64(now())}
}

// bytes are the header followed by zeros, size bytes in all.
func (h header) bytes(size int) []byte {
	b := append(make([]byte, 0, max(size, 128)), h.magic...)
	for _, n := range []uint16{h.version, h.size, h.slotSize, h.slots} {
		b = binary.NativeEndian.AppendUint16(b, n)
	}
	for _, n := range []uint64{h.generation, h.limit, h.created, h.any} {
		b = binary.NativeEndian.AppendUint64(b, n)
	}
	return b[:max(size, len(b))][:size]
}

// newPage makes an empty page, in memory where there is a place for that.
func newPage(t testing.TB, slots int) *page {
	t.Helper()
	size := (128*(1+slots) + 4095) / 4096 * 4096
	return filePage(t, slots, goodHeader(slots).bytes(size))
}

func filePage(t testing.TB, slots int, data []byte) *page {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "stay-clients-")
	if err != nil {
		dir = t.TempDir()
	} else {
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	p := &page{t: t, path: filepath.Join(dir, "page"), slots: slots}
	if err := os.WriteFile(p.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// bytes are those of the file now.
func (p *page) bytes() []byte {
	p.t.Helper()
	data, err := os.ReadFile(p.path)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// A slot is one as it stands in the page.
type slot struct {
	index              int
	beat, count, limit uint64
	state, tid         uint32
	progress           uint64
	name, note         string
}

func (p *page) slot(i int) slot {
	p.t.Helper()
	b := p.bytes()[128*(1+i) : 128*(2+i)]
	n := binary.NativeEndian
	return slot{
		index: i, beat: n.Uint64(b), count: n.Uint64(b[8:]), limit: n.Uint64(b[16:]), state: n.Uint32(b[24:]), tid: n.Uint32(b[28:]),
		progress: n.Uint64(b[32:]), name: strings.TrimRight(string(b[40:64]), "\x00"), note: strings.TrimRight(string(b[64:128]), "\x00"),
	}
}

// taken are all slots that are not free.
func (p *page) taken() []slot {
	p.t.Helper()
	var all []slot
	for i := range p.slots {
		if s := p.slot(i); s.state != free {
			all = append(all, s)
		}
	}
	return all
}

// only is the one slot that is taken.
func (p *page) only() slot {
	p.t.Helper()
	all := p.taken()
	if len(all) != 1 {
		p.t.Fatalf("%d slots are taken: %+v", len(all), all)
	}
	return all[0]
}

// now is CLOCK_MONOTONIC in ns, asked of the kernel.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// coarse is how far the coarse form of that clock may lag behind here, in ns: a tick is 10 ms at most, and a virtual machine
// may lose some. No other clock is as near.
const coarse = 1e9
