package evidence

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// members are the processes of an instance, the main one first: those of its cgroup where it has one of its own, else its
// descendants and those of its session.
func members(main int) []int {
	if g := generationOf(groupOf(main), groupOf(os.Getpid())); g != "" {
		if list := groupMembers(g, 0); len(list) > 0 {
			list = slices.DeleteFunc(list, func(pid int) bool { return pid == main })
			slices.Sort(list)
			return append([]int{main}, slices.Compact(list)...)
		}
	}
	return family(main)
}

// How much is looked for below the group of a generation, which a service may fill as it likes.
const (
	maxDepth   = 8
	maxBelow   = 64   // groups below one
	maxMembers = 8192 // more than are ever shown
)

// groupMembers are the processes of a group and those below it.
func groupMembers(group string, depth int) []int {
	text, _ := readBounded(group+"/cgroup.procs", 16*maxMembers)
	var list []int
	for f := range strings.FieldsSeq(text) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 { // 0: of another pid namespace
			list = append(list, pid)
		}
	}
	if depth == maxDepth {
		return list
	}
	f, err := os.Open(group)
	if err != nil {
		return list
	}
	defer f.Close()
	entries, _ := f.ReadDir(-1)
	below := 0
	for _, e := range entries {
		if e.IsDir() && below < maxBelow && len(list) < maxMembers {
			below++
			list = append(list, groupMembers(group+"/"+e.Name(), depth+1)...)
		}
	}
	return list
}

// family are the descendants of a process, and who is of its session.
func family(main int) []int {
	all := map[int]stat{}
	for _, pid := range numbers("/proc", -1) {
		if st, ok := readStat(procFile(pid, "stat")); ok {
			all[pid] = st
		}
	}
	session := ownSession(all[main].session)
	list := []int{main}
	for pid, st := range all {
		if pid != main && (session != 0 && st.session == session || below(all, pid, main)) {
			list = append(list, pid)
		}
	}
	slices.Sort(list[1:])
	return list
}

// ownSession is the session of an instance, 0 if it is this daemon's too: every generation begins one of its own.
func ownSession(session int) int {
	if mine, err := unix.Getsid(0); err != nil || mine == session {
		return 0
	}
	return session
}

// below says whether a process descends from another.
func below(all map[int]stat, pid, of int) bool {
	for range len(all) {
		st, ok := all[pid]
		if !ok || st.parent <= 1 {
			return false
		}
		if st.parent == of {
			return true
		}
		pid = st.parent
	}
	return false
}

// belongs says whether a process is of an instance: of its session, below its main process, or of its cgroup.
func belongs(pid, main int) bool {
	var session int
	if st, ok := readStat(procFile(main, "stat")); ok {
		session = ownSession(st.session)
	}
	for p, n := pid, 0; n < 64; n++ {
		st, ok := readStat(procFile(p, "stat"))
		if !ok {
			return false
		}
		if st.pid == main || st.parent == main || session != 0 && st.session == session {
			return true
		}
		if p = st.parent; p <= 1 {
			break
		}
	}
	own := groupOf(os.Getpid())
	g := generationOf(groupOf(main), own)
	return g != "" && generationOf(groupOf(pid), own) == g
}

// numbers are the entries of a directory of /proc that are numbers, in its order; at most limit, -1 for all.
func numbers(dir string, limit int) []int {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(limit)
	var list []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			list = append(list, n)
		}
	}
	return list
}
