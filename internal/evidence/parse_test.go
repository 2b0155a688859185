package evidence

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	rest := " S 7 8 9 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 3 0 12345 6 7"
	for comm, want := range map[string]string{"(web)": "web", "(a) S 1 (b)": "a) S 1 (b", "()": "", "(e\x1b[31m\n)": "e\ufffd[31m "} {
		st, ok := parseStat("42 " + comm + rest)
		if !ok || st.comm != want || st.pid != 42 || st.parent != 7 || st.session != 9 || st.state != 'S' || st.user != 50 || st.system != 60 || st.start != 12345 {
			t.Errorf("%q: %+v %v", comm, st, ok)
		}
	}
	for _, bad := range []string{"", "42", "42 (web", ")(", "42 (web) S", "x (web)" + rest, "42 (web) SS" + rest[2:], "0 (web)" + rest} {
		if st, ok := parseStat(bad); ok {
			t.Errorf("%q: %+v", bad, st)
		}
	}
}

func TestCall(t *testing.T) {
	for _, c := range []struct {
		text, want string
		file       int // -1: none
	}{
		{"running\n", "", -1}, {"", "", -1}, {"-1 0x7ffd 0x7f\n", "", -1}, {"-2 0x0 0x0", "", -1}, {"x 0x0", "", -1},
		{"99999 0x5 0x0", "system call 99999", -1},
		{line(numberOf(t, "futex"), "0x7f10 0x80"), "futex(0x7f10, 0x80, 0x0, 0x0, 0x0, 0x0)", -1},
		{line(numberOf(t, "read"), "0x3 0x7f"), "read(3, 0x7f, 0x0)", 3},
		{line(numberOf(t, "write"), "0x\x1b[m 0x7f"), "write(0x\ufffd[m, 0x7f, 0x0)", -1},
		{line(numberOf(t, "openat"), "0xffffff9c 0x7f"), "openat(0xffffff9c, 0x7f, 0x0, 0x0)", -1}, // AT_FDCWD
		{numberOf(t, "read") + " 0x3", "read(3)", 3},
	} {
		call, ok := parseCall(c.text)
		if got := call.String(); ok && got != c.want || !ok && c.want != "" {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
		if fd, has := call.file(); ok && has != (c.file >= 0) || has && fd != c.file {
			t.Errorf("%q: descriptor %d %v, want %d", c.text, fd, has, c.file)
		}
	}
}

// TestCallNames holds the tables that were made against constants, and the hand-made ones against the tables.
func TestCallNames(t *testing.T) {
	for n, name := range map[int]string{unix.SYS_READ: "read", unix.SYS_FUTEX: "futex", unix.SYS_PPOLL: "ppoll", unix.SYS_IO_URING_ENTER: "io_uring_enter"} {
		if callNames[n] != name {
			t.Errorf("%d is %q, want %q", n, callNames[n], name)
		}
	}
	known := map[string]bool{}
	for _, name := range callNames {
		known[name] = true
	}
	for name := range onFile {
		if runtime.GOARCH == "amd64" && !known[name] {
			t.Errorf("no call %q", name)
		}
	}
	for name := range arguments {
		if runtime.GOARCH == "amd64" && !known[name] {
			t.Errorf("no call %q", name)
		}
	}
}

func line(n, rest string) string { return n + " " + rest + " 0x0 0x0 0x0 0x0 0x7ffe 0x7f01\n" }

// numberOf is the number of a system call on this machine.
func numberOf(t *testing.T, name string) string {
	t.Helper()
	for n, s := range callNames {
		if s == name {
			return strconv.Itoa(n)
		}
	}
	t.Fatalf("no number of %s", name)
	return ""
}

func TestStackOf(t *testing.T) {
	got := stackOf("[<0>] futex_do_wait+0x3e/0x70\n[<0>] do_syscall_64+0x5c/0x90\nrubbish\n[<0>] \x1b[31m+0x1/0x2\n")
	if want := []string{"futex_do_wait", "do_syscall_64", "\ufffd[31m"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := stackOf(strings.Repeat("[<0>] f+0x1/0x2\n", 100)); len(got) != maxStack {
		t.Errorf("%d functions", len(got))
	}
}

func TestSocketOf(t *testing.T) {
	for _, c := range []struct{ protocol, line, inode, text string }{
		{"tcp", "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1", "777", "tcp 127.0.0.1:8080 LISTEN"},
		{"tcp", "   1: 0100007F:1F90 0200007F:C350 01 00000000:00000000 00:00000000 00000000 0 0 778 1", "778", "tcp 127.0.0.1:8080 to 127.0.0.2:50000 ESTABLISHED"},
		{"tcp6", "   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 779 1", "779", "tcp6 [::1]:22 LISTEN"},
		{"udp", "  12: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 780 2", "780", "udp 0.0.0.0:53"},
		{"unix", "0000000000000000: 00000002 00000000 00010000 0001 01 781 /run/x\x1b", "781", "unix /run/x\ufffd"},
		{"unix", "0000000000000000: 00000002 00000000 00010000 0001 01 782", "782", "unix"},
		{"tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "", ""},
		{"unix", "Num       RefCount Protocol Flags    Type St Inode Path", "", ""},
		{"tcp", "rubbish", "", ""}, {"unix", "", "", ""},
		{"tcp", "   0: ZZ:1F90 00000000:0000 ZZ 0:0 00:0 0 0 0 783 1", "783", "tcp ?"},
	} {
		if inode, text := socketOf(c.protocol, c.line); inode != c.inode || text != c.text {
			t.Errorf("%q: %q %q, want %q %q", c.line, inode, text, c.inode, c.text)
		}
	}
}

func TestPressure(t *testing.T) {
	avg, total := some("some avg10=12.50 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=99.00 avg60=0 avg300=0 total=9\n")
	if avg != 12.5 || total != 2500*time.Millisecond {
		t.Errorf("%v %v", avg, total)
	}
	if avg, total := some("rubbish total=x avg10="); avg != 0 || total != 0 {
		t.Errorf("%v %v", avg, total)
	}
}

func TestOOMRecord(t *testing.T) {
	const since = int64(100e9)
	for record, want := range map[string]bool{
		"3,900,100500000,-;Out of memory: Killed process 4711 (web) total-vm:1kB": true,
		"3,900,97000000,-;Memory cgroup out of memory: Killed process 4711 (web)": true,
		"3,900,60000000,-;Out of memory: Killed process 4711 (web)":               false, // long before
		"3,900,100500000,-;Out of memory: Killed process 47110 (web)":             false,
		"3,900,100500000,-;something else about 4711":                             false,
		"12,900,100500000,-;Out of memory: Killed process 4711 (web)":             false, // a program wrote it
		"6,900,100500000,-;oom-kill:task_memcg=/x/Killed process 4711 (web":       false, // the name of a group
		"x,900,100500000,-;Out of memory: Killed process 4711 (web)":              false,
		"3,900;Killed process 4711 (":                                             false,
		"":                                                                        false,
	} {
		text, ok := oomRecord(record, 4711, since)
		if ok != want || strings.Contains(text, "\n") {
			t.Errorf("%q: %q %v", record, text, ok)
		}
	}
}

// TestMissing: each thing is missed once, in words, and who has gone is missed by nobody.
func TestMissing(t *testing.T) {
	tk := newTaker(t.Context())
	for range 3 {
		tk.miss("kernel stacks", &fs.PathError{Op: "open", Path: "/proc/1/stack", Err: fs.ErrPermission})
		tk.miss("limits", errors.New("\x1b[31mbad"))
		tk.miss("limits", fs.ErrNotExist)
		tk.miss("limits", &fs.PathError{Op: "read", Path: "/proc/1/limits", Err: unix.ESRCH})
		tk.miss("limits", &fs.PathError{Op: "read", Path: "/proc/1/limits", Err: unix.EIO})
		tk.miss("limits", nil)
	}
	denied := "kernel stacks: permission denied"
	if os.Geteuid() != 0 {
		denied += " (only root may read them)"
	}
	if want := []string{denied, "limits: \ufffd[31mbad", "limits: input/output error"}; !slices.Equal(tk.out.Missing, want) {
		t.Errorf("%q, want %q", tk.out.Missing, want)
	}
	for i := range 200 {
		tk.note(strconv.Itoa(i))
	}
	if n := len(tk.out.Missing); n != maxMissing {
		t.Errorf("%d things are missed", n)
	}
}

// FuzzParsers: whatever stands in /proc, nothing panics and everything is printable.
func FuzzParsers(f *testing.F) {
	f.Add("42 (web) S 7 8 9 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 3 0 12345 6 7")
	f.Add("0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1")
	f.Add("[<0>] futex_do_wait+0x3e/0x70\n202 0x7f 0x80")
	f.Add("3,900,100500000,-;Killed process 1 (x)")
	f.Fuzz(func(t *testing.T, text string) {
		st, _ := parseStat(text)
		_, tcp := socketOf("tcp6", text)
		_, sock := socketOf("unix", text)
		oom, _ := oomRecord(text, 1, 0)
		_, _ = some(text)
		call, _ := parseCall(text)
		_, _ = parseGroups(text, "freezer")
		for _, m := range parseMounts(text, "freezer").unified {
			_ = dir([]mount{m}, text)
		}
		for _, s := range append(append(stackOf(text), st.comm, tcp, sock, oom, call.String()), limitsOf(text, usedOf(text))...) {
			if strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }) {
				t.Errorf("%q would act on a terminal", s)
			}
		}
	})
}
