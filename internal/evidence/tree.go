package evidence

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ofGeneration is how the cgroup of one generation is named.
var ofGeneration = regexp.MustCompile(`-g[0-9]+$`)

// members are the processes of an instance, the main one first: those of its cgroup where it has one of its own, else its
// descendants and those of its session.
func members(main int) []int {
	if group := groupOf(main); ofGeneration.MatchString(group) {
		if data, err := readSmall(group + "/cgroup.procs"); err == nil {
			list := []int{main}
			for _, f := range strings.Fields(data) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 && pid != main {
					list = append(list, pid)
				}
			}
			return list
		}
	}
	return family(main)
}

// family are the descendants of a process, and who is of its session.
func family(main int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{main}
	}
	all := map[int]stat{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if st, ok := readStat(procFile(pid, "stat")); ok {
				all[pid] = st
			}
		}
	}
	session := all[main].session
	list := []int{main}
	for pid, st := range all {
		if pid != main && (session == main && st.session == session || below(all, pid, main)) {
			list = append(list, pid)
		}
	}
	slices.Sort(list[1:])
	return list
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
