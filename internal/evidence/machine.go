package evidence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// memoryLines are the lines of proc_meminfo(5) that say whether memory is short.
var memoryLines = []string{"MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "Dirty", "Writeback"}

// machine sees how the machine and the instance's cgroup are.
func (t *taker) machine(main int) {
	load, _ := readSmall("/proc/loadavg")
	var memory []string
	if text, err := readSmall("/proc/meminfo"); err == nil {
		for line := range strings.Lines(text) {
			name, _, _ := strings.Cut(line, ":")
			if slices.Contains(memoryLines, name) {
				memory = append(memory, printable(strings.Join(strings.Fields(line), " ")))
			}
		}
	}
	group := groupOf(main)
	var lines []string
	for _, what := range []string{"cpu", "memory", "io"} {
		lines = append(lines, pressureLines(what, "/proc/pressure/"+what)...)
		if group != "" {
			lines = append(lines, pressureLines("its cgroup's "+what, group+"/"+what+".pressure")...)
		}
	}
	if group != "" {
		memory = append(memory, bounds(group)...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Load, t.out.Memory, t.out.Pressure = printable(strings.TrimSpace(load)), memory, lines
}

// pressureLines are the two lines of a pressure file. There are kernels without, and some that have it switched off.
func pressureLines(what, file string) []string {
	text, err := readSmall(file)
	if err != nil {
		return nil
	}
	var list []string
	for line := range strings.Lines(text) {
		if len(list) < 2 {
			list = append(list, what+" "+printable(strings.TrimSpace(line)))
		}
	}
	return list
}

// bounds are the limits of a cgroup, and of those above it, of which 80 % are used.
func bounds(group string) []string {
	var list []string
	for range 8 {
		for _, what := range []string{"memory", "pids"} {
			most, err := numberIn(group + "/" + what + ".max") // "max": none
			if err != nil {
				continue
			}
			now, err := numberIn(group + "/" + what + ".current")
			if err == nil && near(now, most) {
				list = append(list, fmt.Sprintf("cgroup %s: %s.current is %d of %d", printable(group), what, now, most))
			}
		}
		i := strings.LastIndexByte(group, '/')
		if i <= 0 {
			break
		}
		group = group[:i]
	}
	return list
}

func numberIn(file string) (int64, error) {
	text, err := readSmall(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
}
