package spec

import (
	"path"
	"strings"
)

// Transient is a service without a file, as `stay run` makes it. A string that is empty is not set.
type Transient struct {
	Name         string // default: made of the base name of the program
	Directory    string // absolute; default "/"
	User         string
	Restart      string // as the key restart.when
	Ready        string // as the key ready
	StartTimeout string // as the key start_timeout
	StopTimeout  string // as the key stop.timeout
	Pulse        string // as the key pulse
	Every        string // as the key every of a job: then it is one
	Command      []string
	Env          []string // NAME=VALUE, on top of what is inherited
	Environ      []string // the daemon's own environment
}

// NewTransient returns the service, checked as if it stood in a file. Its errors have no place.
func NewTransient(t Transient) (*Service, Errors) {
	var errs problems
	if t.Name == "" && len(t.Command) > 0 {
		t.Name = makeName(path.Base(t.Command[0]))
	}
	out := &outside{Source: Source{Environ: t.Environ}}
	d := newDraft(t.Name, place{}, &out.Source)
	d.Transient = true
	if problem, hint := checkName(t.Name); problem != "" {
		errs.add(place{}, hint, "service %q: %s", t.Name, problem)
	}
	d.Directory = "/"
	if t.Every != "" {
		d.makeJob()
		d.set(&errs, jobTree, "every", &node{kind: stringKind, text: t.Every})
	}
	for _, key := range []struct{ path, value string }{
		{"directory", t.Directory}, {"user", t.User}, {"restart.when", t.Restart}, {"ready", t.Ready},
		{"start_timeout", t.StartTimeout}, {"stop.timeout", t.StopTimeout}, {"pulse", t.Pulse},
	} {
		if key.value != "" {
			d.put(&errs, key.path, &node{kind: stringKind, text: key.value})
		}
	}
	command := &node{kind: listKind}
	for _, word := range t.Command {
		command.items = append(command.items, &node{kind: stringKind, text: word})
	}
	d.put(&errs, "command", command)
	d.put(&errs, "env", assignments(&errs, t.Env))
	s := d.finish(&errs, out)
	if len(errs.list) > 0 {
		return nil, errs.sorted()
	}
	return s, nil
}

// assignments turns NAME=VALUE strings into a table; of two with the same name the last one counts.
func assignments(errs *problems, env []string) *node {
	t := newTable(place{}, closed)
	for _, entry := range env {
		name, value, ok := strings.Cut(entry, "=")
		if !ok {
			errs.add(place{}, "for example: NAME=value", "env: a variable without \"=\"")
			continue
		}
		if f := t.field(name); f != nil {
			f.value.text = value
			continue
		}
		t.put(name, place{}, &node{kind: stringKind, text: value})
	}
	return t
}
