package evidence

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// A mount is one place where control groups are shown.
type mount struct {
	root  string // the group that is shown there
	point string
}

// mounts are where the groups of version 2 are shown, and those of one controller of version 1.
type mounts struct{ unified, legacy []mount }

// maxMounts bounds what is read of a mountinfo, in bytes.
const maxMounts = 4 << 20

// parseMounts reads proc_pid_mountinfo(5), for one controller of version 1.
func parseMounts(mountinfo, controller string) (m mounts) {
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(kind) < 3 {
			continue
		}
		one := mount{root: unescape(f[3]), point: unescape(f[4])}
		switch {
		case kind[0] == "cgroup2":
			m.unified = append(m.unified, one)
		case kind[0] == "cgroup" && hasOption(kind[2], controller):
			m.legacy = append(m.legacy, one)
		}
	}
	return m
}

func hasOption(list, name string) bool { return strings.Contains(","+list+",", ","+name+",") }

// unescape undoes the \ooo of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
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

// dir is the directory of a group, "" if no mount shows it.
func dir(list []mount, path string) string {
	if path == "" || path[0] != '/' || path == "/.." || strings.HasPrefix(path, "/../") {
		return ""
	}
	for _, m := range list {
		rel, err := filepath.Rel(m.root, path)
		if err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return filepath.Join(m.point, rel)
		}
	}
	return ""
}

// mounted are the mounts of this process. They are read once: nobody mounts control groups anew.
var mounted = sync.OnceValue(func() mounts {
	text, _ := readBounded("/proc/self/mountinfo", maxMounts)
	return parseMounts(text, "freezer")
})

// parseGroups reads proc_pid_cgroup(5), see cgroups(7): the group of version 2, and that of one controller of version 1.
func parseGroups(text, controller string) (unified, legacy string) {
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
		case id == "0" && controllers == "":
			unified = path
		case hasOption(controllers, controller):
			legacy = path
		}
	}
	return unified, legacy
}

// groupsOf are the directories of the groups of a process, "" where there is none or it is not shown.
func groupsOf(pid int) (unified, freezer string) {
	text, err := readSmall(procFile(pid, "cgroup"))
	if err != nil {
		return "", ""
	}
	unified, freezer = parseGroups(text, "freezer")
	m := mounted()
	return dir(m.unified, unified), dir(m.legacy, freezer)
}

// groupOf is the directory of the cgroup2 of a process, "" where there is none.
func groupOf(pid int) string {
	unified, _ := groupsOf(pid)
	return unified
}

// frozen says whether the group of a process, or one above it, is frozen or about to be: a group freezes process by process,
// and one that sleeps uninterruptibly can keep it from being done.
func frozen(pid int) bool {
	unified, freezer := groupsOf(pid)
	if freezer != "" {
		if state, err := readSmall(freezer + "/freezer.state"); err == nil && strings.HasPrefix(state, "FR") { // FROZEN, FREEZING
			return true
		}
	}
	if unified == "" {
		return false
	}
	if events, err := readSmall(unified + "/cgroup.events"); err == nil && strings.Contains(events, "frozen 1") {
		return true
	}
	for range 32 { // the root of all groups has no such file
		asked, err := readSmall(unified + "/cgroup.freeze")
		if err != nil {
			return false
		}
		if strings.TrimSpace(asked) == "1" {
			return true
		}
		unified = filepath.Dir(unified)
	}
	return false
}

// ofGeneration is how the cgroup of one generation is named, see package keeper.
var ofGeneration = regexp.MustCompile(`-g[0-9]+$`)

// generationOf is the cgroup that a generation has of its own, "" if it has none. Its processes may be in groups below it,
// and this daemon itself may run in a generation of another's: so it is the topmost that this daemon is not in.
func generationOf(group, own string) string {
	found := ""
	for g := group; len(g) > 1; g = filepath.Dir(g) {
		if g == own || strings.HasPrefix(own, g+"/") {
			break
		}
		if ofGeneration.MatchString(g) {
			found = g
		}
	}
	return found
}
