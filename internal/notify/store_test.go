package notify

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A delivery is one message with its descriptors, which are the test's.
type delivery struct {
	Message
	files []int
}

// deliveries is socket for those who want the descriptors.
func deliveries(t *testing.T) (<-chan delivery, unix.Sockaddr) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web")
	f := listenAt(t, path)
	got, ended := make(chan delivery, 10), make(chan error, 1)
	go func() {
		ended <- NewReceiver(f).Run(func(m Message, files []int) {
			d := delivery{Message: m}
			for _, fd := range files {
				dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					t.Error(err)
				}
				d.files = append(d.files, dup)
			}
			got <- d
		})
	}()
	t.Cleanup(func() {
		f.Close()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return got, address(t, path)
}

// pipes returns n pipes: the ends to read from, and the descriptors of those to write to.
func pipes(t *testing.T, n int) (ends []*os.File, fds []int) {
	t.Helper()
	for range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, os.NewFile(uintptr(p[0]), "pipe"))
		fds = append(fds, p[1])
	}
	return ends, fds
}

// hungUp checks that nobody has the other end of any of the pipes, and closes them.
func hungUp(t *testing.T, ends []*os.File) {
	t.Helper()
	for i, r := range ends {
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 { // ends when no copy of the other end is left
			t.Errorf("pipe %d: %q, %v", i, rest, err)
		}
		r.Close()
	}
}

func TestReceiveDescriptorsToStore(t *testing.T) {
	got, to := deliveries(t)
	before := openFiles(t)
	for _, n := range []int{0, 1, 3, maxRights} {
		ends, fds := pipes(t, n)
		send(t, to, "FDSTORE=1\nFDNAME=x", fds)
		closeAll(fds)
		d := <-got
		if !d.Store || d.Name != "x" || len(d.files) != n || d.Lost || d.Pid != os.Getpid() {
			t.Fatalf("%d sent: %+v with %d", n, d.Message, len(d.files))
		}
		for i, fd := range d.files { // in the order in which they were sent
			if _, err := unix.Write(fd, []byte(strconv.Itoa(i)+"\n")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 8)
			if n, err := ends[i].Read(buf); err != nil || string(buf[:n]) != strconv.Itoa(i)+"\n" {
				t.Errorf("descriptor %d: %q, %v", i, buf[:n], err)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor flags %#x, %v: not close-on-exec", flags, err)
			}
		}
		closeAll(d.files)
		send(t, to, "READY=1", nil) // when it has come, the message before is out of the socket
		<-got
		hungUp(t, ends)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// TestReceiveStoreWithoutAFreeDescriptor: what cannot get here is missed aloud, and the rest of the message counts.
func TestReceiveStoreWithoutAFreeDescriptor(t *testing.T) {
	got, to := deliveries(t)
	sender, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sender)
	ends, fds := pipes(t, 2)
	before := openFiles(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	err = unix.Sendmsg(sender, []byte("FDSTORE=1\nREADY=1"), unix.UnixRights(fds...), to, 0)
	var d delivery
	if err == nil {
		d = <-got
	}
	if e := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if !d.Ready || !d.Store || !d.Lost || len(d.files) != 0 || d.Pid != os.Getpid() {
		t.Errorf("%+v with %d descriptors", d.Message, len(d.files))
	}
	closeAll(fds)
	send(t, to, "READY=1", nil)
	<-got
	hungUp(t, ends)
	if after := openFiles(t); after != before-4 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestReceiveMainPidfd(t *testing.T) {
	me, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Skipf("no pidfds here: %v", err)
	}
	defer unix.Close(me)
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Fstat(me, &st); err != nil {
		t.Fatal(err)
	}
	pidfs := unix.Fstatfs(me, &fs) == nil && fs.Type == pidfsMagic
	inode := strconv.FormatUint(st.Ino, 10)
	other := strconv.FormatUint(st.Ino+1_000_000, 10)
	self := strconv.Itoa(os.Getpid())
	wrong := os.Getpid()
	if pidfs {
		wrong = 0
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	none := int(null.Fd())
	got, to := deliveries(t)
	before := openFiles(t)
	for _, c := range []struct {
		name, text string
		fds        []int
		pid, files int
	}{
		{"pidfd", "MAINPIDFD=1", []int{me}, os.Getpid(), 0},
		{"pidfd beats pid", "MAINPID=1\nMAINPIDFD=1", []int{me}, os.Getpid(), 0},
		{"the first is it, the rest is stored", "FDSTORE=1\nMAINPIDFD=1", []int{me, none, none}, os.Getpid(), 2},
		{"no descriptor", "MAINPID=1\nMAINPIDFD=1", nil, 0, 0},
		{"no pidfd", "MAINPIDFD=1", []int{none, me}, 0, 0},
		{"its inode", "MAINPID=" + self + "\nMAINPIDFDID=" + inode, nil, os.Getpid(), 0},
		{"another inode", "MAINPID=" + self + "\nMAINPIDFDID=" + other, nil, wrong, 0},
	} {
		send(t, to, c.text+"\nSTATUS=x", c.fds)
		d := <-got
		if d.MainPID != c.pid || len(d.files) != c.files {
			t.Errorf("%s: main pid %d, %d to store; want %d, %d", c.name, d.MainPID, len(d.files), c.pid, c.files)
		}
		closeAll(d.files)
	}
	send(t, to, "READY=1", nil)
	<-got
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
