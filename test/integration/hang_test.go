package integration

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
	"example.com/stay/pulse"
)

// This file: what hangs is found, explained, killed whole and brought back; what is healthy is left alone.

func init() {
	roles["pulses"] = rolePulses
	roles["talk"] = roleTalk
}

// roleTalk beats after each line that it wrote, without end.
func roleTalk([]string) int {
	p := pulse.Start("talker", 0)
	line := []byte(strings.Repeat("x", 4095) + "\n")
	for {
		if _, err := os.Stdout.Write(line); err != nil {
			return 1
		}
		p.Beat()
	}
}

// rolePulses beats from as many loops as the first argument says, each time the second has passed. Loop 0 has the name
// "indexer", the others "loop-1" and so on. At SIGUSR1 loop 0 blocks for good, at SIGUSR2 for as long as the third argument
// says. It prints "up" when all of them have begun.
func rolePulses(args []string) int {
	n, _ := strconv.Atoi(args[0])
	every, _ := time.ParseDuration(args[1])
	pause := time.Duration(0)
	if len(args) > 2 {
		pause, _ = time.ParseDuration(args[2])
	}
	block := make(chan os.Signal, 1)
	signal.Notify(block, syscall.SIGUSR1, syscall.SIGUSR2)
	begun := make(chan bool)
	for i := range n {
		name := "indexer"
		if i > 0 {
			name = "loop-" + strconv.Itoa(i)
		}
		go func() {
			p := pulse.Start(name, 0)
			p.Note(fmt.Sprintf("merging segment %d", 41+i))
			tick := time.NewTicker(every)
			begun <- true
			for {
				p.Beat()
				if i > 0 {
					<-tick.C
					continue
				}
				select {
				case s := <-block:
					if s == syscall.SIGUSR1 {
						select {}
					}
					<-time.After(pause)
				case <-tick.C:
				}
			}
		}()
	}
	for range n {
		<-begun
	}
	fmt.Println("up")
	select {}
}

// beating is the configuration of a service in the role pulses, with more lines.
func beating(name, args, more string) string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	words := []string{fmt.Sprintf("%q", self)}
	for _, w := range strings.Fields(args) {
		words = append(words, fmt.Sprintf("%q", w))
	}
	return fmt.Sprintf("[service.%s]\ncommand = [%s]\nenv = { STAY_TEST_ROLE = \"pulses\", GORACE = \"atexit_sleep_ms=0\" }\n%s\n", name, strings.Join(words, ", "), more)
}

// pulses are the signs of life of a service, once there are n of them.
func (d *daemon) pulses(name string, n int) []api.PulseSlot {
	d.t.Helper()
	var list []api.PulseSlot
	d.wait(fmt.Sprintf("%d pulses of %s", n, name), func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if list, err = d.client.Pulses(ctx, name); err == nil && len(list) < n {
			err = fmt.Errorf("there are %+v", list)
		}
		return err
	})
	return list
}

// incident is the last incident of a service, of a generation above after.
func (d *daemon) incident(name string, after uint64) api.Incident {
	d.t.Helper()
	var found api.Incident
	d.wait("an incident of "+name, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		list, err := d.client.Incidents(ctx, client.IncidentFilter{Target: name, N: 1})
		if err == nil && (len(list) == 0 || list[0].Generation <= after) {
			err = fmt.Errorf("there are %+v", list)
		}
		if err == nil {
			found = list[0]
		}
		return err
	})
	return found
}

// signal sends a signal to the main process of a service.
func (d *daemon) signal(i api.Instance, s syscall.Signal) {
	d.t.Helper()
	if err := syscall.Kill(i.Pid, s); err != nil {
		d.t.Fatal(err)
	}
}

// TestHangIsFoundAndExplained: one loop of sixteen blocks; the service is restarted, and the incident says which and where.
func TestHangIsFoundAndExplained(t *testing.T) {
	t.Parallel()
	d := start(t, beating("web", "16 20ms", `pulse = "500ms"`))
	web := d.running("web", 0)
	d.wait("sixteen busy loops", func() error {
		for _, p := range d.pulses("web", 16) {
			if p.Source != "page" || p.State != "busy" || p.LimitMS != 500 || p.Count == 0 || !strings.HasPrefix(p.Note, "merging segment ") {
				return fmt.Errorf("pulse %+v", p)
			}
		}
		return nil
	})
	if w := d.until("web", "shown with a pulse", func(i api.Instance) bool { return i.Pulse != nil }); w.Pulse.LimitMS != 500 {
		t.Errorf("its worst pulse is %+v", w.Pulse)
	}
	d.signal(web, syscall.SIGUSR1)
	d.running("web", web.Generation)
	a := d.incident("web", 0)
	v := a.Verdict
	if a.Cause != api.CauseHang || a.Generation != web.Generation || a.Pid != web.Pid || v == nil {
		t.Fatalf("incident %+v", a)
	}
	if v.Kind != "pulse" || v.Pulse != "indexer" || v.Note != "merging segment 41" || v.LimitMS != 500 || v.SilentMS < 500 || v.Fine != 15 || v.Late != 1 || len(v.Slots) != 16 {
		t.Errorf("verdict %+v", v)
	}
	if e := a.Evidence; e == nil || len(e.Processes) == 0 || e.Processes[0].Pid != web.Pid || len(e.Processes[0].Threads) == 0 {
		t.Errorf("evidence %+v", e)
	}
	if a.Today != 1 || a.BackMS <= 0 || a.DelayMS != 0 || len(a.Log) == 0 {
		t.Errorf("incident %+v", a)
	}
	if alive(web.Pid) {
		t.Errorf("process %d still lives", web.Pid)
	}
}

