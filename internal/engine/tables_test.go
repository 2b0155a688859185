package engine

import (
	"slices"
	"testing"
	"time"

	"example.com/stay/internal/judge"
	"example.com/stay/internal/oldtable"
	"example.com/stay/internal/spec"
)

// aRow is an entry of a process of web's generation 7 that has just beaten.
func (s *stage) aRow(index int, change func(*oldtable.Row)) oldtable.Row {
	r := oldtable.Row{Entry: oldtable.Entry{Index: index, Pid: 70, Name: "poller", Timeout: 5 * time.Second}, Beat: time.Duration(s.mono), Beats: 3,
		Alive: true, Who: oldtable.Identity{Start: 1, Owner: "web", Gen: 7}}
	if change != nil {
		change(&r)
	}
	return r
}

// TestTableEntriesForTheJudge: which entries are the judge's, and which are only shown.
func TestTableEntriesForTheJudge(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		what   string
		action spec.OldTableAction
		change func(*oldtable.Row)
		judged bool
	}{
		{"of a service", spec.TableKill, nil, true},
		{"of a table that is only shown", spec.TableShow, nil, false},
		{"of nobody", spec.TableKill, func(r *oldtable.Row) { r.Who = oldtable.Identity{Start: 1} }, false},
		{"of the dead", spec.TableKill, func(r *oldtable.Row) { r.Alive = false }, false},
		{"without a limit", spec.TableKill, func(r *oldtable.Row) { r.Entry.Timeout = 0 }, false},
		{"with a negative limit", spec.TableKill, func(r *oldtable.Row) { r.Entry.Timeout = -time.Hour }, false},
		{"not proved", spec.TableKill, func(r *oldtable.Row) { r.Who.Why = "it is another" }, false},
	} {
		table := &oldTable{spec: spec.OldTable{Shm: 0x5095, Action: c.action}}
		rows := []oldtable.Row{s.aRow(3, c.change)}
		table.shown.Store(&oldtable.Shown{Rows: rows})
		s.tables = []*oldTable{table}
		s.holdTable(table, table.holdings(rows))
		got := s.web.pulse.table
		if (len(got) == 1) != c.judged {
			t.Errorf("%s: the judge has %+v", c.what, got)
		}
		if c.judged && (got[0].Source != judge.Table || got[0].Index != 3 || got[0].Name != "poller" || got[0].Count != 3 || got[0].Beat != s.mono) {
			t.Errorf("%s: the judge has %+v", c.what, got)
		}
		shown := s.tableSlots(func(string) bool { return true })
		if (len(shown) == 0) != c.judged {
			t.Errorf("%s: shown is %+v", c.what, shown)
		}
		s.holdTable(table, nil)
		if s.web.pulse.table != nil {
			t.Errorf("%s: the judge still has %+v", c.what, s.web.pulse.table)
		}
	}
}

// TestTablesTogether: two tables have entries of one instance, a survivor has one, and one table goes.
func TestTablesTogether(t *testing.T) {
	s := newStage(t)
	a := &oldTable{spec: spec.OldTable{Shm: 1, Action: spec.TableKill}, cancel: func() {}}
	b := &oldTable{number: 1, spec: spec.OldTable{Shm: 2, Action: spec.TableKill}, cancel: func() {}}
	s.tables = []*oldTable{a, b}
	older := func(r *oldtable.Row) { r.Who.Gen = 6 }
	s.holdTable(a, a.holdings([]oldtable.Row{s.aRow(1, older), s.aRow(2, nil), s.aRow(3, older)}))
	s.holdTable(b, b.holdings([]oldtable.Row{s.aRow(2, nil)}))
	indexes := func() (list []int) {
		for _, x := range s.web.pulse.table {
			list = append(list, x.Index)
		}
		return list
	}
	if got, want := indexes(), []int{2, 1<<16 | 2}; !slices.Equal(got, want) {
		t.Errorf("the judge has entries %v, want %v", got, want)
	}
	if got := entryIndex(s.web.pulse.table[1]); got != 2 {
		t.Errorf("the second is entry %d of its table", got)
	}
	s.cfg.Daemon.OldTables = []spec.OldTable{b.spec}
	s.followTables()
	if got, want := indexes(), []int{1<<16 | 2}; !slices.Equal(got, want) || len(s.tables) != 1 {
		t.Errorf("without the first the judge has entries %v, want %v", got, want)
	}
	s.holdTable(b, b.holdings([]oldtable.Row{s.aRow(2, older)}))
	if got := indexes(); got != nil {
		t.Errorf("of a survivor the judge has entries %v", got)
	}
}

// TestLateEntryIsLooked at its limit, and a little.
func TestLateEntryIsLookedAt(t *testing.T) {
	s := newStage(t)
	table := &oldTable{spec: spec.OldTable{Shm: 1, Action: spec.TableKill}}
	s.tables = []*oldTable{table}
	s.web.pulse.muted = nil
	rows := []oldtable.Row{s.aRow(1, nil)}
	begin := s.mono
	for !s.web.pulse.looking && s.mono.Sub(begin) < time.Minute {
		s.holdTable(table, table.holdings(rows))
		s.pass(10*time.Millisecond, 0)
	}
	if took := s.mono.Sub(begin); took < 5*time.Second+readingTime || took > 5*time.Second+readingTime+20*time.Millisecond {
		t.Errorf("looked at after %v", took)
	}
}
