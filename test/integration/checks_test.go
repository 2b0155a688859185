package integration

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
)

// This file: checks, which a daemon asks of its services.

// A patient is what checks ask: an HTTP server of the test that says what it is told to.
type patient struct {
	*httptest.Server
	ill atomic.Bool
}

func newPatient(t testing.TB) *patient {
	t.Helper()
	p := &patient{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.ill.Load() {
			http.Error(w, "no database", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// checked is a service that sleeps and has one check.
func checked(check string) string {
	return "[service.web]\ncommand = \"sleep 1000\"\ncheck = [{ every = \"20ms\", " + check + " }]\n"
}

// saysCheck waits for an event about a check.
func (d *daemon) saysCheck(name, pattern string) {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	d.wait(name+" to have the event "+pattern, func() error {
		for _, e := range d.events() {
			if e.Kind == "check" && e.Name == name && re.MatchString(e.Message) {
				return nil
			}
		}
		return errNotYet
	})
}

func TestCheckMarks(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	d := start(t, checked(`http = "`+p.URL+`/", then = "mark"`))
	i := d.running("web", 0)
	p.ill.Store(true)
	d.why("web", `check http://[0-9.:]+/: 503 Service Unavailable: no database \([3-9] in a row\)`)
	d.why("web", `check http://[0-9.:]+/: .* \([0-9]{2,} in a row\)`) // and it goes on to count
	p.ill.Store(false)
	now := d.why("web", "")
	if now.Pid != i.Pid || now.Generation != i.Generation || now.State != api.Running {
		t.Errorf("a check that only marks made %+v of %+v", now, i)
	}
	d.saysCheck("web", `^check http://.*: 503 .* \(3 in a row\)$`)
	d.saysCheck("web", `^check http://.*: good again$`)
	p.ill.Store(true)
	d.why("web", "check .*")
	if _, err := d.apply(checked(`tcp = "` + p.Listener.Addr().String() + `"`)); err != nil {
		t.Fatal(err)
	}
	if now := d.why("web", ""); now.Pid != i.Pid {
		t.Errorf("another check made %+v of %+v", now, i)
	}
}

// TestCheckRestarts: each kind of check brings a service back that lives and does not work.
func TestCheckRestarts(t *testing.T) {
	t.Parallel()
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		p := newPatient(t)
		d := start(t, checked(`http = "`+p.URL+`/"`))
		i := d.running("web", 0)
		p.ill.Store(true)
		d.running("web", i.Generation)
		p.ill.Store(false)
		d.saysCheck("web", `: 503 Service Unavailable: no database`)
	})
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d := start(t, checked(`tcp = "`+l.Addr().String()+`"`))
		i := d.running("web", 0)
		l.Close()
		d.running("web", i.Generation)
		d.saysCheck("web", `^check tcp [0-9.:]+: connection refused \(3 in a row\)$`)
	})
	t.Run("exec", func(t *testing.T) {
		t.Parallel()
		d := prepare(t, "")
		well := file(t, filepath.Join(d.dir, "well"), "", 0o644)
		d.write(checked(`exec = ["sh", "-c", "test -e well || { echo it; echo is ill; exit 3; }"]`))
		d.up()
		i := d.running("web", 0)
		if err := os.Remove(well); err != nil {
			t.Fatal(err)
		}
		d.running("web", i.Generation)
		d.saysCheck("web", `^check exec sh -c .*: exit code 3: is ill \(3 in a row\)$`)
		for _, line := range d.lines("web") {
			if strings.Contains(line, "ill") {
				t.Errorf("what a check says is in the service's log: %q", line)
			}
		}
	})
}

// pidIn waits until a file has a pid other than not.
func (d *daemon) pidIn(path string, not int) int {
	d.t.Helper()
	var pid int
	d.wait("a pid in "+path, func() error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if pid, err = parsePid(data); err == nil && pid == not {
			return errNotYet
		}
		return err
	})
	return pid
}

// gone waits until a process is gone.
func (d *daemon) gone(pid int) {
	d.t.Helper()
	d.wait(fmt.Sprintf("process %d to be gone", pid), func() error {
		if alive(pid) {
			return fmt.Errorf("it lives")
		}
		return nil
	})
}

// TestExecCheckTree: at its timeout a check is killed with all it has started, also what has left its session.
func TestExecCheckTree(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	d.write(checked(`exec = ["sh", "-c", "(setsid sh -c 'echo $$ > child.new; mv child.new child; exec sleep 1000' &) ; echo waiting; sleep 1000"], timeout = "300ms", failures = 1, then = "mark"`))
	d.up()
	d.why("web", `check exec sh .*: no answer within 300ms: waiting \(\d+ in a row\)`)
	first := d.pidIn(filepath.Join(d.dir, "child"), 0)
	d.gone(first)
	d.gone(d.pidIn(filepath.Join(d.dir, "child"), first))
	d.do(api.Stop, "web")
}

