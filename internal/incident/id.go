package incident

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suffix is that of an incident's file.
const suffix = ".json"

// stamp is the time in an ID: its order is that of time.
const stamp = "20060102T150405.000000Z"

// An entry is what the name of a file says.
type entry struct {
	id   string
	at   time.Time
	name string // of the instance
	gen  uint64
}

// idOf is the ID of an incident.
func idOf(at time.Time, name string, gen uint64) string {
	return fmt.Sprintf("%s_%s_%d", at.UTC().Format(stamp), name, gen)
}

// parseID takes an ID apart, if it is one: nothing else is ever made a path of.
func parseID(id string) (entry, bool) {
	when, rest, ok := strings.Cut(id, "_")
	i := strings.LastIndexByte(rest, '_')
	if !ok || i < 1 || len(id) > 250 {
		return entry{}, false
	}
	at, err := time.Parse(stamp, when)
	gen, err2 := strconv.ParseUint(rest[i+1:], 10, 64)
	name := rest[:i]
	if err != nil || err2 != nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" || strings.Contains(name, "..") {
		return entry{}, false
	}
	return entry{id: id, at: at, name: name, gen: gen}, true
}

// entries are the incidents in a directory by their names, the oldest first. A directory that is not there has none.
func entries(dir string) ([]entry, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("incidents: %w", err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("incidents: %w", err)
	}
	var list []entry
	for _, n := range names {
		if id, ok := strings.CutSuffix(n, suffix); ok {
			if e, ok := parseID(id); ok {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.id, b.id) })
	return list, nil
}
