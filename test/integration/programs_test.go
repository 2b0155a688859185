package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// This file: programs as they come from a distribution, started as their manuals say.

// program finds a program, or skips the test.
func program(t *testing.T, pattern string) string {
	t.Helper()
	if !strings.Contains(pattern, "/") {
		path, err := exec.LookPath(pattern)
		if err != nil {
			t.Skipf("%s is not installed", pattern)
		}
		return path
	}
	found, _ := filepath.Glob(pattern)
	if len(found) == 0 {
		t.Skipf("%s is not installed", filepath.Base(pattern))
	}
	return found[len(found)-1]
}

// account is the user that a service of the distribution runs as, with the line for the configuration. Who is not root
// runs everything as himself.
func account(t *testing.T, name string) (uid, gid int, line string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return os.Geteuid(), os.Getegid(), ""
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Skipf("there is no user %s", name)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid, fmt.Sprintf("user = %q\n", name)
}

// talk sends a question to a server and returns the first line of its answer.
func talk(network, address, question string) (string, error) {
	c, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, question); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// answering returns a function that fails unless the answer begins with want.
func answering(network, address, question, want string) func() error {
	return func() error {
		line, err := talk(network, address, question)
		if err == nil && !strings.HasPrefix(line, want) {
			err = fmt.Errorf("it answers %q, not %q", line, want)
		}
		return err
	}
}

// lives takes the service "it" through a life: it serves, its main process is killed, it serves again as a new
// generation, and of either nothing is left. With atOnce, what is ready serves.
func (d *daemon) lives(atOnce bool, serves func() error) {
	d.t.Helper()
	first := d.running("it", 0)
	check := func() {
		d.t.Helper()
		if !atOnce {
			d.wait("it to serve", serves)
		} else if err := serves(); err != nil {
			d.t.Errorf("it is ready and does not serve: %v", err)
		}
	}
	check()
	old := family(first.Pid)
	kill(d.t, first.Pid)
	second := d.running("it", first.Generation)
	if left := living(old); len(left) > 0 {
		d.t.Errorf("the next generation runs, and of the one before there are %v", left)
	}
	check()
	if second.Generation != first.Generation+1 || second.Restarts != 1 {
		d.t.Errorf("after one death: %+v\n%s", second, d.output("it"))
	}
	old = family(second.Pid)
	d.do(api.Stop, "it")
	if left := living(old); len(left) > 0 {
		d.t.Errorf("it is stopped, and there are %v", left)
	}
	if err := serves(); err == nil {
		d.t.Error("it is stopped and serves")
	}
	if end := d.one("it"); end.State != api.Stopped || end.Pid != 0 {
		d.t.Errorf("after stop: %+v", end)
	}
}

// absent fails for each path that is there.
func absent(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, err := os.Lstat(p); err == nil {
			t.Errorf("%s is left", filepath.Base(p))
		}
	}
}

func TestRedis(t *testing.T) {
	t.Parallel()
	redis := program(t, "redis-server")
	uid, gid, as := account(t, "redis")
	dir := shared(t)
	data := private(t, dir, "data", uid, gid)
	socket := filepath.Join(data, "redis.sock")
	d := prepareAt(t, dir, fmt.Sprintf(`[service.it]
command = ["%s", "--port", "0", "--unixsocket", "%s", "--dir", "%s", "--supervised", "systemd", "--appendonly", "yes"]
ready = "notify"
%s`, redis, socket, data, as))
	d.up()
	d.running("it", 0)
	if err := answering("unix", socket, "SET kept here\r\n", "+OK")(); err != nil {
		t.Fatal(err)
	}
	d.lives(true, answering("unix", socket, "PING\r\n", "+PONG"))
	absent(t, socket)
	d.do(api.Start, "it")
	if err := answering("unix", socket, "GET kept\r\n", "$4")(); err != nil {
		t.Errorf("what was stored: %v", err)
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	sbin := "/usr/sbin/nginx"
	nginx := program(t, sbin)
	dir := shared(t)
	_, _, _ = account(t, "www-data")
	port := freePort(t)
	asUser := ""
	if os.Geteuid() == 0 {
		asUser = "user www-data;"
	}
	prefix := private(t, dir, "prefix", os.Geteuid(), os.Getegid())
	conf := file(t, filepath.Join(prefix, "nginx.conf"), fmt.Sprintf(`%s
daemon off; worker_processes 2; pid %s/nginx.pid; error_log stderr;
events { worker_connections 16; }
http {
  access_log off;
  client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/f; uwsgi_temp_path %[2]s/u; scgi_temp_path %[2]s/s;
  server { listen 127.0.0.1:%d; location / { return 200 "here\n"; } }
}
`, asUser, prefix, port), 0o644)
	d := prepareAt(t, dir, fmt.Sprintf(`[service.it]
command = ["%s", "-p", "%s", "-c", "%s", "-e", "stderr"]
stop = { signal = "QUIT" }
`, nginx, prefix, conf))
	d.up()
	d.lives(false, answering("tcp", fmt.Sprintf("127.0.0.1:%d", port), "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200"))
	absent(t, filepath.Join(prefix, "nginx.pid"))
	if strings.Contains(d.output("it"), "in use") {
		t.Errorf("the second generation found the port taken:\n%s", d.output("it"))
	}
}

func TestMemcached(t *testing.T) {
	t.Parallel()
	memcached := program(t, "memcached")
	port := freePort(t)
	d := start(t, fmt.Sprintf(`[service.it]
command = ["%s", "-l", "127.0.0.1", "-p", "%d", "-U", "0", "-u", "nobody"]
`, memcached, port))
	d.lives(false, answering("tcp", fmt.Sprintf("127.0.0.1:%d", port), "version\r\n", "VERSION "))
}
