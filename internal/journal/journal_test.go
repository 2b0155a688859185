package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func event(seq uint64, change func(*api.Event)) api.Event {
	a := api.Event{Seq: seq, Time: noon, MonoNS: int64(seq), Kind: api.KindState, Name: "web", To: api.Running}
	if change != nil {
		change(&a)
	}
	return a
}

func TestLine(t *testing.T) {
	full := api.Event{Seq: 7, Time: noon, MonoNS: 8, Kind: api.KindExit, Name: "web.2", From: api.Running, To: api.Waiting, Generation: 3, Pid: 9,
		Message: "a <b> & \"c\"\n\x00\xff", Wanted: true, Cause: api.CauseSignal, Code: 1, Signal: "KILL", UptimeMS: 5, Expected: true,
		By: &api.Caller{UID: 0, Pid: 4}, Verb: "restart", Target: "web", Command: 6, Error: "x", Boot: "b", First: true, After: 2, Missing: 3,
		States: map[api.State][]string{api.Running: {"web"}}, Job: true}
	for i := range reflect.TypeFor[api.Event]().NumField() {
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Errorf("the test does not fill in %s", reflect.TypeFor[api.Event]().Field(i).Name)
		}
	}
	line := Append([]byte("before"), full)
	text, found := strings.CutPrefix(string(line), "before")
	if !found || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") || !strings.HasPrefix(text, `{"seq":7,`) {
		t.Fatalf("%q", line)
	}
	if strings.Contains(text, `\u003c`) {
		t.Errorf("it is escaped for HTML: %s", text)
	}
	got, err := Decode([]byte(text))
	full.Message = "a <b> & \"c\"\n\x00\ufffd"
	if err != nil || !reflect.DeepEqual(got, full) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, full)
	}
}

func TestLongTexts(t *testing.T) {
	long := strings.Repeat("é", 5000)
	for name, change := range map[string]func(*api.Event){
		"message":  func(a *api.Event) { a.Message = long },
		"a little": func(a *api.Event) { a.Message = strings.Repeat("x", MaxLine-100) },
		"error":    func(a *api.Event) { a.Error = long },
		"target":   func(a *api.Event) { a.Target = long },
		"all": func(a *api.Event) {
			a.Message, a.Error, a.Target, a.Name, a.Verb, a.Boot, a.Kind = long, long, long, long, long, long, long
		},
		"escaped": func(a *api.Event) { a.Message = strings.Repeat("\x01", 1<<20) },
		"no text": func(a *api.Event) { a.Message = strings.Repeat("\xff", 1<<20) },
		"too many states": func(a *api.Event) {
			a.States = map[api.State][]string{api.Running: strings.Fields(strings.Repeat("web ", 2000))}
		},
		"a strange time": func(a *api.Event) { a.Time = noon.AddDate(9000, 0, 0) },
	} {
		a := event(1, change)
		before, _ := json.Marshal(a)
		line := Append(nil, a)
		if len(line) > MaxLine || line[len(line)-1] != '\n' {
			t.Errorf("%s: %d bytes", name, len(line))
		}
		if len(line) < MaxLine/2 && (name == "message" || name == "a little") {
			t.Errorf("%s: only %d bytes are left", name, len(line))
		}
		got, err := Decode(line)
		if err != nil || got.Seq != 1 {
			t.Errorf("%s: %v %.100s", name, err, line)
		}
		if len(a.Message) > MaxLine && !strings.HasSuffix(got.Message, Cut) {
			t.Errorf("%s: it does not say that it was cut: %q", name, got.Message)
		}
		if after, _ := json.Marshal(a); string(before) != string(after) {
			t.Errorf("%s: the event itself was cut", name)
		}
	}
}

