package clients

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// The examples, built.
var (
	exampleC = sync.OnceValues(func() ([]string, error) {
		return compiled("example", "gcc", "-std=c11", "-O2", "c/example.c")
	})
	exampleThreadsC = sync.OnceValues(func() ([]string, error) {
		return compiled("example_threads", "gcc", "-std=c11", "-O2", "-pthread", "c/example_threads.c")
	})
	examplePython        = func() ([]string, error) { return interpreted("python3", "python/example.py") }
	exampleThreadsPython = func() ([]string, error) { return interpreted("python3", "python/example_threads.py") }
	exampleNode          = func() ([]string, error) { return interpreted("node", "node/example.js") }
)

// eventually asks again and again, for there is nothing to wait on: the page is memory.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in %v", what, patience)
		}
	}
}

// TestExample: a loop with a pulse, under stay and outside.
func TestExample(t *testing.T) {
	for name, command := range map[string]func() ([]string, error){"c": exampleC, "python": examplePython} {
		t.Run(name, func(t *testing.T) {
			p := newPage(t, 31)
			argv := need(t, command)
			d := run(t, append(argv[:len(argv):len(argv)], "5"), p.path)
			if line := d.line(); line != "5 rounds" {
				t.Errorf("said %q", line)
			}
			d.end()
			if len(p.taken()) != 0 {
				t.Errorf("at the end: %+v", p.taken())
			}

			d = run(t, argv, p.path)
			eventually(t, "ten beats", func() bool { all := p.taken(); return len(all) == 1 && all[0].count > 10 })
			if s := p.only(); s.name != "rounds" || !strings.HasPrefix(s.note, "round ") || s.progress < 10 || int(s.tid) != d.cmd.Process.Pid {
				t.Errorf("%+v", s)
			}

			d = run(t, append(argv[:len(argv):len(argv)], "2"), "-")
			if line := d.line(); !strings.HasPrefix(line, "no pulse: STAY_PULSE is not set") {
				t.Errorf("outside: %q", line)
			}
			if line := d.line(); line != "2 rounds" {
				t.Errorf("outside: %q", line)
			}
			d.end()
		})
	}
}

// TestExampleThreads: sixteen threads, of which one hangs in a lock while the others beat on.
func TestExampleThreads(t *testing.T) {
	for name, command := range map[string]func() ([]string, error){"c": exampleThreadsC, "python": exampleThreadsPython} {
		t.Run(name, func(t *testing.T) {
			p := newPage(t, 31)
			argv := need(t, command)
			d := run(t, append(argv[:len(argv):len(argv)], "--hang", "11", "--hang-after", "0.05"), p.path)
			if line := d.line(); line != "worker-11 hangs" {
				t.Fatalf("said %q", line)
			}
			eventually(t, "sixteen pulses", func() bool { return len(p.taken()) == 16 })
			hung, tids := find(t, p, "worker-11"), map[uint32]bool{}
			if hung.note != "waiting for the lock of the index" || hung.state != busy {
				t.Errorf("the one that hangs: %+v", hung)
			}
			at := fmt.Sprintf("/proc/%d/task/%d/stat", d.cmd.Process.Pid, hung.tid)
			eventually(t, "the thread sleeps", func() bool {
				stat, err := os.ReadFile(at)
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(string(stat), ") S ")
			})
			for i := range 16 {
				s := find(t, p, fmt.Sprintf("worker-%02d", i))
				if tids[s.tid] = true; i != 11 {
					eventually(t, s.name+" beats on", func() bool { return p.slot(s.index).count > s.count+2 })
				}
			}
			if got := p.slot(hung.index); got != hung {
				t.Errorf("it went on: %+v, before %+v", got, hung)
			}
			if len(tids) != 16 {
				t.Errorf("16 threads have %d ids", len(tids))
			}
		})
	}
}

// TestExampleThreadsArguments: the C program refuses what it does not know.
func TestExampleThreadsArguments(t *testing.T) {
	argv := need(t, exampleThreadsC)
	for _, args := range [][]string{{"--hangs", "1"}, {"--hang"}} {
		cmd := command(append(argv[:len(argv):len(argv)], args...), "-")
		text, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), args[0]) {
			t.Errorf("%v: %v, %s", args, err, text)
		}
	}
}

// TestExampleNode: a server beats for requests, and pauses while there are none; one that is never answered stops it.
func TestExampleNode(t *testing.T) {
	p := newPage(t, 31)
	d := run(t, need(t, exampleNode), p.path)
	var port int
	if _, err := fmt.Sscanf(d.line(), "listening on %d", &port); err != nil {
		t.Fatal(err)
	}
	if s := p.only(); s.index != 0 || s.name != "requests" || s.state != paused {
		t.Errorf("without requests: %+v", s)
	}
	get := func(path string) error {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		return err
	}
	for range 3 {
		if err := get("/"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three answers", func() bool { s := p.only(); return s.progress == 3 && s.state == paused })
	go get("/hang") // ends with the server
	eventually(t, "a request is open", func() bool { s := p.only(); return s.state == busy && s.note == "GET /hang" })
}
