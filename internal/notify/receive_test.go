package notify

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// receiveAll runs Receive until the test ends; the channel gets every message and is closed with Receive's end, which
// must be without error.
func receiveAll(t testing.TB, f *os.File) <-chan Message {
	t.Helper()
	got := make(chan Message, 1000)
	ended := make(chan error, 1)
	go func() {
		ended <- receive(f, func(m Message) { got <- m })
		close(got)
	}()
	t.Cleanup(func() {
		f.Close()
		if err := <-ended; err != nil {
			t.Errorf("Receive: %v", err)
		}
	})
	return got
}

// receive runs a receiver of its own.
func receive(f *os.File, emit func(Message)) error {
	return NewReceiver(f).Run(func(m Message, _ []int) { emit(m) })
}

// next returns the next message.
func next(t testing.TB, got <-chan Message) Message {
	t.Helper()
	select {
	case m := <-got:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no message in 20s")
		return Message{}
	}
}

// trySend sends one datagram from a socket of its own, with descriptors.
func trySend(to unix.Sockaddr, text string, fds []int) error {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(s, []byte(text), rights, to, 0)
}

// send is trySend where it has to succeed.
func send(t testing.TB, to unix.Sockaddr, text string, fds []int) {
	t.Helper()
	if err := trySend(to, text, fds); err != nil {
		t.Fatalf("send %q: %v", text, err)
	}
}

// sendMany sends n messages with their number as status, from a goroutine of its own.
func sendMany(t testing.TB, to unix.Sockaddr, n int) {
	go func() {
		for i := range n {
			if err := trySend(to, "STATUS="+strconv.Itoa(i), nil); err != nil {
				t.Errorf("send %d: %v", i, err)
				return
			}
		}
	}()
}

// socket returns a new socket's messages and its address.
func socket(t testing.TB) (<-chan Message, unix.Sockaddr) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web")
	return receiveAll(t, listenAt(t, path)), address(t, path)
}

// openFiles counts the descriptors of this process.
func openFiles(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestReceiveInOrderWithTheSender(t *testing.T) {
	got, to := socket(t)
	const n = 50
	sendMany(t, to, n)
	for i := range n {
		want := Message{Pid: os.Getpid(), UID: os.Getuid(), Status: strconv.Itoa(i), HasStatus: true}
		if m := next(t, got); m != want {
			t.Fatalf("message %d: %+v, want %+v", i, m, want)
		}
	}
}

func TestReceiveIgnores(t *testing.T) {
	longest := "READY=1\nX_FILL=" + strings.Repeat("x", maxDatagram-len("READY=1\nX_FILL="))
	tests := []struct {
		name, text string
		want       bool
	}{
		{"empty", "", false},
		{"unknown names", "X_FOO=1\nNOTIFYACCESS=all", false},
		{"names that say nothing alone", "FDNAME=x\nFDPOLL=0\nMONOTONIC_USEC=1\nMAINPIDFDID=1", false},
		{"barrier without a descriptor", "BARRIER=1", false},
		{"the longest", longest, true},
		{"one byte more", longest + "x", false},
		{"much more", longest + strings.Repeat("\nSTATUS=x", 10000), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, to := socket(t)
			send(t, to, tt.text, nil)
			send(t, to, "STOPPING=1", nil)
			m := next(t, got)
			if m.Ready != tt.want {
				t.Errorf("ready %v, want %v", m.Ready, tt.want)
			}
			if tt.want {
				m = next(t, got)
			}
			if !m.Stopping {
				t.Errorf("the message behind it: %+v", m)
			}
		})
	}
}

