package capture

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// putAged writes an old file whose last line is that old by the clock.
func putAged(t testing.TB, s *Store, file string, age time.Duration) {
	t.Helper()
	put(t, s, file, file+"\n")
	when := s.now().Add(-age)
	if err := os.Chtimes(s.file(file), when, when); err != nil {
		t.Fatal(err)
	}
}

func TestMaxAge(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name string
		ages map[string]time.Duration
		want []string
	}{
		{"none", nil, []string{}},
		{"young ones stay", map[string]time.Duration{"web.log.1": 0, "web.log.2": 2 * day}, []string{"web.log.1", "web.log.2"}},
		{"old ones go, of any form", map[string]time.Duration{"web.log.1": day, "web.log.2.zst": 3 * day, "web.log.3.gz": 4 * day, "web.log.4": 5 * day},
			[]string{"web.log.1"}},
		{"all", map[string]time.Duration{"web.log.1": 4 * day, "web.log.2": 5 * day}, []string{}},
		{"the written one stays", map[string]time.Duration{"web.log": 9 * day, "web.log.1": 9 * day}, []string{"web.log"}},
		{"over a hole", map[string]time.Duration{"web.log.1": day, "web.log.3": 9 * day}, []string{"web.log.1"}},
		{"of the future", map[string]time.Duration{"web.log.1": -9 * day}, []string{"web.log.1"}},
		{"others", map[string]time.Duration{"web.2.log.1": 9 * day, "web.log.x": 9 * day, "webb.log.1": 9 * day}, []string{"web.2.log.1", "web.log.x", "webb.log.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _, r := clockStore(t)
			for file, age := range c.ages {
				putAged(t, s, file, age)
			}
			tidyNow(t, s, "web", Policy{Keep: 9, MaxAge: 3 * day})
			if got := files(t, s); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 || len(r.all()) > 0 {
				t.Errorf("files are %q, want %q; reported %q", got, c.want, r.all())
			}
		})
	}
}

// TestSweep: old files of a silent service go too, and what has none is forgotten.
func TestSweep(t *testing.T) {
	s, c, _ := clockStore(t)
	putAged(t, s, "web.log.1", 0)
	putAged(t, s, "db.log.1", 0)
	putAged(t, s, "db.log.2", 0)
	stream(t, s, "web", 1, Policy{Keep: 9, MaxAge: time.Hour})
	stream(t, s, "db", 1, Policy{Keep: 9, Compress: true})
	stream(t, s, "none", 1, Policy{Keep: 9, Compress: true, MaxAge: time.Hour})
	stream(t, s, "kept", 1, Policy{Keep: 9})
	known := func() (names []string) {
		s.tidier.mu.Lock()
		defer s.tidier.mu.Unlock()
		for name := range s.tidier.names {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	if got := known(); !slices.Equal(got, []string{"db", "none", "web"}) {
		t.Errorf("to be looked after: %q", got)
	}
	s.tidier.sweep()
	waitTidy(t, s)
	if got := files(t, s); !slices.Equal(got, []string{"db.log.1", "db.log.2.zst", "web.log.1"}) {
		t.Errorf("files are %q", got)
	}
	if got := known(); !slices.Equal(got, []string{"web"}) {
		t.Errorf("still to be looked after: %q", got)
	}
	c.add(time.Hour)
	s.tidier.sweep()
	waitTidy(t, s)
	if got := files(t, s); !slices.Equal(got, []string{"db.log.1", "db.log.2.zst"}) {
		t.Errorf("files are %q", got)
	}
	if got := known(); len(got) > 0 {
		t.Errorf("still to be looked after: %q", got)
	}
}

func TestAPolicyWithoutTidyingIsForgotten(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, "web.log.2", "a\n")
	src := stream(t, s, "web", 1, Policy{Keep: 9, Compress: true})
	src.s.SetPolicy(Policy{Keep: 9})
	s.tidier.sweep()
	waitTidy(t, s)
	if got := files(t, s); !slices.Equal(got, []string{"web.log.2"}) {
		t.Errorf("files are %q", got)
	}
}

// TestSweepsAreRare says when the next look is due.
func TestSweepsAreRare(t *testing.T) {
	for age, want := range map[time.Duration]time.Duration{
		0: sweepMost, time.Second: sweepLeast, time.Hour: 6 * time.Minute, 365 * 24 * time.Hour: sweepMost,
	} {
		tidy := &tidier{names: map[string]Policy{"web": {Compress: true, MaxAge: age}}}
		if got := tidy.pause(); got != want {
			t.Errorf("old files live %v: the next look is due in %v, want %v", age, got, want)
		}
	}
}

// TestThereIsALookWhileFilesGetOlder, and none while there are no old files.
func TestThereIsALookWhileFilesGetOlder(t *testing.T) {
	s, _ := newStore(t)
	due := func() time.Duration {
		s.tidier.mu.Lock()
		defer s.tidier.mu.Unlock()
		if s.tidier.next.IsZero() {
			return 0
		}
		return time.Until(s.tidier.next)
	}
	how := Policy{MaxSize: 2, Keep: 9, MaxAge: 100 * time.Hour}
	src := stream(t, s, "web", 1, how)
	if got := due(); got <= 0 || got > sweepFirst {
		t.Errorf("the first look is due in %v", got)
	}
	s.tidier.sweep()
	waitTidy(t, s)
	s.tidier.sweep() // nothing is left
	if got := due(); got != 0 {
		t.Errorf("without old files a look is due in %v", got)
	}
	src.say("a\nb\n")
	src.end()
	waitTidy(t, s)
	if got := due(); got <= sweepFirst || got > sweepMost {
		t.Errorf("after a rotation a look is due in %v", got)
	}
	how.MaxAge = 50 * time.Minute
	s.tidier.ask("web", how)
	waitTidy(t, s)
	if got := due(); got <= sweepFirst || got > 5*time.Minute {
		t.Errorf("with a shorter age a look is due in %v", got)
	}
}

func TestOldFilesOfManyNames(t *testing.T) {
	s, _ := newStore(t)
	s.pace = 0
	for i := range 100 {
		put(t, s, fmt.Sprintf("n%d.log.2", i), "a line\n")
		s.tidier.ask(fmt.Sprintf("n%d", i), Policy{Keep: 9, Compress: true})
	}
	waitTidy(t, s)
	if got := files(t, s); len(got) != 100 || slices.ContainsFunc(got, func(f string) bool { return f[len(f)-4:] != zst }) {
		t.Errorf("%d files, or some not compressed", len(got))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sinks) > 0 || len(s.tidier.names) > 0 {
		t.Errorf("%d sinks and %d names are held", len(s.sinks), len(s.tidier.names))
	}
}
