package sysv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

func TestMemory(t *testing.T) {
	key := freeKey(t)
	m, err := CreateMemory(key, 72000, 0o640)
	must(t, err)
	found, err := OpenMemory(key)
	must(t, err)
	if found != m {
		t.Fatalf("found %v, made %v", found, m)
	}
	if same, err := MakeMemory(key, 72000, 0o640); err != nil || same != m {
		t.Fatalf("%v %v", same, err)
	}
	w, err := m.Attach()
	must(t, err)
	r, err := m.AttachReadOnly()
	must(t, err)
	if len(w.Bytes()) != 72000 || len(r.Bytes()) != 72000 {
		t.Fatalf("sizes %d and %d", len(w.Bytes()), len(r.Bytes()))
	}
	copy(w.Bytes()[71990:], "at the end")
	if got := string(r.Bytes()[71990:]); got != "at the end" {
		t.Errorf("read %q", got)
	}
	st, err := m.Stat()
	must(t, err)
	if st.Key != key || st.Size != 72000 || st.Attached != 2 || st.Creator != os.Getpid() || st.Mode != 0o640 || st.UID != os.Geteuid() || st.Removed {
		t.Errorf("stat %+v", st)
	}
	must(t, m.Remove())
	if st, err = m.Stat(); err != nil || !st.Removed {
		t.Errorf("stat of a removed one %+v %v", st, err)
	}
	if string(r.Bytes()[71990:]) != "at the end" {
		t.Error("what was removed is gone while it is attached")
	}
	must(t, r.Detach())
	must(t, w.Detach())
	must(t, w.Detach())
	if w.Bytes() != nil {
		t.Error("bytes after Detach")
	}
	if _, err := m.Stat(); !gone(err) {
		t.Errorf("stat of one that has gone: %v", err)
	}
}

func TestMemoryRefuses(t *testing.T) {
	key := freeKey(t)
	if _, err := OpenMemory(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	_, err := CreateMemory(key, 100, 0o600)
	must(t, err)
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"create again", second(CreateMemory(key, 100, 0o600)), fs.ErrExist},
		{"make a larger one", second(MakeMemory(key, 8192, 0o600)), syscall.EINVAL},
		{"a negative size", second(CreateMemory(freeKey(t), -1, 0o600)), syscall.EINVAL},
		{"no size", second(CreateMemory(freeKey(t), 0, 0o600)), syscall.EINVAL},
		{"open private", second(OpenMemory(Private)), fs.ErrNotExist},
		{"attach nothing", second(Memory{ID: -1}.Attach()), syscall.EINVAL},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
}

func TestPrivateMemory(t *testing.T) {
	a, err := CreateMemory(Private, 1, 0o600)
	must(t, err)
	defer a.Remove()
	b, err := CreateMemory(Private, 1, 0o600)
	must(t, err)
	defer b.Remove()
	if a == b {
		t.Error("two private ones are one")
	}
}

// TestMapsShowTheID: that is how one tells who has a segment attached.
func TestMapsShowTheID(t *testing.T) {
	key := freeKey(t)
	m, err := CreateMemory(key, 1, 0o600)
	must(t, err)
	x, err := m.AttachReadOnly()
	must(t, err)
	defer x.Detach()
	data, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	want := fmt.Sprintf(" %d ", m.ID)
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, fmt.Sprintf("/SYSV%08x", uint32(key))) && strings.Contains(line, want) {
			return
		}
	}
	t.Errorf("no line with key %s and id %d in\n%s", key, m.ID, data)
}

// TestLayout holds the structures against the C compiler's.
func TestLayout(t *testing.T) {
	var p perm
	var m shmid64
	var s semid64
	var q msqid64
	var b sembuf
	want := map[string]uintptr{
		"ipc_perm": unsafe.Sizeof(p), "shmid_ds": unsafe.Sizeof(m), "semid_ds": unsafe.Sizeof(s), "msqid_ds": unsafe.Sizeof(q), "sembuf": unsafe.Sizeof(b),
		"ipc_perm.uid": unsafe.Offsetof(p.uid), "ipc_perm.cuid": unsafe.Offsetof(p.cuid), "ipc_perm.mode": unsafe.Offsetof(p.mode),
		"shmid_ds.shm_segsz": unsafe.Offsetof(m.size), "shmid_ds.shm_atime": unsafe.Offsetof(m.atime), "shmid_ds.shm_ctime": unsafe.Offsetof(m.ctime),
		"shmid_ds.shm_cpid": unsafe.Offsetof(m.cpid), "shmid_ds.shm_nattch": unsafe.Offsetof(m.nattch),
		"semid_ds.sem_otime": unsafe.Offsetof(s.otime), "semid_ds.sem_ctime": unsafe.Offsetof(s.ctime), "semid_ds.sem_nsems": unsafe.Offsetof(s.nsems),
		"msqid_ds.msg_stime": unsafe.Offsetof(q.stime), "msqid_ds.msg_qnum": unsafe.Offsetof(q.qnum), "msqid_ds.msg_qbytes": unsafe.Offsetof(q.qbytes),
		"msqid_ds.msg_lspid": unsafe.Offsetof(q.lspid),
		"sembuf.sem_op":      unsafe.Offsetof(b.op), "sembuf.sem_flg": unsafe.Offsetof(b.flags),
	}
	seen := 0
	for line := range strings.Lines(run(t, peer(t, "layout"))) {
		var name string
		var n uintptr
		if _, err := fmt.Sscan(line, &name, &n); err != nil {
			t.Fatal(err)
		}
		seen++
		if w, ok := want[name]; !ok || w != n {
			t.Errorf("%s is %d in C, %d here", name, n, w)
		}
	}
	if seen != len(want) {
		t.Errorf("C has %d of %d", seen, len(want))
	}
}