func TestReceiveClosesDescriptors(t *testing.T) {
	got, to := socket(t)
	before := openFiles(t)
	for _, n := range []int{1, 2, 253} {
		for _, text := range []string{"READY=1", "FDSTORE=0\nFDNAME=x\nREADY=1", "FDSTORE=1\nREADY=1", "MAINPIDFD=1\nREADY=1", "FDSTOREREMOVE=1\nFDNAME=x\nREADY=1"} {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			fds := make([]int, n)
			for i := range fds {
				fds[i] = int(w.Fd())
			}
			send(t, to, text, fds)
			w.Close()
			if m := next(t, got); !m.Ready || m.Pid != os.Getpid() {
				t.Errorf("%q with %d descriptors: %+v", text, n, m)
			}
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 { // ends when no copy of w is left
				t.Errorf("pipe: %q, %v", rest, err)
			}
			r.Close()
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestReceiveWithoutAFreeDescriptor(t *testing.T) {
	got, to := socket(t)
	sender, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sender)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if err := unix.Sendmsg(sender, []byte("READY=1"), unix.UnixRights(0, 1), to, 0); err != nil {
		t.Fatal(err)
	}
	if m := next(t, got); !m.Ready || m.Pid != os.Getpid() {
		t.Errorf("got %+v, want ready from %d", m, os.Getpid())
	}
}

func TestReceiveEndsWithClose(t *testing.T) {
	before := openFiles(t)
	f := listenAt(t, filepath.Join(t.TempDir(), "web"))
	ended := make(chan error, 1)
	go func() { ended <- receive(f, func(m Message) { t.Errorf("message %+v", m) }) }()
	f.Close()
	if err := <-ended; err != nil {
		t.Errorf("closed while it waits: %v", err)
	}
	if err := receive(f, func(Message) {}); err != nil {
		t.Errorf("closed before: %v", err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestReceiveFromWhatIsNoSocket(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, f := range []*os.File{r, file} {
		err := receive(f, func(Message) {})
		if err == nil || !strings.HasPrefix(err.Error(), "receive from "+strconv.Quote(f.Name())+": ") {
			t.Errorf("error %v, want one that names %q", err, f.Name())
		}
	}
	if err := receive(nil, nil); err == nil {
		t.Error("no error for no file")
	}
}

// A sender that floods is slowed down, and loses nothing by it.
func TestReceiveSlowsDownAFlood(t *testing.T) {
	got, to := socket(t)
	const n = 3*perWindow - 1
	begin := time.Now()
	sendMany(t, to, n)
	for i := range n {
		if m := next(t, got); m.Status != strconv.Itoa(i) {
			t.Fatalf("message %d: %+v", i, m)
		}
	}
	if d := time.Since(begin); d < 2*window {
		t.Errorf("%d messages in %v, want at least %v", n, d, 2*window)
	}
}

func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	for i := range perWindow - 1 {
		if d := p.pause(now.Add(time.Duration(i) * time.Microsecond)); d != 0 {
			t.Fatalf("message %d: pause %v", i+1, d)
		}
	}
	if d := p.pause(now.Add(30 * time.Millisecond)); d != window-30*time.Millisecond {
		t.Errorf("message %d after 30ms: pause %v, want the rest of %v", perWindow, d, window)
	}
	if d := p.pause(now.Add(window)); d != 0 {
		t.Errorf("first message of the next window: pause %v", d)
	}
	for i := range 10 * perWindow { // 500 a second for two seconds
		if d := p.pause(now.Add(time.Duration(i+100) * 2 * time.Millisecond)); d != 0 {
			t.Fatalf("a message each 2 ms: pause %v", d)
		}
	}
}

// The service's user may send, and nobody else but root.
func TestReceiveFromAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("sending as another user needs root")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "web")
	f, err := Listen(path, 12345, 12345)
	if err != nil {
		t.Fatal(err)
	}
	got, to := receiveAll(t, f), address(t, path)
	if err := sendAs(12346, to, "STATUS=not mine"); err != unix.EACCES {
		t.Errorf("another user's message: %v, want %v", err, unix.EACCES)
	}
	if err := sendAs(12345, to, "STATUS=mine"); err != nil {
		t.Errorf("its own user's message: %v", err)
	}
	if m := next(t, got); m.UID != 12345 || m.Status != "mine" {
		t.Errorf("got %+v, want the message of 12345 alone", m)
	}
}

// sendAs sends from a thread of that uid, which ends with it: the raw call changes no other thread (nptl(7)).
func sendAs(uid uintptr, to unix.Sockaddr, text string) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			result <- errno
			return
		}
		result <- trySend(to, text, nil)
	}()
	return <-result
}

func BenchmarkReceive(b *testing.B) {
	path := filepath.Join(b.TempDir(), "web")
	f := listenAt(b, path)
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(s)
	if err := unix.Connect(s, address(b, path)); err != nil {
		b.Fatal(err)
	}
	fd := int(f.Fd())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unix.Write(s, []byte("READY=1\nSTATUS=up")); err != nil {
			b.Fatal(err)
		}
		if m, _, err := read(fd); !m.Ready || err != nil {
			b.Fatal(m, err)
		}
		discard(uintptr(fd))
	}
}

// TestMessageOutlivesItsReader: who dies before emit returned leaves the message to the next one; who does not, takes it.
func TestMessageOutlivesItsReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web")
	f := listenAt(t, path)
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // Fd made it blocking
		t.Fatal(err)
	}
	f.Close()
	next := os.NewFile(uintptr(fd), path) // as another process has it
	defer next.Close()
	send(t, address(t, path), "STATUS=1", nil)
	send(t, address(t, path), "STATUS=2", nil)
	for round, want := range []string{"1", "1", "2"} {
		m, _, err := read(fd)
		if err != nil || m.Status != want {
			t.Fatalf("look %d: %+v, %v", round+1, m, err)
		}
		if round == 1 {
			discard(uintptr(fd))
		}
	}
	discard(uintptr(fd))
	if _, _, err := read(fd); err != unix.EAGAIN {
		t.Errorf("when both are out: %v", err)
	}
}