// TestStoppedProcessHangs: SIGSTOP is no excuse, and a stopped process is killed whole.
func TestStoppedProcessHangs(t *testing.T) {
	t.Parallel()
	d := start(t, beating("web", "2 20ms", `pulse = "300ms"
stop = { timeout = "200ms" }`))
	web := d.running("web", 0)
	d.pulses("web", 2)
	d.signal(web, syscall.SIGSTOP)
	d.running("web", web.Generation)
	if a := d.incident("web", 0); a.Cause != api.CauseHang || a.Verdict.Late != 2 {
		t.Errorf("incident %+v, %+v", a, a.Verdict)
	}
}

// TestDumpBeforeTheEnd: a hanging service gets its dump signal, and time for it, before it is stopped; what it wrote then is
// kept with the incident.
func TestDumpBeforeTheEnd(t *testing.T) {
	t.Parallel()
	d := start(t, beating("web", "1 20ms", `pulse = "300ms"
hang = { dump = "QUIT", dump_wait = "20s" }`))
	web := d.running("web", 0)
	d.pulses("web", 1)
	d.signal(web, syscall.SIGUSR1)
	d.running("web", web.Generation)
	a := d.incident("web", 0)
	if a.Cause != api.CauseHang || a.Code != 2 || !strings.Contains(d.output("web"), "SIGQUIT: quit") || !strings.Contains(d.output("web"), "rolePulses") {
		t.Errorf("incident %+v, it wrote %q", a, d.output("web"))
	}
}

// TestFullDiskIsNoHang: a service that cannot write its log because the disk is full does not beat, and is left alone; when
// there is room again it goes on.
func TestFullDiskIsNoHang(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := prepare(t, fmt.Sprintf("[service.web]\ncommand = [%q]\nenv = { STAY_TEST_ROLE = \"talk\", GORACE = \"atexit_sleep_ms=0\" }\npulse = \"300ms\"\nlog = { max_size = \"1MB\", keep = 1 }\n", self))
	d.privateMounts(t, "mkdir -p .stay/log; mount -t tmpfs -o size=4m,mode=0750 none .stay/log; dd if=/dev/zero of=.stay/log/ballast bs=1k count=3900 2>/dev/null")
	d.up()
	d.root = fmt.Sprintf("/proc/%d/root", d.keeper.Process.Pid)
	web := d.running("web", 0)
	d.wait("a pulse that is late and excused", func() error {
		if list := d.pulses("web", 1); !strings.Contains(list[0].Why, "log") || list[0].AgeMS < 1500 {
			return fmt.Errorf("it is %+v", list[0])
		}
		return nil
	})
	if err := os.Remove(filepath.Join(d.root, d.dir, ".stay", "log", "ballast")); err != nil {
		t.Fatal(err)
	}
	d.wait("a pulse that beats", func() error {
		if list := d.pulses("web", 1); list[0].Why != "" || list[0].AgeMS > 300 {
			return fmt.Errorf("it is %+v", list[0])
		}
		return nil
	})
	if now := d.one("web"); now.Pid != web.Pid || now.Restarts != 0 {
		t.Errorf("it was %+v, is %+v", web, now)
	}
}

// TestDrillOfAPulse: a pulse that is held back leads to what a hang leads to.
func TestDrillOfAPulse(t *testing.T) {
	t.Parallel()
	d := start(t, beating("web", "2 20ms", `pulse = "300ms"`)+beating("none", "0 20ms", ""))
	web := d.running("web", 0)
	d.running("none", 0)
	d.pulses("web", 2)
	if _, err := d.try(api.Command{Verb: api.Mute, Target: "none"}); err == nil || !strings.Contains(err.Error(), "no pulse to hold back") {
		t.Errorf("mute of a service without pulses: %v", err)
	}
	d.do(api.Mute, "web")
	d.running("web", web.Generation)
	if a := d.incident("web", 0); a.Cause != api.CauseHang {
		t.Errorf("incident %+v", a)
	}
	again := d.running("web", web.Generation)
	d.pulses("web", 2)
	<-time.After(900 * time.Millisecond) // three limits: nothing happens in them
	if now := d.one("web"); now.Generation != again.Generation {
		t.Errorf("the next generation is muted too: %+v", now)
	}
}

