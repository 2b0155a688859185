// Package incident keeps the records of ended generations as JSON files.
package incident

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"example.com/stay/api"
)

// A Store keeps incidents.
type Store struct{ dir string }

// A Filter chooses.
type Filter struct {
	Names map[string]bool
	Since time.Time
	Limit int
}

// Open opens.
func Open(dir string, report func(error)) (*Store, error) {
	return &Store{dir}, os.MkdirAll(dir, 0o750)
}

// Write writes.
func (s *Store) Write(a *api.Incident) error {
	a.ID = fmt.Sprintf("%s_%s_%d", a.Time.UTC().Format("20060102T150405.000000Z"), a.Name, a.Generation)
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, a.ID+".json"), data, 0o640)
}

// List lists.
func (s *Store) List(f Filter) ([]api.Incident, error) {
	list := []api.Incident{}
	files, _ := filepath.Glob(filepath.Join(s.dir, "*.json"))
	slices.Reverse(files)
	for _, file := range files {
		var a api.Incident
		data, _ := os.ReadFile(file)
		if json.Unmarshal(data, &a) != nil || len(f.Names) > 0 && !f.Names[a.Name] || a.Time.Before(f.Since) {
			continue
		}
		if list = append(list, a); len(list) == f.Limit {
			break
		}
	}
	return list, nil
}

// Get gets.
func (s *Store) Get(id string) (*api.Incident, error) {
	var a api.Incident
	data, err := os.ReadFile(filepath.Join(s.dir, id+".json"))
	if err != nil {
		return nil, err
	}
	return &a, json.Unmarshal(data, &a)
}

// CountToday counts.
func (s *Store) CountToday(name string, cause api.Cause, now time.Time) int {
	list, _ := s.List(Filter{Names: map[string]bool{name: true}, Since: now.Add(-24 * time.Hour)})
	n := 0
	for _, a := range list {
		if a.Cause == cause {
			n++
		}
	}
	return n
}
