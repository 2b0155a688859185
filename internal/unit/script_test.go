package unit

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/stay/internal/spec"
)

// TestScripts runs testdata/*.txt. Each line is an event; what follows "->" is the phase and the action it must lead to:
//
//	deps                 everything needed is ready         -> phase [action]
//	start | once | later | stop | hold | now | restart | changed | reset | unmet | lost
//	spawned PID | failed STAGE | exited PID CODE | died PID SIG | left PID CODE (tree not empty) | empty
//	main PID | ready | stopping | hung | recovered | evidence | extend DURATION | forget
//	+DURATION            time passes; deadlines that come due are stepped, each at its moment
//	set KEY VALUE        a setting of the service (at the top)
//
// An action is "spawn", "TERM main", "kill" or "evidence"; "pid N", "level N", "restarts N", "reason R" check a field.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			file, err := os.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			s := script{t: t, u: Unit{Since: start}, s: service(), now: start}
			s.s.Ready.When = spec.ReadyExec
			lines := bufio.NewScanner(file)
			for n := 1; lines.Scan(); n++ {
				line, _, _ := strings.Cut(lines.Text(), "#")
				if strings.TrimSpace(line) == "" {
					continue
				}
				s.where = fmt.Sprintf("%s:%d: %s", f, n, strings.TrimSpace(line))
				s.line(line)
			}
		})
	}
}

type script struct {
	t     *testing.T
	u     Unit
	s     *spec.Service
	now   Time
	act   Action
	where string
}

func (s *script) line(line string) {
	event, want, checked := strings.Cut(line, "->")
	s.act = Action{}
	s.event(strings.Fields(event))
	if checked {
		s.check(strings.TrimSpace(want))
	}
}

func (s *script) event(f []string) {
	num := func(i int) int {
		n, err := strconv.Atoi(f[i])
		if err != nil {
			s.t.Fatalf("%s: %v", s.where, err)
		}
		return n
	}
	ev := Event{Gen: s.u.Gen}
	switch f[0] {
	case "set":
		s.set(f[1], f[2])
		return
	case "deps":
		ev.Kind = DepsMet
	case "unmet":
		ev.Kind = DepsUnmet
	case "lost":
		ev.Kind = DepLost
	case "start":
		ev.Kind = Start
	case "once":
		ev.Kind, ev.Once = Start, true
	case "later":
		ev.Kind, ev.Later = Start, true
	case "stop":
		ev.Kind = Stop
	case "hold":
		ev.Kind, ev.Held = Stop, true
	case "now":
		ev.Kind, ev.Now = Stop, true
	case "restart":
		ev.Kind, ev.Reason = Restart, ByOperator
	case "changed":
		ev.Kind, ev.Reason = Restart, Changed
	case "reset":
		ev.Kind = Reset
	case "spawned":
		ev.Kind, ev.Pid = Spawned, num(1)
	case "failed":
		ev.Kind, ev.End = SpawnFailed, End{Stage: f[1], Errno: 2}
	case "exited", "left":
		ev.Kind, ev.Pid, ev.End = Exited, num(1), End{Reason: ExitCode, Code: num(2)}
		ev.Empty = f[0] == "exited"
	case "died":
		ev.Kind, ev.Pid, ev.Empty, ev.End = Exited, num(1), true, End{Reason: Signalled, Signal: num(2)}
	case "empty":
		ev.Kind = TreeEmpty
	case "main":
		ev.Kind, ev.Pid = MainMoved, num(1)
	case "ready":
		ev.Kind = ReadyNoted
	case "stopping":
		ev.Kind = StoppingNoted
	case "hung":
		ev.Kind = Hung
	case "recovered":
		ev.Kind = Recovered
	case "evidence":
		ev.Kind = EvidenceTaken
	case "forget":
		ev.Kind = ResetNoted
	case "extend":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			s.t.Fatalf("%s: %v", s.where, err)
		}
		ev.Kind, ev.For = ExtendNoted, d
	default:
		d, err := time.ParseDuration(strings.TrimPrefix(f[0], "+"))
		if err != nil {
			s.t.Fatalf("%s: no such event", s.where)
		}
		s.pass(d)
		return
	}
	s.step(ev)
}

// pass lets time go by; each deadline is stepped at its moment, as the engine does.
func (s *script) pass(d time.Duration) {
	end := s.now.Add(d)
	for s.u.Deadline != 0 && s.u.Deadline <= end {
		s.now = max(s.now, s.u.Deadline)
		before := s.u
		s.step(Event{Kind: Deadline})
		if s.u == before {
			s.t.Fatalf("%s: a due deadline changes nothing: %+v", s.where, s.u)
		}
	}
	s.now = end
}

func (s *script) step(ev Event) {
	u, act := Step(s.u, "web", s.s, s.now, ev)
	s.u = u
	if act.Kind != NoAction {
		s.act = act
	}
}

func (s *script) set(key, value string) {
	d := func() time.Duration {
		d, err := time.ParseDuration(value)
		if err != nil {
			s.t.Fatalf("%s: %v", s.where, err)
		}
		return d
	}
	switch key {
	case "ready":
		s.s.Ready.When = spec.ReadyWhen(value)
	case "after":
		s.s.Ready = spec.Ready{When: spec.ReadyAfter, After: d()}
	case "when":
		s.s.Restart.When = spec.RestartWhen(value)
	case "give_up":
		s.s.Restart.GiveUp, _ = strconv.Atoi(value)
	case "start_timeout":
		s.s.StartTimeout = d()
	case "job":
		s.s.Job = &spec.Job{}
		s.s.Restart.When = spec.RestartNever
		if value != "once" {
			s.s.Job.Cron = "@daily"
		}
	case "every":
		s.s.Job = &spec.Job{Every: d()}
		s.s.Restart.When = spec.RestartNever
	case "timeout":
		s.s.Job.Timeout = d()
	case "dump":
		s.s.Hang.Dump, _ = spec.ParseSignal(value)
		s.s.Hang.DumpWait = time.Second
	default:
		s.t.Fatalf("%s: no such setting", s.where)
	}
}

func (s *script) check(want string) {
	var action string
	switch s.act.Kind {
	case Spawn:
		action = "spawn"
	case KillTree:
		action = "kill"
	case TakeEvidence:
		action = "evidence"
	case Signal:
		action = s.act.Signal.String() + " " + string(s.act.To)
	}
	for part := range strings.SplitSeq(want, ",") {
		part = strings.TrimSpace(part)
		f := strings.Fields(part)
		got := ""
		switch f[0] {
		case "pid":
			got = fmt.Sprintf("pid %d", s.u.Pid)
		case "level":
			got = fmt.Sprintf("level %.0f", s.u.Restart.Level)
		case "restarts":
			got = fmt.Sprintf("restarts %d", s.u.Restarts)
		case "done":
			got = fmt.Sprintf("done %t", s.u.Done)
		case "want":
			got = "want " + s.u.Want.String()
		case "reason":
			got = "reason " + s.u.Reason.String()
		case "last":
			got = "last " + s.u.Last.Reason.String()
		case "in":
			got = "in " + s.u.Deadline.Sub(s.now).String()
		case s.u.Phase.String():
			got = strings.TrimSpace(s.u.Phase.String() + " " + action)
		default:
			got = strings.TrimSpace(s.u.Phase.String() + " " + action)
		}
		if got != part {
			s.t.Errorf("%s\n  got %q, unit %+v", s.where, got, s.u)
		}
	}
}
