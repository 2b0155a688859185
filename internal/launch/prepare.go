package launch

import (
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Request is what the configuration asks for one process.
type Request struct {
	Command []string // the program and its arguments; never empty
	Dir     string   // absolute, inside Chroot; "" is "/"
	// Env is NAME=VALUE. Where User is set, HOME, USER, LOGNAME and SHELL are added unless they are in Env: the caller
	// leaves out those that were merely inherited from the daemon.
	Env         []string
	User        string   // name or number; "": the daemon's own
	Group       string   // name or number; "": the user's, or the daemon's own
	Groups      []string // supplementary, beside those the user is in
	Umask       int      // −1: as it is
	Rlimits     []Limit
	Nice        *int   // nil: as it is
	OOMScoreAdj *int   // nil: as it is
	Chroot      string // "": none
	NoNewPrivs  bool
}

// A Limit is an Rlimit by the key that the configuration has for it: "open_files", "core", ….
type Limit struct {
	Name  string
	Value uint64 // ^uint64(0): unlimited
}

// Prepared is the answer to a Request.
type Prepared struct {
	Plan Plan
	// Direct: the Plan is Path, Argv, Env and Dir and nothing else, and everything that execve(2) will open lies on a
	// local file system. Only then may a Go process fork and exec it itself: a child that hangs before exec stops its
	// parent. A Plan that is not Direct goes through the exec stage. If ListenPID is set later, so must this.
	Direct   bool
	UID, GID int // who will run it, for the owner of its pipes
}

// Prepare completes a Request. A Failure of Prepare is worth another try later: what is missing may come.
func Prepare(r Request) (Prepared, *Failure) { return system.prepare(r) }

// A preparer is Prepare with what it looks at.
type preparer struct {
	accounts accounts
	images   images
	uid, gid int
	groups   func() ([]int, error) // of this process
}

var system = &preparer{
	accounts: accounts{passwd: "/etc/passwd", group: "/etc/group", ask: getent},
	uid:      os.Geteuid(),
	gid:      os.Getegid(),
	groups:   os.Getgroups,
}

func (s *preparer) prepare(r Request) (Prepared, *Failure) {
	p := Prepared{UID: s.uid, GID: s.gid}
	if len(r.Command) == 0 || r.Command[0] == "" {
		return p, sentence(StageLookup, unix.EINVAL, "no program: the command is empty")
	}
	if r.Dir == "" {
		r.Dir = "/"
	}
	p.Plan = Plan{Argv: r.Command, Env: r.Env, Dir: r.Dir, Nice: r.Nice, OOMScoreAdj: r.OOMScoreAdj, Chroot: r.Chroot,
		NoNewPrivs: r.NoNewPrivs}
	if r.Umask >= 0 {
		p.Plan.Umask = &r.Umask
	}
	if f := p.Plan.addLimits(r.Rlimits); f != nil {
		return p, f
	}
	if f := s.identify(r, &p); f != nil {
		return p, f
	}
	path, f := lookup{chroot: r.Chroot, dir: r.Dir, env: r.Env}.find(r.Command[0])
	if f != nil {
		return p, f
	}
	p.Plan.Path = path
	if !p.Plan.plain() {
		return p, nil
	}
	p.Direct, f = s.direct(path, r.Dir)
	return p, f
}

func (p *Plan) addLimits(limits []Limit) *Failure {
	for _, l := range limits {
		number := -1
		for _, r := range resources {
			if r.key == l.Name {
				number = r.number
			}
		}
		if number < 0 {
			return &Failure{Stage: StageRlimit + " " + l.Name, Errno: int(unix.EINVAL)}
		}
		p.Rlimits = append(p.Rlimits, Rlimit{Resource: number, Value: l.Value})
	}
	return nil
}

// plain says that fork, chdir and exec are all there is to do.
func (p *Plan) plain() bool {
	return p.UID == nil && p.GID == nil && p.Groups == nil && p.Umask == nil && p.Rlimits == nil && p.Nice == nil &&
		p.OOMScoreAdj == nil && p.Chroot == "" && !p.NoNewPrivs && !p.ListenPID
}

// direct says whether all that fork and exec will touch is local. What is plainly missing is a Failure now, where it can
// be named, rather than a bare errno of execve(2) later.
func (s *preparer) direct(path, dir string) (bool, *Failure) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return false, at(StageChdir, dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return false, at(StageChdir, dir, unix.ENOTDIR)
	}
	if !local(dir) {
		return false, nil
	}
	return s.images.local(path)
}

// images remembers which programs are local, interpreters included. An entry holds as long as the file is the same.
type images struct {
	mu    sync.Mutex
	known map[string]image
}

// An image is what was found out about one version of one file.
type image struct {
	dev, ino     uint64
	mtime, ctime unix.Timespec
	local        bool
}

// maxImages bounds the cache; a full one starts anew.
const maxImages = 4096

func (c *images) local(path string) (bool, *Failure) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return false, at(StageExec, path, err)
	}
	now := image{dev: uint64(st.Dev), ino: st.Ino, mtime: st.Mtim, ctime: st.Ctim}
	c.mu.Lock()
	old, ok := c.known[path]
	c.mu.Unlock()
	if now.local = old.local; ok && now == old {
		return old.local, nil
	}
	var f *Failure
	if now.local, f = examine(path); f != nil {
		return false, f
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxImages {
		c.known = map[string]image{}
	}
	c.known[path] = now
	return now.local, nil
}

// maxNesting is how many interpreters of interpreters are followed (the kernel gives up at 5).
const maxNesting = 5

// examine follows path through its interpreters. What cannot be read or understood is not local: the exec stage is only
// slower, never wrong.
func examine(path string) (bool, *Failure) {
	file := path
	for range maxNesting {
		fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err == unix.ENOENT && file != path {
			return false, at(StageExec, path+interpreter+file, err)
		}
		if err != nil {
			return false, nil
		}
		here := localFile(fd)
		next, err := interpreterOf(fd)
		unix.Close(fd)
		if !here || err != nil {
			return false, nil
		}
		if next == "" {
			return true, nil
		}
		if !strings.HasPrefix(next, "/") {
			return false, nil // relative to the directory of the process
		}
		file = next
	}
	return false, nil
}
