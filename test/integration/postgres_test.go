package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPostgres: its main process leaves a crowd behind when it is killed, and a new one refuses to start as long as one
// of them has the shared memory.
func TestPostgres(t *testing.T) {
	t.Parallel()
	postgres := program(t, "/usr/lib/postgresql/*/bin/postgres")
	initdb := filepath.Join(filepath.Dir(postgres), "initdb")
	uid, gid, as := account(t, "postgres")
	dir := shared(t)
	data := private(t, dir, "data", uid, gid)
	c := exec.Command(initdb, "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale")
	c.Dir = dir
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	d := prepareAt(t, dir, fmt.Sprintf(`[service.it]
command = ["%s", "-D", "%s", "-k", "%[2]s", "-c", "listen_addresses=", "-c", "fsync=off", "-c", "autovacuum=off"]
directory = "%[2]s"
ready = "notify"
stop = { signal = "INT", timeout = "10s" }
%[3]s`, postgres, data, as))
	d.up()
	socket := filepath.Join(data, ".s.PGSQL.5432")
	d.running("it", 0)
	segment := sharedSegment(t, data)
	d.lives(true, func() error { return selectOne(socket) })
	absent(t, socket, socket+".lock", filepath.Join(data, "postmaster.pid"))
	if text := d.output("it"); strings.Contains(text, "still in use") || strings.Contains(text, "already exists") {
		t.Errorf("the second generation met the first:\n%s", text)
	}
	if there, err := os.ReadFile("/proc/sysvipc/shm"); err == nil && strings.Contains(string(there), " "+segment+" ") {
		t.Errorf("the shared memory segment %s of the first generation is left", segment)
	}
}

// sharedSegment is the id of the server's SysV segment, as it notes it in the seventh line of postmaster.pid.
func sharedSegment(t *testing.T, data string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		t.Fatalf("postmaster.pid is %q", text)
	}
	key := strings.Fields(lines[6])
	if len(key) != 2 {
		t.Fatalf("postmaster.pid says %q of the segment", lines[6])
	}
	return key[1]
}

// selectOne speaks just enough of the protocol, version 3.0, to have "select 1" answered.
func selectOne(socket string) error {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	hello := "\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
	if err := message(c, 0, hello); err != nil {
		return err
	}
	if _, err := until(c, 'Z'); err != nil {
		return err
	}
	if err := message(c, 'Q', "select 1\x00"); err != nil {
		return err
	}
	row, err := until(c, 'D')
	if err == nil && !strings.HasSuffix(row, "1") {
		err = fmt.Errorf("select 1 is %q", row)
	}
	return err
}

// message sends one message; kind 0 is the first, which has none.
func message(w io.Writer, kind byte, body string) error {
	var out []byte
	if kind != 0 {
		out = append(out, kind)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)+4))
	_, err := w.Write(append(out, body...))
	return err
}

// until reads messages up to one of that kind, and returns its body.
func until(r io.Reader, kind byte) (string, error) {
	for {
		var head [5]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return "", err
		}
		n := binary.BigEndian.Uint32(head[1:])
		if n < 4 || n > 1<<20 {
			return "", errors.New("no message of the protocol")
		}
		body := make([]byte, n-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return "", err
		}
		switch head[0] {
		case kind:
			return string(body), nil
		case 'E':
			return "", fmt.Errorf("the server refuses: %q", body)
		}
	}
}
