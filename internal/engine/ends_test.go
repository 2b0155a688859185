package engine

import (
	"slices"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/incident"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/unit"
)

// TestEndsThatNobodyStored: the next engine stores the incident of an end a moment ago that the last one died over, once, and
// none of an end that is stored, old, or no death.
func TestEndsThatNobodyStored(t *testing.T) {
	names := []string{"fresh", "stored", "old", "never", "run"}
	var services []*spec.Service
	for _, name := range names {
		services = append(services, aService(name, func(s *spec.Service) {
			s.Success = []spec.Success{{Code: 0}}
			if name == "run" {
				s.Job = &spec.Job{Every: time.Second}
			}
		}))
	}
	e := engineOf(t, services...)
	e.tick()
	store, err := incident.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e.clerk.store = store
	end := unit.End{Reason: unit.ExitCode, Code: 1, Gen: 7, At: e.now.Add(-time.Second), Uptime: int64(time.Minute)}
	for _, name := range names {
		in := e.insts[name]
		in.u.Last, in.u.Gen, in.lastPid = end, 8, 70
	}
	e.insts["old"].u.Last.At = e.now.Add(-time.Minute)
	e.insts["never"].u.Last = unit.End{}
	e.insts["run"].u.Last.Code = 0
	if err := store.Write(&api.Incident{Name: "stored", Generation: 7, Time: e.wallOf(end.At)}); err != nil {
		t.Fatal(err)
	}
	e.redraft()
	var drafted []string
	for range len(e.clerk.queue) {
		d := <-e.clerk.queue
		a := d.incident
		drafted = append(drafted, a.Name)
		if a.Generation != 7 || a.Pid != 70 || a.Cause != api.CauseExit || a.Code != 1 || a.UptimeMS != 60_000 || !a.Started.Equal(a.Time.Add(-time.Minute)) {
			t.Errorf("the incident is %+v", a)
		}
	}
	if !slices.Equal(drafted, []string{"fresh"}) {
		t.Errorf("incidents of %v", drafted)
	}
}

// TestRequiredWithoutPage: a page that was lost on its way from one engine to the next is no reason to kill.
func TestRequiredWithoutPage(t *testing.T) {
	s := newStage(t)
	s.web.svc.spec.Pulse.Required = true
	if !s.web.rule().Pulse.Required {
		t.Error("what is shown to the judge does not count")
	}
	s.web.pulse.muted = nil
	if s.web.rule().Pulse.Required || !s.web.svc.spec.Pulse.Required {
		t.Error("a pulse is required on a page that is not there")
	}
}
