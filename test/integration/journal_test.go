package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// This file: the journal outlives engines, keepers, daemons and a power cut.

// gapless checks that numbers have no holes but those that a first event explains, and returns the first events of daemons.
func gapless(t *testing.T, list []api.Event) (firsts []api.Event) {
	t.Helper()
	for i, e := range list {
		if e.Kind == api.KindGap {
			t.Errorf("a gap: %+v", e)
		}
		if i > 0 && e.Seq <= list[i-1].Seq {
			t.Errorf("%d comes after %d", e.Seq, list[i-1].Seq)
		}
		if e.First {
			firsts = append(firsts, e)
		}
	}
	return firsts
}

// everything are all events, bookkeeping included.
func (d *daemon) everything() []api.Event {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var list []api.Event
	f := api.EventFilter{Kinds: []string{api.KindState, api.KindExit, api.KindCommand, api.KindResult, api.KindEngine, api.KindKeeper, api.KindCheckpoint}}
	if err := d.client.EventsOf(ctx, f, func(e api.Event) error { list = append(list, e); return nil }); err != nil {
		d.t.Fatalf("events: %v", err)
	}
	return list
}

// TestJournalGoesOn: over the deaths of engine and keeper, a good end, a torn line, and the death of everything at once.
func TestJournalGoesOn(t *testing.T) {
	const config = `[service.web]
command = "sleep 1000"
[service.crash]
command = "sh -c 'sleep 0.01; exit 3'"
restart = { step = "5ms", max_delay = "20ms" }
`
	d := start(t, config)
	d.running("web", 0)
	d.do(api.Restart, "web")
	d.killEngine()
	d.killKeeper()
	d.do(api.Restart, "web")

	list := d.everything()
	if firsts := gapless(t, list); len(firsts) != 1 || firsts[0].Seq != 1 || firsts[0].Boot == "" || list[0].Seq != 1 {
		t.Errorf("first events: %+v, it begins with %+v", firsts, list[0])
	}
	if last := list[len(list)-1]; last.Seq < uint64(len(list)) || last.Seq > uint64(len(list))+5 { // those of kinds that were not asked for
		t.Errorf("%d events, the last is %d", len(list), last.Seq)
	}
	restarts, results, keepers := 0, 0, 0
	for _, e := range list {
		switch {
		case e.Kind == api.KindCommand && e.Verb == "restart" && e.By != nil && e.By.UID == os.Geteuid() && e.By.Pid == os.Getpid():
			restarts++
		case e.Kind == api.KindResult && e.Error == "" && e.Target == "web":
			results++
		case e.Kind == api.KindKeeper:
			keepers++
		}
	}
	if restarts != 2 || results != 2 || keepers != 1 {
		t.Errorf("%d restarts with %d results, %d keepers", restarts, results, keepers)
	}

	d.end()
	file := filepath.Join(d.dir, ".stay", "state", "journal", "journal.log")
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text[strings.LastIndexByte(strings.TrimSpace(string(text)), '\n')+1:]), `"all is down"`) {
		t.Fatalf("the last word is missing: %v %.300s", err, text[max(0, len(text)-300):])
	}
	if err := os.WriteFile(file, append(text, `{"seq":999999,"time":"2026-01`...), 0o640); err != nil {
		t.Fatal(err)
	}
	d.keeperPid = 0
	d.up()
	web := d.running("web", 0)
	second := d.everything()
	firsts := gapless(t, second)
	if len(firsts) != 2 || firsts[1].After == 0 || firsts[1].Seq != firsts[1].After+1 || second[0].Seq != 1 {
		t.Fatalf("after a good end: %+v", firsts)
	}

	v := mustVersion(t, d)
	crash := d.one("crash").Pid
	for _, pid := range []int{v.KeeperPid, v.EnginePid} { // stopped first, so that neither sees the other die
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	for _, pid := range []int{v.KeeperPid, v.EnginePid, web.Pid, crash} {
		if pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	<-d.ended
	d.wait("everything to be gone", func() error {
		if left := d.processes(); len(left) > 0 {
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return errNotYet
		}
		return nil
	})
	d.up()
	d.running("web", 0)
	third := d.everything()
	firsts = gapless(t, third)
	if len(firsts) != 3 || firsts[2].After == 0 || firsts[2].Seq <= firsts[2].After || third[0].Seq != 1 {
		t.Errorf("after the death of everything: %+v", firsts)
	}
	if now := mustVersion(t, d).Event; now < third[len(third)-1].Seq {
		t.Errorf("the last event is said to be %d", now)
	}
}

// end takes the daemon down.
func (d *daemon) end() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.client.Shutdown(ctx, false); err != nil {
		d.t.Fatalf("down: %v", err)
	}
	d.wait("the daemon to be gone", func() error {
		if len(d.processes()) > 0 {
			return errNotYet
		}
		return nil
	})
}
