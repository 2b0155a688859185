package pulse

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain also is the program that tests run as another process: PULSE_TEST says which.
func TestMain(m *testing.M) {
	switch os.Getenv("PULSE_TEST") {
	case "":
		os.Exit(m.Run())
	case "claim":
		claimAll()
	case "err":
		fmt.Println(Start("x", 0).Err())
	case "named":
		beatNamed()
	case "child":
		startChild()
	default:
		panic("unknown helper")
	}
}

// claimAll claims until the page is full, prints the numbers of the slots, and holds them until its input ends.
func claimAll() {
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	_, _ = in.ReadString('\n') // go
	pg, err := here()
	if err != nil {
		panic(err)
	}
	name := fmt.Sprint(os.Getpid())
	for p := Start(name, 0); p.Err() == nil; p = Start(name, 0) {
		fmt.Println(index(pg, p))
	}
	fmt.Println("full")
	_, _ = io.Copy(io.Discard, in)
}

// beatNamed beats for a name once it is told to, as a script's program does, and ends.
func beatNamed() {
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // go
	p := Named("nightly import", 0)
	if p.Err() != nil {
		panic(p.Err())
	}
	p.Beat()
	fmt.Println("full")
}

// startChild claims one slot and starts a program that claims one, too.
func startChild() {
	p := Start("parent", 0)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "PULSE_TEST=err", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		panic(err)
	}
	fmt.Printf("%v %s", p.Err(), out)
}

// helper is this test program in another role.
func helper(t *testing.T, role string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, "PULSE_TEST="+role, "GORACE=atexit_sleep_ms=0")...)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// said runs a helper to its end and returns what it said.
func said(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// header is that of a page of version 1, as the contract says it, not as the code does.
func header(slots int) []byte {
	h := make([]byte, 128)
	copy(h, "STAYPULS")
	binary.NativeEndian.PutUint16(h[8:], 1)
	binary.NativeEndian.PutUint16(h[10:], 128)
	binary.NativeEndian.PutUint16(h[12:], 128)
	binary.NativeEndian.PutUint16(h[14:], uint16(slots))
	binary.NativeEndian.PutUint64(h[16:], 7)
	return h
}

// makePage makes a page with n slots.
func makePage(t testing.TB, n int) string {
	t.Helper()
	return makeFile(t, header(n), (128+n*128+4095)/4096*4096)
}

// makeFile makes a file of a size, with a beginning.
func makeFile(t testing.TB, begin []byte, size int) string {
	t.Helper()
	data := make([]byte, size)
	copy(data, begin)
	path := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// opened is the page at path, as Start sees it.
func opened(t testing.TB, place string) *page {
	t.Helper()
	pg, err := openPage(place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.file.f.Close() })
	return pg
}

// index is the number of the slot of p, -1 if it has none.
func index(pg *page, p *Pulse) int {
	for i := range pg.slots {
		if &pg.slots[i] == p.live() {
			return i
		}
	}
	return -1
}

// fields are those of a slot, read from the file by the offsets of the contract.
type fields struct {
	beat, count, limit uint64
	state, tid         uint32
	progress           uint64
	name, note         string
}

func readSlot(t testing.TB, path string, i int) fields {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var raw [128]byte
	if _, err := f.ReadAt(raw[:], int64(128+128*i)); err != nil {
		t.Fatal(err)
	}
	n := binary.NativeEndian
	return fields{n.Uint64(raw[0:]), n.Uint64(raw[8:]), n.Uint64(raw[16:]), n.Uint32(raw[24:]), n.Uint32(raw[28:]), n.Uint64(raw[32:]),
		strings.TrimRight(string(raw[40:64]), "\x00"), strings.TrimRight(string(raw[64:128]), "\x00")}
}
