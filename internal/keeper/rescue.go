package keeper

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// This file: a keeper that begins with the table of one that was killed together with its engine. The processes are no
// children of this keeper, as after adopt; of the descriptors that were held, only what the processes themselves have the
// other end of comes back.

// Explains says whether a row stands for a process, or for what is left of its tree: what belongs to such a generation is to
// be carried on with, whatever else there is of the daemon's processes is nobody's.
func (r *RowImage) Explains() bool { return r.State == Alive || r.Main != 0 && !r.Empty }

// rescue takes over the table. It comes before the engine is started, which is told it as always.
func (k *Keeper) rescue(img *Image) {
	adopter, ok := k.o.Forest.(Adopter)
	if !ok {
		return
	}
	k.daemon = img.Daemon
	k.about.Engines = max(0, img.Engines)
	for i := range img.Rows {
		k.rescueRow(adopter, &img.Rows[i])
	}
}

func (k *Keeper) rescueRow(adopter Adopter, i *RowImage) {
	r := k.row(i.Unit)
	r.record, r.op, r.gen, r.seen, r.state = i.Record, i.Op, i.Gen, i.Seen, i.State
	r.main, r.start, r.born, r.mark, r.out = i.Main, i.Start, i.Born, i.Mark, i.Out
	r.exit, r.lost, r.fail = i.Exit, i.Lost, i.Failure
	switch {
	case !i.Explains() && i.State == InSpawn:
		k.notBorn(r, Failure{Stage: "fork", Errno: int(unix.ECANCELED), Detail: "stay was killed before it was made"})
		return
	case !i.Explains():
		return
	}
	r.tree = adopter.Adopt(r.treeName(), r.main, r.start, r.mark, r.out)
	k.reopen(r, i)
	if r.state == Ended {
		r.empty = r.tree.Empty()
		if r.empty {
			k.treeEmpty(r)
			return
		}
		k.trees.watch(r)
	} else {
		k.adoptMain(r, r.main)
	}
	if i.Killing && r.live() {
		r.killing, r.killAt = true, now()
		k.trees.watch(r)
	}
}

// reopen gets the read ends of pipes back whose other ends the processes of the row have.
func (k *Keeper) reopen(r *row, i *RowImage) {
	var wanted []file
	for n, name := range i.Files {
		if n < len(i.Inodes) && i.Inodes[n] != 0 {
			f := file{pipe: i.Inodes[n], fd: -1}
			f.name, f.gen = ParseFileName(name)
			wanted = append(wanted, f)
		}
	}
	if len(wanted) == 0 {
		return
	}
	left := findPipes(r.main, wanted)
	if left > 0 { // it has closed them, or has ended; others of its tree may have them
		for _, m := range r.tree.Members() {
			if left > 0 && m.Pid != r.main {
				left = findPipes(m.Pid, wanted)
			}
		}
	}
	for _, f := range wanted {
		switch {
		case f.fd < 0:
			k.o.Log.Warn("a pipe was lost: nobody has its other end any more", "unit", r.unit, "name", f.name, "generation", f.gen)
		case f.name == LogPipe:
			r.holdLog(f.gen, f.fd)
		case !r.hold(f.name, f.gen, f.fd):
			unix.Close(f.fd)
		}
	}
}

// findPipes opens those of the wanted pipes that a process has, and returns how many are still wanted.
func findPipes(pid int, wanted []file) (left int) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd/"
	for i := range wanted {
		if f := &wanted[i]; f.fd < 0 && (f.name == LogPipe) {
			for _, n := range []string{"1", "2"} { // where it is nearly always
				f.open(dir + n)
			}
		}
		if wanted[i].fd < 0 {
			left++
		}
	}
	if left == 0 {
		return 0
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		link, _ := os.Readlink(dir + e.Name())
		number, ok := strings.CutPrefix(link, "pipe:[")
		if !ok {
			continue
		}
		for i := range wanted {
			if f := &wanted[i]; f.fd < 0 && strconv.FormatUint(f.pipe, 10)+"]" == number {
				f.open(dir + e.Name())
				if f.fd >= 0 {
					left--
				}
			}
		}
	}
	return left
}

// open opens the pipe for reading if it is at path.
func (f *file) open(path string) {
	var st unix.Stat_t
	if f.fd >= 0 || unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO || st.Ino != f.pipe {
		return
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	if newFile("", 0, fd).pipe != f.pipe { // it may be another by now
		unix.Close(fd)
		return
	}
	f.fd = fd
}
