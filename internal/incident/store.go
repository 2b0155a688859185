package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
)

// What is kept.
const (
	keepFiles = 1000                // in all
	keepEach  = 10                  // of each instance, also beyond keepFiles
	keepFor   = 30 * 24 * time.Hour // and no longer, unless it is one of keepEach
)

// pruneEvery is how many incidents are written between two looks at what is too old or too many.
const pruneEvery = 50

// A Store keeps incidents in a directory.
type Store struct {
	dir     string
	written int
	recent  map[string][]past // by instance, once it was asked for
}

// Open returns the store in dir, which it makes if it is not there, 0750.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("incidents: %w", err)
	}
	s := &Store{dir: dir}
	return s, s.inDir(func(int) error { return nil })
}

// inDir calls f with the directory's descriptor.
func (s *Store) inDir(f func(at int) error) error {
	at, err := unix.Open(s.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", s.dir, err)
	}
	defer unix.Close(at)
	return f(at)
}

// Write gives a its ID and stores it. On an error nothing is left of it.
func (s *Store) Write(a *api.Incident) error {
	a.ID = idOf(a.Time, a.Name, a.Generation)
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("incident %q: %w", a.ID, err)
	}
	write := func(at int) error { return writeFile(at, a.ID+suffix, append(data, '\n')) }
	if err = s.inDir(write); errors.Is(err, fs.ErrNotExist) && os.MkdirAll(s.dir, 0o750) == nil { // somebody cleaned up
		err = s.inDir(write)
	}
	if err != nil {
		return fmt.Errorf("write incident %q: %w", a.ID, err)
	}
	if recent, known := s.recent[a.Name]; known && len(recent) < keepFiles {
		s.recent[a.Name] = append(recent, past{a.Time, a.Cause})
	}
	if s.written++; s.written%pruneEvery == 1 {
		return s.prune(a.Time)
	}
	return nil
}

// temporary is the name of an incident that is being written. There is one writer, so what one that died has left is written
// over by the next.
const temporary = ".new"

// writeFile writes a file that is whole when it has its name.
func writeFile(at int, name string, data []byte) error {
	_ = unix.Unlinkat(at, temporary, 0)
	fd, err := unix.Openat(at, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = unix.Renameat(at, temporary, at, name)
	}
	if err != nil {
		_ = unix.Unlinkat(at, temporary, 0)
	}
	return err
}

// prune removes what is too old or too many, the oldest first, and sparing the last few of each instance.
func (s *Store) prune(now time.Time) error {
	all, err := entries(s.dir)
	if err != nil {
		return err
	}
	each := map[string]int{}
	return s.inDir(func(at int) error {
		for i, e := range slices.Backward(all) { // the newest first
			each[e.name]++
			tooMany, tooOld := len(all)-i > keepFiles, now.Sub(e.at) > keepFor
			if (tooMany || tooOld) && each[e.name] > keepEach {
				if err := unix.Unlinkat(at, e.id+suffix, 0); err != nil && err != unix.ENOENT {
					return fmt.Errorf("remove incident %q: %w", e.id, err)
				}
			}
		}
		return nil
	})
}

// A Filter chooses incidents. The zero value chooses all.
type Filter struct {
	Names map[string]bool        // of instances; nil: all
	Match func(name string) bool // chooses among names; nil: all of them
	Since time.Time
	Limit int // how many at most; 0: any number
}

// List returns incidents, the newest first.
func (s *Store) List(f Filter) ([]api.Incident, error) { return List(s.dir, f) }

// List returns the incidents in a directory, the newest first. There need not be a directory.
func List(dir string, f Filter) ([]api.Incident, error) {
	all, err := entries(dir)
	if err != nil {
		return nil, err
	}
	list := []api.Incident{}
	for _, e := range slices.Backward(all) {
		if f.Names != nil && !f.Names[e.name] || f.Match != nil && !f.Match(e.name) || e.at.Before(f.Since.Truncate(time.Microsecond)) {
			continue
		}
		a, err := Get(dir, e.id)
		if err != nil {
			continue // it went meanwhile, or is none
		}
		if list = append(list, *a); len(list) == f.Limit {
			break
		}
	}
	return list, nil
}

// Get returns one incident; an error that is fs.ErrNotExist if there is none of that ID.
func (s *Store) Get(id string) (*api.Incident, error) { return Get(s.dir, id) }

// maxFile bounds what is read of one file, in bytes: more is no incident of ours.
const maxFile = 4 << 20

// Get returns one incident of a directory; an error that is fs.ErrNotExist if there is none of that ID.
func Get(dir, id string) (*api.Incident, error) {
	if _, ok := parseID(id); !ok {
		return nil, fmt.Errorf("incident %q: %w", id, fs.ErrNotExist)
	}
	fd, err := unix.Open(dir+"/"+id+suffix, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("incident %q: %w", id, err)
	}
	f := os.NewFile(uintptr(fd), id)
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("incident %q: not a file of ours", id)
	}
	var a api.Incident
	if err := json.NewDecoder(f).Decode(&a); err != nil {
		return nil, fmt.Errorf("incident %q: %w", id, err)
	}
	a.ID = id
	return &a, nil
}

// Count is how many incidents of an instance and cause there were in the 24 hours before now, as far as they are kept. The
// files are read once for each instance.
func (s *Store) Count(name string, cause api.Cause, now time.Time) int {
	day := now.Add(-24 * time.Hour)
	recent, known := s.recent[name]
	if !known {
		list, _ := s.List(Filter{Names: map[string]bool{name: true}, Since: day})
		for _, a := range slices.Backward(list) {
			recent = append(recent, past{a.Time, a.Cause})
		}
	}
	recent = slices.DeleteFunc(recent, func(p past) bool { return p.at.Before(day) })
	if s.recent == nil {
		s.recent = map[string][]past{}
	}
	s.recent[name] = recent
	n := 0
	for _, p := range recent {
		if p.cause == cause {
			n++
		}
	}
	return n
}

// A past is what is remembered of an incident for Count.
type past struct {
	at    time.Time
	cause api.Cause
}