// TestExecCheckLeavesNothing: what a check that has ended well left behind is killed.
func TestExecCheckLeavesNothing(t *testing.T) {
	t.Parallel()
	d := start(t, checked(`exec = ["sh", "-c", "setsid sh -c 'echo $$ > child.new; mv child.new child; exec sleep 1000' & while [ ! -e child ]; do :; done"], timeout = "30s"`))
	first := d.pidIn(filepath.Join(d.dir, "child"), 0)
	d.gone(first)
	if i := d.running("web", 0); i.Why != "" || i.Generation != 1 {
		t.Errorf("it is %+v", i)
	}
}

// TestChecksOnlyWhenReady: nothing is asked before a service is ready, or when it has stopped.
func TestChecksOnlyWhenReady(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	gate := fifo(t, d.dir, "gate")
	const ask = "check = [{ exec = [\"sh\", \"-c\", \"echo >> $STAY_SERVICE.asked\"], every = \"20ms\", then = \"mark\" }]\n"
	d.write(steps(t, "web", "open", gate, "send", "READY=1", "forever") + "ready = \"notify\"\ndirectory = \"" + d.dir + "\"\n" + ask +
		"[service.ready]\ncommand = \"sleep 1000\"\n" + ask)
	d.up()
	asked := func(name string) int {
		data, _ := os.ReadFile(filepath.Join(d.dir, name+".asked"))
		return strings.Count(string(data), "\n")
	}
	times := func(name string, n int) {
		t.Helper()
		d.wait(fmt.Sprintf("%s to be asked %d times", name, n), func() error {
			if got := asked(name); got < n {
				return fmt.Errorf("it was asked %d times", got)
			}
			return nil
		})
	}
	times("ready", 5)
	if n := asked("web"); n != 0 {
		t.Errorf("it was asked %d times before it was ready", n)
	}
	release(t, gate)
	d.running("web", 0)
	times("web", 2)
	d.do(api.Stop, "web")
	n := asked("web")
	times("ready", asked("ready")+5)
	if now := asked("web"); now > n+1 { // one may have been about to write
		t.Errorf("it was asked %d times after it had stopped", now-n)
	}
}

// lasting is a check that lasts, and writes down its pid.
const lasting = `exec = ["sh", "-c", "echo $$ > asker.new; mv asker.new asker; exec sleep 1000"], timeout = "10m"`

// TestDeathsDuringExecCheck: whoever dies or stops while a check runs, nothing of it stays, and it is asked again.
func TestDeathsDuringExecCheck(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*daemon, api.Instance, int) {
		d := start(t, checked(lasting))
		i := d.running("web", 0)
		return d, i, d.pidIn(filepath.Join(d.dir, "asker"), 0)
	}
	t.Run("engine", func(t *testing.T) {
		t.Parallel()
		d, i, pid := begin(t)
		d.killEngine()
		d.gone(pid)
		d.pidIn(filepath.Join(d.dir, "asker"), pid)
		if now := d.one("web"); now.Pid != i.Pid || now.Why != "" {
			t.Errorf("it is %+v, it was %+v", now, i)
		}
	})
	t.Run("keeper", func(t *testing.T) {
		t.Parallel()
		d, i, pid := begin(t)
		d.killKeeper()
		d.gone(pid)
		d.pidIn(filepath.Join(d.dir, "asker"), pid)
		if now := d.one("web"); now.Pid != i.Pid || now.Why != "" {
			t.Errorf("it is %+v, it was %+v", now, i)
		}
	})
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		d, i, pid := begin(t)
		kill(t, i.Pid)
		d.gone(pid)
		d.running("web", i.Generation)
		d.pidIn(filepath.Join(d.dir, "asker"), pid)
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		d, _, pid := begin(t)
		d.do(api.Stop, "web")
		d.gone(pid)
	})
	t.Run("asker", func(t *testing.T) {
		t.Parallel()
		d, i, pid := begin(t)
		kill(t, pid)
		d.pidIn(filepath.Join(d.dir, "asker"), pid)
		if now := d.one("web"); now.Pid != i.Pid {
			t.Errorf("it is %+v, it was %+v", now, i)
		}
	})
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		begin(t) // and the harness looks for what is left
	})
}

