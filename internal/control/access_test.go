package control

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		access      access
		uid, daemon int
		ok          bool
	}{
		{owner, 0, 0, true},
		{owner, 0, 1000, true},
		{owner, 1000, 1000, true},
		{owner, 1000, 0, false},
		{owner, 1001, 1000, false},
		{owner, nobody, 0, false},
		{owner, nobody, nobody, false},
		{anyone, 1001, 1000, true},
		{anyone, nobody, 0, true},
	} {
		err := decide(c.access, c.uid, c.daemon, "GET /v1/x")
		if (err == nil) != c.ok {
			t.Errorf("access %d, uid %d, daemon %d: %v", c.access, c.uid, c.daemon, err)
		}
		var e *api.Error
		if err != nil && (!errors.As(err, &e) || e.Code != "forbidden" || e.Hint == "" || !strings.Contains(e.Message, "GET /v1/x")) {
			t.Errorf("access %d, uid %d, daemon %d: the refusal is %v", c.access, c.uid, c.daemon, err)
		}
	}
}

func TestPeerOfNoUnixSocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if uid := peerOf(a).UID; uid != nobody {
		t.Errorf("a pipe has the uid %d", uid)
	}
	if err := permit(withPeer(t.Context(), a), owner, "x"); err == nil {
		t.Error("a peer without credentials may do everything")
	}
	if err := permit(context.Background(), owner, "x"); err == nil {
		t.Error("a request without a connection may do everything")
	}
}

// TestPeerOfOtherUser connects as another user and sees that he gets nothing but the version.
func TestPeerOfOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to connect as somebody else")
	}
	f := &fake{}
	s := serve(t, f)
	dir := strings.TrimSuffix(s.socket, "/s")
	for d := dir; d != "/" && d != os.TempDir(); d = d[:strings.LastIndexByte(d, '/')] {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(s.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/v1/version":  "HTTP/1.1 200 OK",
		"/v1/services": "HTTP/1.1 403 Forbidden",
		"/v1/events":   "HTTP/1.1 403 Forbidden",
		"/v1/logs/web": "HTTP/1.1 403 Forbidden",
	} {
		exe, err := os.Open("/proc/self/exe") // its path may be closed to the other user
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/fd/3")
		cmd.Dir = "/"
		cmd.ExtraFiles = []*os.File{exe}
		cmd.Env = []string{"CONTROL_TEST_SOCKET=" + s.socket, "CONTROL_TEST_PATH=" + path}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		exe.Close()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("GET %s as uid 65534: %v %s; want %s", path, err, out, want)
		}
	}
	if f.last() != "version" {
		t.Errorf("the engine was asked %s", f.last())
	}
}
