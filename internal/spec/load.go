package spec

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// systemFile is the one configuration that has included files by default.
const (
	systemFile    = "/etc/stay/stay.toml"
	systemInclude = "/etc/stay/conf.d/*.toml"
)

// Dirs returns the directories of a daemon started from file, which is absolute, where the file names none. The fork
// rate is left zero.
func Dirs(file string) Daemon {
	if strings.HasPrefix(file, "/etc/") {
		return Daemon{RuntimeDir: "/run/stay", StateDir: "/var/lib/stay", LogDir: "/var/log/stay"}
	}
	dir := path.Join(path.Dir(file), ".stay")
	return Daemon{RuntimeDir: dir, StateDir: path.Join(dir, "state"), LogDir: path.Join(dir, "log")}
}

// Load reads the file, which is absolute, and all it includes. It returns either a configuration or every error that it
// could find. A file whose base name is Procfile, or that ends in .procfile, is read as one.
func Load(file string, src Source) (*Config, Errors) {
	l := &loader{out: &outside{Source: src}, first: map[string]place{}}
	l.config = &Config{File: file, Daemon: Dirs(file)}
	l.config.Daemon.ForkRate = defaultForkRate
	if !path.IsAbs(file) || !utf8.ValidString(file) {
		l.errs.add(place{&document{file: file}, whole}, "", "the path of the configuration is not absolute, or not UTF-8")
	} else if doc := l.out.document(&l.errs, file, place{}); doc == nil {
		l.broken = true
	} else if path.Base(file) == "Procfile" || path.Ext(file) == ".procfile" {
		l.procfile(doc)
	} else {
		l.main(doc)
	}
	return l.finish()
}

// A loader reads one configuration.
type loader struct {
	out      *outside
	errs     problems
	config   *Config
	defaults *node            // the table [defaults], nil if there is none
	drafts   []*draft         // in the order they were read
	first    map[string]place // where each service is defined
	broken   bool             // something could not be read: what seems to be missing may stand there
}

// main reads the configuration itself, then what it includes.
func (l *loader) main(doc *document) {
	root, whole := parseTOML(doc, &l.errs)
	l.broken = l.broken || !whole
	daemon := &daemonDraft{Daemon: &l.config.Daemon}
	for _, f := range root.fields {
		switch {
		case f.name == "stay" && l.isTable(f):
			daemonTree.read(&l.errs, daemonTree, f.value, daemon)
		case f.name == "defaults" && l.isTable(f):
			l.defaults = f.value
			serviceTree.read(&l.errs, serviceTree, f.value, newDraft("", f.at, &l.out.Source))
		}
	}
	l.tables(root, false, whole)
	if daemon.include == nil && doc.file == systemFile {
		daemon.include = []fileRef{{path: systemInclude, at: place{doc, 0}}}
	}
	for _, file := range l.included(daemon.include) {
		if doc := l.out.document(&l.errs, file.path, file.at); doc != nil {
			root, whole := parseTOML(doc, &l.errs)
			l.broken = l.broken || !whole
			l.tables(root, true, whole)
		} else {
			l.broken = true
		}
	}
}

// isTable complains if a top-level name is anything but a table.
func (l *loader) isTable(f field) bool {
	if f.value.kind == tableKind {
		return true
	}
	header := f.name
	if f.name == "service" || f.name == "job" {
		header += ".NAME"
	}
	l.errs.add(f.at, "write ["+header+"] on a line of its own", "%q: expected a table, found %s", f.name, f.value.describe())
	return false
}

// tables reads the services of a document and refuses what does not belong there.
func (l *loader) tables(root *node, included, whole bool) {
	for _, f := range root.fields {
		switch f.name {
		case "service":
			if l.isTable(f) {
				l.services(f.value, whole)
			}
		case "job":
			if l.isTable(f) {
				l.jobs(f.value, whole)
			}
		case "stay", "defaults":
			if included {
				l.errs.add(f.at, "move it to "+l.config.File, "table %q: not allowed in an included file", f.name)
			}
		default:
			l.unknownTop(f)
		}
	}
}

// unknownTop refuses a name that no table has.
func (l *loader) unknownTop(f field) {
	if f.value.kind == tableKind {
		l.errs.add(f.at, didYouMean(f.name, []string{"stay", "defaults", "service", "job"}), "unknown table %q", f.name)
		return
	}
	hint := ""
	switch {
	case daemonTree.kids[f.name] != nil:
		hint = "write [stay] above it"
	case serviceTree.kids[f.name] != nil:
		hint = "write [service.NAME] above it"
	}
	l.errs.add(f.at, hint, "unknown key %q outside of a table", f.name)
}

// services reads the table [service].
func (l *loader) services(table *node, whole bool) {
	for _, f := range table.fields {
		if f.value.kind != tableKind {
			l.errs.add(f.at, "write [service.NAME] above the keys of a service",
				"service %q: expected a table, found %s", f.name, f.value.describe())
			continue
		}
		d := l.define("service", f.name, f.at)
		if l.defaults != nil {
			serviceTree.read(nil, serviceTree, l.defaults, d)
		}
		serviceTree.read(&l.errs, serviceTree, f.value, d)
		d.partial = d.partial || !whole
	}
}

// jobs reads the table [job].
func (l *loader) jobs(table *node, whole bool) {
	for _, f := range table.fields {
		if f.value.kind != tableKind {
			l.errs.add(f.at, "write [job.NAME] above the keys of a job", "job %q: expected a table, found %s", f.name, f.value.describe())
			continue
		}
		d := l.define("job", f.name, f.at)
		if l.defaults != nil {
			serviceTree.read(nil, serviceTree, l.defaults, d)
		}
		d.makeJob()
		jobTree.read(&l.errs, jobTree, f.value, d)
		d.partial = d.partial || !whole
	}
}

// define begins a service or a job, and complains about its name.
func (l *loader) define(what, name string, at place) *draft {
	d := newDraft(name, at, &l.out.Source)
	if problem, hint := checkName(name); problem != "" {
		l.errs.add(at, hint, "%s %q: %s", what, name, problem)
	}
	if first, ok := l.first[name]; ok {
		l.errs.add(at, "rename one of them", "%s %q: already defined at %s", what, name, first)
	} else {
		l.first[name] = at
	}
	l.drafts = append(l.drafts, d)
	return d
}

// finish completes all services and returns them, or the errors.
func (l *loader) finish() (*Config, Errors) {
	var names []string
	for _, d := range l.drafts {
		names = append(names, d.Name)
	}
	l.checkLogFiles()
	for _, d := range l.drafts {
		l.config.Services = append(l.config.Services, d.finish(&l.errs, l.out))
		for _, r := range d.refs {
			if _, ok := l.first[r.name]; !ok && !l.broken {
				l.errs.add(r.at, didYouMean(r.name, names), "key %q: there is no service %q", r.key, r.name)
			}
		}
	}
	if len(l.errs.list) > 0 {
		return nil, l.errs.sorted()
	}
	slices.SortFunc(l.config.Services, func(a, b *Service) int { return strings.Compare(a.Name, b.Name) })
	l.config.Sources = l.out.read
	return l.config, nil
}
