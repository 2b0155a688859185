package engine

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"example.com/stay/internal/schedule"
)

// A jobTime is what is kept of a job on disk.
type jobTime struct {
	Line  string         `json:"line"` // what its times follow from
	State schedule.State `json:"state"`
}

// jobTimes are the next times of all jobs, in a file of the state directory: the only thing of a job that outlives the
// daemon. The loop owns the table; the file is written by a goroutine of its own, of which there is at most one.
type jobTimes struct {
	path string
	log  *slog.Logger
	all  map[string]jobTime

	mu      sync.Mutex // a leaf: guards what follows
	latest  []byte     // to be written; nil: nothing
	writing bool
}

// openJobTimes reads the file. One that is damaged is as good as none: times that were missed are not made up for, and the
// next plan writes it anew.
func openJobTimes(dir string, log *slog.Logger) *jobTimes {
	t := &jobTimes{path: filepath.Join(dir, "jobs.json"), log: log, all: map[string]jobTime{}}
	data, err := os.ReadFile(t.path)
	if err == nil {
		err = json.Unmarshal(data, &t.all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("times of jobs that were missed are not known", "error", err)
	}
	if t.all == nil {
		t.all = map[string]jobTime{}
	}
	return t
}

// remembered is the state of a job whose times were the same; else that of a new one.
func (t *jobTimes) remembered(name, line string) schedule.State {
	if kept := t.all[name]; kept.Line == line {
		return schedule.State{Time: kept.State.Time, Due: kept.State.Due, Planned: kept.State.Planned}
	}
	return schedule.State{}
}

func (t *jobTimes) note(name, line string, s schedule.State) {
	t.all[name] = jobTime{line, s}
	t.save()
}

func (t *jobTimes) forget(name string) {
	if _, there := t.all[name]; there {
		delete(t.all, name)
		t.save()
	}
}

// save has the table written. Of many changes only the last one is.
func (t *jobTimes) save() {
	data := mustJSON(t.all)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = data
	if !t.writing {
		t.writing = true
		go t.write()
	}
}

func (t *jobTimes) write() {
	for {
		t.mu.Lock()
		data := t.latest
		t.latest = nil
		t.writing = data != nil
		t.mu.Unlock()
		if data == nil {
			return
		}
		if err := replaceFile(t.path, data); err != nil {
			t.log.Warn("the times of jobs are not kept", "error", err)
		}
	}
}

// replaceFile writes a file anew: at any moment the old or the new one is there.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".jobs-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
