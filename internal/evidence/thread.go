package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"example.com/stay/api"
)

// tick is the unit of times in stat files, in ms: USER_HZ is 100 on every Linux of ours.
const tick = 10

// thread sees one thread. It is false for one that has gone.
func (t *taker) thread(pid, tid int) (api.Thread, bool) {
	dir := fmt.Sprintf("/proc/%d/task/%d/", pid, tid)
	st, ok := readStat(dir + "stat")
	if !ok {
		return api.Thread{}, false
	}
	th := api.Thread{Tid: tid, Comm: st.comm, State: string(st.state), Pulse: t.late[tid], UserMS: st.user * tick, SysMS: st.system * tick}
	_, waited := schedstat(dir + "schedstat")
	th.RunDelayMS = waited.Milliseconds()
	wchan, err := readSmall(dir + "wchan")
	t.miss("where threads wait", err)
	if wchan != "0" {
		th.Wchan = printable(wchan)
	}
	text, err := readSmall(dir + "syscall")
	t.miss("system calls", err)
	if c, ok := parseCall(text); ok {
		th.Syscall = c.String()
		if fd, ok := c.file(); ok {
			t.waited[pid] = append(t.waited[pid], fd)
		}
	}
	stack, err := readSmall(dir + "stack")
	t.miss("kernel stacks", err)
	if _, living := readStat(dir + "stat"); living && errors.Is(err, fs.ErrNotExist) {
		t.note("kernel stacks: this kernel shows none")
	}
	th.Stack = stackOf(stack)
	return th, true
}

// stackOf are the functions of a kernel stack, the innermost first: lines like "[<0>] futex_do_wait+0x3e/0x70".
func stackOf(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		_, f, ok := strings.Cut(strings.TrimSpace(line), "] ")
		if !ok || len(list) == maxStack {
			continue
		}
		f, _, _ = strings.Cut(f, "+")
		list = append(list, printable(f))
	}
	return list
}