// TestPulseInAChroot: where the page's path is not, the service begins with the page itself.
func TestPulseInAChroot(t *testing.T) {
	needsRoot(t, "chroot")
	t.Parallel()
	d := start(t, beating("web", "2 20ms", "pulse = \"300ms\"\nsandbox = { chroot = \"/\" }"))
	web := d.running("web", 0)
	d.pulses("web", 2)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", web.Pid))
	if err != nil || !strings.Contains(string(env), "STAY_PULSE=fd:3\x00") {
		t.Errorf("environment %q, %v", env, err)
	}
	d.signal(web, syscall.SIGUSR1)
	d.running("web", web.Generation)
	if a := d.incident("web", 0); a.Cause != api.CauseHang {
		t.Errorf("incident %+v", a)
	}
}

// TestRequiredPulse: a service that has to beat and never does is a hang at the end of its start timeout.
func TestRequiredPulse(t *testing.T) {
	t.Parallel()
	d := start(t, beating("web", "0 20ms", `pulse = { limit = "300ms", required = true }
start_timeout = "400ms"`))
	d.running("web", 1)
	if a := d.incident("web", 0); a.Cause != api.CauseHang || a.Verdict == nil || a.Verdict.Kind != "required" {
		t.Errorf("incident %+v, %+v", a, a.Verdict)
	}
}

// TestPulseOutlivesTheEngine: the next engine judges the same page; what is healthy lives on, what hangs is found.
func TestPulseOutlivesTheEngine(t *testing.T) {
	t.Parallel()
	d := start(t, beating("good", "2 20ms", `pulse = "300ms"`)+beating("bad", "2 20ms", `pulse = "300ms"`))
	good, bad := d.running("good", 0), d.running("bad", 0)
	d.pulses("good", 2)
	d.pulses("bad", 2)
	d.killEngine()
	d.pulses("good", 2)
	d.signal(bad, syscall.SIGUSR1)
	d.running("bad", bad.Generation)
	if a := d.incident("bad", 0); a.Cause != api.CauseHang || a.Verdict.Pulse != "indexer" {
		t.Errorf("incident %+v, %+v", a, a.Verdict)
	}
	d.killKeeper()
	d.pulses("good", 2)
	if now := d.one("good"); now.Pid != good.Pid || now.Restarts != 0 {
		t.Errorf("good was %+v, is %+v", good, now)
	}
}

// TestIncidentsTellDeathsApart: each kind of end has a cause of its own.
func TestIncidentsTellDeathsApart(t *testing.T) {
	t.Parallel()
	d := start(t, `[defaults]
restart = { when = "never" }
[service.code]
command = "sh -c 'echo last words; exit 7'"
[service.crash]
command = "sh -c 'kill -SEGV $$'"
[service.none]
command = "/nonexistent/program"
[service.slow]
command = "sleep 1000"
ready = "notify"
start_timeout = "100ms"
[service.db]
command = "sleep 1000"
[service.web]
command = "sleep 1000"
needs = ["db"]
[service.stop]
command = "sleep 1000"
[service.again]
command = "sleep 1000"
`)
	for _, name := range []string{"db", "web", "stop", "again"} {
		d.running(name, 0)
	}
	d.do(api.Stop, "stop")
	d.do(api.Restart, "again")
	if _, err := d.try(api.Command{Verb: api.Stop, Target: "db"}); err != nil {
		t.Fatal(err)
	}
	for name, check := range map[string]func(api.Incident) bool{
		"code": func(a api.Incident) bool {
			return a.Cause == api.CauseExit && a.Code == 7 && strings.Join(a.Log, "") == "last words" && a.DelayMS == -1
		},
		"crash": func(a api.Incident) bool { return a.Cause == api.CauseSignal && a.Signal == "SEGV" },
		"none": func(a api.Incident) bool {
			return a.Cause == api.CauseExec && a.Errno == "ENOENT" && a.Stage == "lookup"
		},
		"slow":  func(a api.Incident) bool { return a.Cause == api.CauseStartTimeout && a.Evidence != nil && !a.Ready },
		"stop":  func(a api.Incident) bool { return a.Cause == api.CauseOperator && a.By == "stop" && a.Signal == "TERM" },
		"again": func(a api.Incident) bool { return a.Cause == api.CauseOperator && a.By == "restart" && a.BackMS > 0 },
		"web":   func(a api.Incident) bool { return a.Cause == api.CauseDependency && a.Detail == "db" },
	} {
		if a := d.incident(name, 0); !check(a) {
			t.Errorf("%s: incident %+v", name, a)
		}
	}
}

// TestIncidentsOutliveTheDaemon: they are files, and the next daemon knows them.
func TestIncidentsOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	d := start(t, "[service.web]\ncommand = \"sh -c 'exit 3'\"\nrestart = { when = \"never\" }\n")
	first := d.incident("web", 0)
	d.killEngine()
	if again := d.incident("web", 0); again.ID != first.ID {
		t.Errorf("after the engine's death it is %+v, was %+v", again, first)
	}
	file, err := os.Open(filepath.Join(d.dir, ".stay", "state", "incidents", first.ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if line, _ := bufio.NewReader(file).ReadString('\n'); !strings.Contains(line, "{") {
		t.Errorf("the file begins %q", line)
	}
}
