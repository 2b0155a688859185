package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A book is what the logs have of one flooding generation.
type book struct {
	last     int // the highest number so far
	lines    int
	repeated int
}

// readLogs compares what floods have written with what is in the logs: nothing may be missing, out of order or mangled.
func (r *run) readLogs() {
	books := map[string]*book{}
	for name := range r.flooders() {
		for _, file := range r.logFiles(name) {
			if err := r.readLog(file, books); err != nil {
				r.violated("log: %v", err)
			}
		}
	}
	counts, _ := os.ReadDir(filepath.Join(r.dir, "counts"))
	lines, repeated := 0, 0
	for _, c := range counts {
		data, _ := os.ReadFile(filepath.Join(r.dir, "counts", c.Name()))
		written, _ := strconv.Atoi(string(data))
		b := books[c.Name()]
		if b == nil {
			b = &book{}
		}
		if b.last < written && !r.diedDeserted(c, written-b.last) {
			info, _ := c.Info()
			r.violated("log: of %s the log has %d lines, it had written %d, the last at %v", c.Name(), b.last, written, info.ModTime().Format(time.StampMilli))
		}
		lines, repeated = lines+b.lines, repeated+b.repeated
	}
	r.say("%d lines of %d generations are in the logs, %d of them twice", lines, len(counts), repeated)
}

// pipeLines is more lines than fit into a pipe, of its usual size, and one write.
const pipeLines = (64<<10 + 4<<10) / 20

// behind is how long before the death of both somebody may have written what was not read yet, on a busy machine.
const behind = 3 * time.Second

// diedDeserted says whether a generation wrote its last line when nobody of stay lived, or shortly before, or while its log
// could not be written until then: if it was killed before somebody lived again, what was in its pipe is nowhere.
func (r *run) diedDeserted(count os.DirEntry, missing int) bool {
	info, err := count.Info()
	if err != nil || missing > pipeLines {
		return false
	}
	wrote := info.ModTime()
	return slices.ContainsFunc(r.deserted, func(i interval) bool {
		return wrote.Before(i.to) && wrote.After(r.unwritten(i.from).Add(-behind))
	})
}

// retried is how long after a log could be written again that may not have been tried yet: the longest pause between two
// attempts, and then some.
const retried = 6 * time.Second

// unwritten is since when, at a moment, output may have waited for a log that could not be written.
func (r *run) unwritten(at time.Time) time.Time {
	r.unwritable.Lock()
	defer r.unwritable.Unlock()
	for _, i := range slices.Backward(r.unwritable.list) {
		if i.from.Before(at) && i.to.Add(retried).After(at) {
			at = i.from
		}
	}
	return at
}

// notWritable notes that logs could not be written since a moment.
func (r *run) notWritable(since time.Time) {
	r.unwritable.Lock()
	defer r.unwritable.Unlock()
	r.unwritable.list = append(r.unwritable.list, interval{since, time.Now()})
}

// flooders are the instances that have written numbered lines.
func (r *run) flooders() map[string]bool {
	all := map[string]bool{}
	counts, _ := os.ReadDir(filepath.Join(r.dir, "counts"))
	for _, c := range counts {
		name, _, _ := strings.Cut(c.Name(), "@")
		all[name] = true
	}
	return all
}

// logFiles are the logs of an instance, the oldest first.
func (r *run) logFiles(name string) []string {
	files, _ := filepath.Glob(filepath.Join(r.daemon.logDir(), name+".log*"))
	number := func(file string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(filepath.Base(file), name+".log"), "."))
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return number(b) - number(a) })
	return files
}

// stampLength is what a time stamp and the space after it take of a line.
const stampLength = len("2006-01-02T15:04:05.000000Z ")

func (r *run) readLog(file string, books map[string]*book) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := in.Bytes()
		if len(line) > stampLength && line[4] == '-' && line[stampLength-1] == ' ' {
			line = line[stampLength:]
		}
		words := bytes.Fields(line)
		if len(words) == 0 || !bytes.Contains(words[0], []byte("@")) {
			continue // not of a flood: what a runtime says, for one
		}
		name := string(words[0])
		number := 0
		if len(words) > 1 {
			number, _ = strconv.Atoi(string(words[1]))
		}
		if want := numberedLine(nil, name, number); !bytes.Equal(append(line[:len(line):len(line)], '\n'), want) {
			r.violated("log: %s line %d is mangled: %.100q", filepath.Base(file), n, line)
			continue
		}
		b := books[name]
		if b == nil {
			b = &book{}
			books[name] = b
		}
		b.lines++
		switch {
		case number > b.last+1:
			r.violated("log: %s line %d: after line %d of %s comes %d", filepath.Base(file), n, b.last, name, number)
		case number <= b.last:
			b.repeated++
		}
		b.last = max(b.last, number)
	}
	return in.Err()
}
