package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// SystemSocket is where the daemon of the machine listens.
const SystemSocket = "/run/stay/stay.sock"

// Find returns the socket of the daemon to talk to: explicit if it is not "", else STAY_SOCKET, else the one in the nearest
// directory .stay going up from the working directory, else the machine's. A .stay that somebody else owns or could have
// written is passed over. That a socket was found does not mean that a daemon answers; that none was is *NotReachable.
func Find(explicit string) (socket string, err error) {
	dir, err := os.Getwd()
	if err != nil {
		dir = "" // it was removed: nothing to search from
	}
	return Finder{Explicit: explicit, Env: os.Getenv("STAY_SOCKET"), Dir: dir}.Find()
}

// A Finder looks for a daemon's socket. Its zero value finds the machine's only.
type Finder struct {
	Explicit string                     // what was named, as by --socket; "": nothing
	Env      string                     // the value of STAY_SOCKET; "": nothing
	Dir      string                     // the absolute directory to go up from; "": none
	System   string                     // the machine's socket; "": SystemSocket
	Skipped  func(dir, why string)      // told of each .stay that was passed over; nil: nobody
	lstat    func(string) (stat, error) // for tests; nil: the file system
}

// A stat is what trusting a directory depends on.
type stat struct {
	uid  int
	mode fs.FileMode
}

// Find returns the socket: see the function Find.
func (f Finder) Find() (string, error) {
	if f.Explicit != "" {
		return f.Explicit, nil
	}
	if f.Env != "" {
		return f.Env, nil
	}
	var skipped []string
	for dir := f.Dir; dir != ""; dir = parent(dir) {
		own := filepath.Join(dir, ".stay")
		why, ok := f.look(own)
		if ok {
			return filepath.Join(own, "stay.sock"), nil
		}
		if why != "" {
			skipped = append(skipped, fmt.Sprintf("%q was passed over: %s", own, why))
			if f.Skipped != nil {
				f.Skipped(own, why)
			}
		}
	}
	system := f.System
	if system == "" {
		system = SystemSocket
	}
	if _, err := os.Lstat(system); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return system, nil
	}
	reason := fmt.Sprintf("there is no .stay here or above, and no %q", system)
	if len(skipped) > 0 {
		reason = strings.Join(append(skipped, fmt.Sprintf("there is no %q", system)), "; ")
	}
	return "", &NotReachable{Err: errors.New(reason)}
}

// look says whether dir is there and may be believed; if it is there and may not, why.
func (f Finder) look(dir string) (why string, ok bool) {
	lstat := f.lstat
	if lstat == nil {
		lstat = lstatFile
	}
	st, err := lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return "", false
	case err != nil:
		return err.Error(), false
	case !st.mode.IsDir():
		return "it is no directory", false
	case st.uid != os.Geteuid() && st.uid != 0:
		return fmt.Sprintf("it belongs to uid %d", st.uid), false
	case st.mode.Perm()&0o022 != 0:
		return "others can write to it", false
	}
	return "", true
}

func lstatFile(path string) (stat, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return stat{}, err
	}
	return stat{uid: int(info.Sys().(*syscall.Stat_t).Uid), mode: info.Mode()}, nil
}

// parent returns the directory above, "" above the root.
func parent(dir string) string {
	if up := filepath.Dir(dir); up != dir {
		return up
	}
	return ""
}
