package proctree

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A group is the directory of one cgroup2.
type group string

// makeBase makes the group below which all trees of one daemon live. The error says, for an operator, why there is none.
func makeBase(id string) (group, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	own, err := findGroup(mounts, self)
	if err != nil {
		return "", err
	}
	if !bornInside() {
		return "", errors.New("the kernel cannot start processes in a group (before Linux 5.7)")
	}
	if err := unix.Access(filepath.Join(own, "cgroup.procs"), unix.W_OK); err != nil {
		return "", fmt.Errorf("own group %s: %w", own, err) // processes may be moved only below what one may write
	}
	g := group(filepath.Join(own, "stay-"+id))
	if err := os.Mkdir(string(g), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	kind, err := g.read("cgroup.type")
	if err != nil || strings.TrimSpace(kind) != "domain" {
		_ = os.Remove(string(g)) // it may be another's
		return "", fmt.Errorf("group %s takes no processes (%s)", g, strings.TrimSpace(kind))
	}
	return g, nil
}

// findGroup returns the directory of the own group: the cgroup2 mount in mountinfo (proc_pid_mountinfo(5)) that shows what
// cgroup (cgroups(7)) names in its line "0::".
func findGroup(mountinfo, cgroup []byte) (string, error) {
	own := ""
	for line := range strings.Lines(string(cgroup)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			own = strings.TrimSuffix(path, "\n")
		}
	}
	if own == "" || own[0] != '/' {
		return "", errors.New("no cgroup2 on this machine")
	}
	for line := range strings.Lines(string(mountinfo)) {
		before, after, ok := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if !ok || len(f) < 5 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		rel, err := filepath.Rel(unescape(f[3]), own)
		if err != nil || rel == ".." || strings.HasPrefix(rel, "../") || strings.HasPrefix(own, "/..") {
			continue // the mount shows another part
		}
		return filepath.Join(unescape(f[4]), rel), nil
	}
	return "", errors.New("no cgroup2 mounted that shows the own group")
}

// unescape undoes the \ooo of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for ; s != ""; s = s[1:] {
		if s[0] == '\\' && len(s) >= 4 {
			if n, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				s = s[3:]
				continue
			}
		}
		b.WriteByte(s[0])
	}
	return b.String()
}

// bornInside says whether clone3(2) knows CLONE_INTO_CGROUP. It cannot be asked without a fork.
func bornInside() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	major, rest, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return err1 == nil && (a > 5 || a == 5 && err2 == nil && b >= 7)
}

func (g group) read(file string) (string, error) {
	data, err := readFile(filepath.Join(string(g), file), maxList)
	return string(data), err
}

// empty says that no process, zombies aside, is in the group or below.
func (g group) empty() bool {
	events, err := g.read("cgroup.events")
	if err == unix.ENOENT || err == unix.ENODEV {
		return true // removed
	}
	return err == nil && bytes.Contains([]byte("\n"+events), []byte("\npopulated 0\n"))
}

// discard removes the group if no process is in it and none was made below it. It says whether it is gone.
func (g group) discard() bool {
	err := unix.Rmdir(string(g))
	return err == nil || err == unix.ENOENT
}

// below lists the groups that the tree's own processes have made, deepest first, the group itself last.
func (g group) below() []group {
	var all []group
	_ = filepath.WalkDir(string(g), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append([]group{group(path)}, all...)
		}
		return nil // what cannot be read has just been removed
	})
	return all
}

// processes lists who is in the group or below.
func (g group) processes() []int {
	var list []int
	for _, sub := range g.below() {
		if procs, err := sub.read("cgroup.procs"); err == nil {
			list = append(list, pids([]byte(procs))...)
		}
	}
	return list
}

// kill sends SIGKILL to all at once, where the kernel can (Linux 5.14).
func (g group) kill() error {
	fd, err := unix.Open(filepath.Join(string(g), "cgroup.kill"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("1"))
	return err
}

// remove removes the group and what was made below it. It fails while a process is in it.
func (g group) remove() error {
	if g.discard() {
		return nil
	}
	var last error
	for _, sub := range g.below() {
		if err := unix.Rmdir(string(sub)); err != nil && err != unix.ENOENT {
			last = err
		}
	}
	return last
}