// numbers are the events that come of some lines, as numbers; a gap is "-N", N what is missing.
func numbers(t *testing.T, r *Reader, lines []string) string {
	t.Helper()
	var list []string
	for _, l := range lines {
		err := r.Line([]byte(l), func(a api.Event) error {
			text := fmt.Sprint(a.Seq)
			if a.Kind == api.KindGap {
				text = fmt.Sprintf("-%d", a.Missing)
			}
			list = append(list, text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(list, " ")
}

func line(seq uint64, change func(*api.Event)) string { return string(Append(nil, event(seq, change))) }

func TestReader(t *testing.T) {
	l := func(seq uint64) string { return line(seq, nil) }
	engine := func(seq, after uint64) string {
		return line(seq, func(a *api.Event) { a.Kind, a.After, a.First = api.KindEngine, after, true })
	}
	told := line(8, func(a *api.Event) { a.Kind, a.Missing = api.KindGap, 5 })
	tests := []struct {
		name  string
		last  uint64
		lines []string
		want  string
		bad   int
		again int
	}{
		{"in order", 0, []string{l(1), l(2), l(3)}, "1 2 3", 0, 0},
		{"from the middle", 0, []string{l(7), l(8)}, "7 8", 0, 0},
		{"after a number", 7, []string{l(7), l(8)}, "8", 0, 1},
		{"after a number that is gone", 3, []string{l(7), l(8)}, "-3 7 8", 0, 0},
		{"a hole", 0, []string{l(1), l(4)}, "1 -2 4", 0, 0},
		{"a hole that the journal tells of", 0, []string{l(2), told, l(9)}, "2 -5 9", 0, 0},
		{"a chunk twice", 0, []string{l(1), l(2), l(3), l(2), l(3), l(4)}, "1 2 3 4", 0, 2},
		{"a torn line", 0, []string{l(1), l(2)[:20], l(3)}, "1 -1 3", 1, 0},
		{"a torn line before another boot", 0, []string{l(1), l(2)[:20], engine(1026, 1), l(1027)}, "1 1026 1027", 1, 0},
		{"a new daemon that knows less than was kept", 0, []string{l(1), l(2), engine(9, 1)}, "1 2 9", 0, 0},
		{"a new daemon after lines that were lost", 0, []string{l(1), engine(9, 5)}, "1 -7 9", 0, 0},
		{"zeros of blocks that were not written", 0, []string{l(1), strings.Repeat("\x00", 500) + l(2)}, "1 2", 0, 0},
		{"garbage", 0, []string{"", "x", "null", "[]", `{"seq":-1}`, `{"seq":2}`, `{"seq":2,"kind":5}`, "{}", "\xff\xfe", l(2)}, "2", 8, 0},
		{"a line that is too long", 0, []string{l(1), strings.Repeat(" ", MaxLine) + l(2), l(2)}, "1 2", 1, 0},
		{"a number from nowhere", 0, []string{l(1), l(1 << 63), l(2)}, "1 2", 1, 0},
		{"a number from nowhere at the beginning", 0, []string{l(1 << 63), l(2)}, "2", 1, 0},
	}
	for _, c := range tests {
		r := Reader{Order: Order{Last: c.last}}
		if got := numbers(t, &r, c.lines); got != c.want || r.Bad != c.bad || r.Again != c.again {
			t.Errorf("%s: %q with %d bad and %d again, want %q, %d, %d", c.name, got, r.Bad, r.Again, c.want, c.bad, c.again)
		}
	}
}

func TestReaderStops(t *testing.T) {
	stop := errors.New("stop")
	for _, lines := range [][]string{{line(1, nil)}, {line(1, nil), line(5, nil)}} {
		var r Reader
		var err error
		for i, l := range lines {
			err = r.Line([]byte(l), func(api.Event) error {
				if i == len(lines)-1 {
					return stop
				}
				return nil
			})
		}
		if err != stop {
			t.Errorf("after %d lines: %v", len(lines), err)
		}
	}
}

func TestFilter(t *testing.T) {
	of := func(name string) func(*api.Event) { return func(a *api.Event) { a.Name = name } }
	kind := func(k string) func(*api.Event) { return func(a *api.Event) { a.Name, a.Kind = "", k } }
	target := func(k string) func(*api.Event) {
		return func(a *api.Event) { a.Name, a.Kind, a.Target = "", api.KindCommand, k }
	}
	tests := []struct {
		filter api.EventFilter
		change func(*api.Event)
		want   bool
	}{
		{api.EventFilter{}, nil, true},
		{api.EventFilter{Since: 4}, nil, true},
		{api.EventFilter{Since: 5}, nil, false},
		{api.EventFilter{From: noon}, nil, true},
		{api.EventFilter{From: noon.Add(1)}, nil, false},
		{api.EventFilter{Targets: []string{"web"}}, nil, true},
		{api.EventFilter{Targets: []string{"all"}}, nil, true},
		{api.EventFilter{Targets: []string{"web"}}, of("web.2"), true},
		{api.EventFilter{Targets: []string{"web.1"}}, nil, true},
		{api.EventFilter{Targets: []string{"web.2"}}, nil, false},
		{api.EventFilter{Targets: []string{"w*"}}, nil, true},
		{api.EventFilter{Targets: []string{"db"}}, nil, false},
		{api.EventFilter{Targets: []string{"web"}}, kind(api.KindEngine), false},
		{api.EventFilter{Targets: []string{"all"}}, kind(api.KindEngine), true},
		{api.EventFilter{Targets: []string{"web"}}, target("web"), true},
		{api.EventFilter{Targets: []string{"web"}}, target("all"), true},
		{api.EventFilter{Targets: []string{"web"}}, target("db"), false},
		{api.EventFilter{}, kind(api.KindAlive), false},
		{api.EventFilter{}, kind(api.KindCheckpoint), false},
		{api.EventFilter{Kinds: []string{api.KindAlive}}, kind(api.KindAlive), true},
		{api.EventFilter{Kinds: []string{api.KindAlive}}, nil, false},
		{api.EventFilter{Kinds: []string{api.KindAlive}, Targets: []string{"db"}, From: noon.Add(1)}, kind(api.KindGap), true},
		{api.EventFilter{Since: 5}, kind(api.KindGap), false},
	}
	for i, c := range tests {
		f, err := NewFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Match(event(5, c.change)); got != c.want {
			t.Errorf("%d: %+v chooses %+v: %v", i, c.filter, event(5, c.change), got)
		}
	}
	if _, err := NewFilter(api.EventFilter{Targets: []string{"[a"}}); err == nil {
		t.Error("a pattern that is none passes")
	}
}

func TestBefore(t *testing.T) {
	for _, c := range []struct {
		filter api.EventFilter
		want   bool // whether a reader may begin at event 5
	}{
		{api.EventFilter{}, false},
		{api.EventFilter{Since: 3}, false},
		{api.EventFilter{Since: 4}, true},
		{api.EventFilter{Since: 9}, true},
		{api.EventFilter{From: noon}, false},
		{api.EventFilter{From: noon.Add(time.Second)}, true},
		{api.EventFilter{From: noon.Add(time.Second), Since: 2}, false},
	} {
		f, err := NewFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Before(event(5, nil)); got != c.want {
			t.Errorf("%+v: %v", c.filter, got)
		}
	}
}

// FuzzReader: whatever the lines are, events come in order, and what is shown of them fits a line.
func FuzzReader(f *testing.F) {
	f.Add(line(1, nil) + line(2, nil)[:30] + "\n" + line(4, nil))
	f.Add("\x00\x00" + line(1, nil) + line(1, nil))
	f.Fuzz(func(t *testing.T, text string) {
		var r Reader
		last := uint64(0)
		for l := range strings.SplitSeq(text, "\n") {
			_ = r.Line([]byte(l), func(a api.Event) error {
				if a.Seq <= last {
					t.Errorf("%d after %d", a.Seq, last)
				}
				last = a.Seq
				if again := Append(nil, a); len(again) > MaxLine {
					t.Errorf("a line of %d bytes", len(again))
				}
				return nil
			})
		}
	})
}
