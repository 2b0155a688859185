package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/drill"
)

// drilled is an engine whose instance comes back 2 ms after it was killed, or does whatever broken says.
func drilled(broken func(e *fakeEngine)) *fakeEngine {
	e := newEngine(instance("web", api.Running, 7))
	e.list[0].Generation = 3
	e.do = func(_ context.Context, c api.Command) (api.Result, error) {
		if c.Verb == api.Signal {
			e.change(func() { broken(e) })
		}
		return api.Result{Instances: e.match("web")}, nil
	}
	return e
}

// happened adds an event at a time in microseconds.
func (e *fakeEngine) happened(us int64, ev api.Event) {
	ev.Seq, ev.MonoNS = uint64(len(e.events)+1), 1e9+us*1000
	e.events = append(e.events, ev)
}

func killed(e *fakeEngine) {
	gen := e.list[0].Generation
	e.happened(0, api.Event{Kind: "command", Message: "signal KILL web.1"})
	e.happened(400, api.Event{Kind: "exit", Name: "web", Generation: gen})
	e.happened(2400, api.Event{Kind: "state", Name: "web", From: api.Starting, To: api.Running, Generation: gen + 1})
	e.list[0].Generation++
}

func TestDrill(t *testing.T) {
	socket := serve(t, drilled(killed))
	code, out, err := run(t, "--socket", socket, "drill", "web", "--yes", "--times", "2")
	want := "ROUND  WHAT     FOUND      BACK  INSTANCE\n" +
		"1      kill    0.4 ms    2.4 ms  web\n" +
		"2      kill    0.4 ms    2.4 ms  web\n" +
		"p50    kill    0.4 ms    2.4 ms\n" +
		"max    kill    0.4 ms    2.4 ms\n"
	if code != 0 || out != want || err != "" {
		t.Errorf("%d %q\n%s", code, err, out)
	}
	code, out, err = run(t, "--socket", socket, "drill", "web", "-y", "--json")
	var rounds []drill.Round
	if json.Unmarshal([]byte(out), &rounds) != nil || code != 0 || len(rounds) != 1 || rounds[0].Back != 2_400_000 || err != "" {
		t.Errorf("%d %q %q", code, out, err)
	}
}

func TestDrillFails(t *testing.T) {
	socket := serve(t, drilled(func(e *fakeEngine) {
		e.happened(0, api.Event{Kind: "command", Message: "signal KILL web.1"})
		e.happened(1, api.Event{Kind: "state", Name: "web", To: api.Failed, Message: "given up\x1b"})
	}))
	code, out, err := run(t, "--socket", socket, "drill", "web", "--yes")
	if code != 1 || !strings.Contains(out, "1      kill         -         -  web: it did not come back: failed, given up·\n") ||
		err != "stay: drill \"web\": 1 of 1 rounds did not end well\n  stay why web\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
	code, out, err = run(t, "--socket", socket, "drill", "nix", "--yes")
	if code != 1 || out != "" || !strings.HasPrefix(err, `stay: there is no service "nix"`) {
		t.Errorf("%d %q %q", code, out, err)
	}
	code, out, err = run(t, "--socket", socket, "drill", "n*", "--yes")
	if code != 1 || out != "" || err != "stay: drill \"n*\": nothing has that name\n  stay status\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
}

// TestDrillAsks: where nobody can be asked nothing is broken.
func TestDrillAsks(t *testing.T) {
	e := drilled(killed)
	socket := serve(t, e)
	code, out, err := run(t, "--socket", socket, "drill", "web")
	if code != 1 || out != "" || err != "stay: drill \"web\": it breaks a service that works, and there is nobody to ask\n  stay drill web --yes\n" {
		t.Errorf("%d %q %q", code, out, err)
	}
	for _, c := range []struct {
		answer string
		code   int
	}{{"\n", 1}, {"no\n", 1}, {"yes please\n", 1}, {"y\n", 0}, {"YES\n", 0}} {
		master, slave := terminal(t)
		shown, copied := newScreen(), make(chan struct{})
		go func() { defer close(copied); _, _ = io.Copy(shown, master) }()
		s := beginAs(func(a *app) { a.in, a.ui = slave, newUI(newScreen(), slave) }, "--socket", socket, "drill", "web", "--times", "2")
		shown.await(t, "this breaks web on purpose: kill, 2 times. Go on? [y/N] ", 1)
		before := e.match("web")[0].Generation
		if _, err := master.WriteString(c.answer); err != nil {
			t.Fatal(err)
		}
		if code, _, _ := s.end(t); code != c.code || (e.match("web")[0].Generation != before) != (code == 0) {
			t.Errorf("%q: %d, generation %d after %d", c.answer, code, e.match("web")[0].Generation, before)
		}
		slave.Close()
		<-copied
	}
}

// TestDrillBrokenOff: a Ctrl-C ends it, and what was stopped goes on.
func TestDrillBrokenOff(t *testing.T) {
	stopped, resumed := make(chan struct{}), make(chan struct{})
	e := newEngine(instance("web", api.Running, 7))
	e.pulses = []api.PulseSlot{{Name: "web", State: "busy", LimitMS: 1000}}
	e.do = func(_ context.Context, c api.Command) (api.Result, error) {
		switch c.Signal {
		case "STOP":
			close(stopped)
		case "CONT":
			close(resumed)
		}
		return api.Result{}, nil
	}
	s := begin("--socket", serve(t, e), "drill", "web", "--hang", "--yes")
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatalf("nothing was stopped: %s%s", s.out, s.err)
	}
	s.press(t, os.Interrupt)
	code, _, err := s.end(t)
	if code != 1 || err != "stay: drill \"web\": broken off after 0 rounds\n  stay status web\n" {
		t.Errorf("%d %q", code, err)
	}
	select {
	case <-resumed:
	default:
		t.Error("what was stopped stays so")
	}
}

func TestDrillUsage(t *testing.T) {
	for args, want := range map[string]string{
		"drill":               "stay: drill needs one service\n  stay drill SERVICE\n",
		"drill a b":           "stay: drill needs one service\n  stay drill SERVICE\n",
		"drill web --times 0": "stay: cannot drill 0 times\n  stay drill SERVICE --times 3\n",
	} {
		if code, out, err := run(t, strings.Fields(args)...); code != 2 || out != "" || err != want {
			t.Errorf("stay %s: %d %q %q", args, code, out, err)
		}
	}
}