// TestExecCheckEnvironment: a check sees what its service sees, and cannot speak for it.
func TestExecCheckEnvironment(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\ninstances = 2\nready = \"after:0s\"\nenv = { COLOR = \"red\" }\numask = \"027\"\n"+
		"check = [{ exec = [\"sh\", \"-c\", \"env > $STAY_INSTANCE.new; umask >> $STAY_INSTANCE.new; pwd >> $STAY_INSTANCE.new; mv $STAY_INSTANCE.new $STAY_INSTANCE.env\"], every = \"20ms\", timeout = \"30s\" }]\n")
	var text string
	d.wait("the second instance to be asked", func() error {
		data, err := os.ReadFile(filepath.Join(d.dir, "web.2.env"))
		text = "\n" + string(data)
		return err
	})
	for _, want := range []string{"COLOR=red", "STAY_SERVICE=web", "STAY_INSTANCE=web.2", "STAY_NUMBER=2", "STAY_TREE=" + d.id() + "/web.2:check1/", "0027\n", d.dir} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("%q is missing in%s", want, text)
		}
	}
	for _, not := range []string{"NOTIFY_SOCKET", "STAY_PULSE", "WATCHDOG_USEC", "LISTEN_FDS"} {
		if strings.Contains(text, "\n"+not+"=") {
			t.Errorf("%s is in%s", not, text)
		}
	}
}

// TestExecCheckUser: a check is not asked as root for a service that is not.
func TestExecCheckUser(t *testing.T) {
	t.Parallel()
	needsRoot(t, "runs a service as another user")
	dir := shared(t)
	d := prepareAt(t, dir, "[service.web]\ncommand = \"sleep 1000\"\nuser = \"nobody\"\ncheck = [{ exec = [\"sh\", \"-c\", \"id -un; exit 1\"], every = \"20ms\", timeout = \"30s\", failures = 1, then = \"mark\" }]\n")
	d.up()
	d.why("web", `check exec sh -c .*: exit code 1: nobody \(\d+ in a row\)`)
}

// TestCheckThatCannotBeAsked: a check that cannot be run says nothing about the service.
func TestCheckThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	d := start(t, checked(`exec = "no-such-program-at-all"`))
	i := d.why("web", `check exec no-such-program-at-all: cannot be asked: .*`)
	d.saysCheck("web", "cannot be asked")
	if i.Generation != 1 || i.State != api.Running {
		t.Errorf("it is %+v", i)
	}
	n := 0
	for _, e := range d.events() {
		if e.Kind == "check" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d events, want one", n)
	}
}

// TestEngineKilledAgainAndAgain: engines that die in the middle of questions leave nothing of them, and none of it counts
// against the service.
func TestEngineKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\ncheck = [\n"+
		"{ exec = [\"sh\", \"-c\", \"sh -c 'setsid sleep 0.05 & exit 0'\"], every = \"10ms\", timeout = \"30s\" },\n"+
		"{ exec = [\"sh\", \"-c\", \"echo $$ > asker.new; mv asker.new asker; exec sleep 1000\"], every = \"10ms\", timeout = \"10m\" },\n]\n")
	i := d.running("web", 0)
	pid := 0
	for range 8 {
		pid = d.pidIn(filepath.Join(d.dir, "asker"), pid)
		d.killEngine()
		d.gone(pid)
	}
	d.pidIn(filepath.Join(d.dir, "asker"), pid)
	if now := d.one("web"); now.Pid != i.Pid || now.Generation != 1 || now.Why != "" {
		t.Errorf("it is %+v, it was %+v", now, i)
	}
}

// TestStoppedEngineBlamesNobody: questions that an engine had under way when it was stopped, for longer than any of them may
// take, say nothing about the services.
func TestStoppedEngineBlamesNobody(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(s.Close)
	d := start(t, "[service.web]\ncommand = \"sleep 1000\"\ninstances = 5\ncheck = [\n"+
		"{ http = \""+s.URL+"/\", every = \"10ms\", timeout = \"1s\", failures = 1 },\n"+
		"{ tcp = \""+s.Listener.Addr().String()+"\", every = \"10ms\", timeout = \"1s\", failures = 1 },\n"+
		"{ exec = \"true\", every = \"10ms\", timeout = \"1s\", failures = 1, then = \"mark\" },\n]\n")
	d.running("web.5", 0)
	more := func() {
		t.Helper()
		n := asked.Load()
		d.wait("50 more questions", func() error {
			if asked.Load() < n+50 {
				return errNotYet
			}
			return nil
		})
	}
	more()
	engine := mustVersion(t, d).EnginePid
	for range 3 {
		if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		<-time.After(1500 * time.Millisecond) // the length of the stop is what is tested
		if err := syscall.Kill(engine, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		more()
	}
	if now := mustVersion(t, d).EnginePid; now != engine {
		t.Skipf("engine %d was replaced by %d", engine, now)
	}
	for _, i := range d.status("web") {
		if i.Generation != 1 {
			t.Errorf("it was restarted: %+v", i)
		}
	}
	for _, e := range d.events() {
		if e.Kind == "check" {
			t.Errorf("event %+v", e)
		}
	}
}
