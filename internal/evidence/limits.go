package evidence

import (
	"fmt"
	"strconv"
	"strings"
)

// nearLimit is the share of a limit from which on it is worth a line.
const nearLimit = .8

func near(used, limit int64) bool {
	return limit > 0 && float64(used) >= nearLimit*float64(limit)
}

// limits are the limits of a process that are nearly reached.
func (t *taker) limits(pid, open int) []string {
	text, err := readSmall(procFile(pid, "limits"))
	t.miss("limits", err)
	status, err := readSmall(procFile(pid, "status"))
	t.miss("limits", err)
	used := usedOf(status)
	used["Max open files"] = int64(open)
	if st, ok := readStat(procFile(pid, "stat")); ok {
		used["Max cpu time"] = (st.user + st.system) * tick / 1000
	}
	return limitsOf(text, used)
}

// inStatus are the lines of proc_pid_status(5) that tell how much of a limit is used.
var inStatus = map[string]string{"VmSize": "Max address space", "VmData": "Max data size", "VmStk": "Max stack size",
	"VmLck": "Max locked memory"}

// usedOf reads how much a process uses of its limits, in their units.
func usedOf(status string) map[string]int64 {
	used := map[string]int64{}
	for line := range strings.Lines(status) {
		name, rest, _ := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if len(f) == 0 {
			continue
		}
		if limit, ok := inStatus[name]; ok {
			if kib, err := strconv.ParseInt(f[0], 10, 64); err == nil && kib < 1<<50 {
				used[limit] = kib << 10
			}
		}
		if queued, _, ok := strings.Cut(f[0], "/"); ok && name == "SigQ" {
			used["Max pending signals"], _ = strconv.ParseInt(queued, 10, 64)
		}
	}
	return used
}

// limitsOf reads proc_pid_limits(5): names of limits in 26 columns, then soft limit, hard limit and unit.
func limitsOf(text string, used map[string]int64) []string {
	var list []string
	for line := range strings.Lines(text) {
		if len(line) < 26 {
			continue
		}
		name := strings.TrimSpace(line[:26])
		f := strings.Fields(line[26:])
		now, known := used[name]
		if !known || len(f) == 0 {
			continue
		}
		if soft, err := strconv.ParseInt(f[0], 10, 64); err == nil && near(now, soft) {
			text := fmt.Sprintf("%s: %d of %d", strings.TrimPrefix(name, "Max "), now, soft)
			if len(f) > 2 && f[2] != "files" {
				text += " " + printable(f[2])
			}
			list = append(list, text)
		}
	}
	return list
}
