package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// processes returns the parent of every process that can be seen, by pid.
func processes() map[int]int {
	parents := map[int]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		// proc_pid_stat(5): pid (comm) state ppid; comm may have anything in it
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	return parents
}

// tree returns root and everything that descends from it.
func tree(parents map[int]int, root int) []int {
	list := []int{root}
	for i := 0; i < len(list); i++ {
		for pid, parent := range parents {
			if parent == list[i] && !slices.Contains(list, pid) {
				list = append(list, pid)
			}
		}
	}
	return list
}

// left returns the processes that have mark in their environment or arguments.
func left(mark string) []int {
	var list []int
	for pid := range processes() {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if pid != os.Getpid() && strings.Contains(string(environ)+"\x00"+string(args), mark) {
			list = append(list, pid)
		}
	}
	return list
}
