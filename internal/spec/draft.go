package spec

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A draft is a service while it is read: first [defaults], then its own table, then finish.
type draft struct {
	Service
	at      place // of its name
	partial bool  // something about it could not be read: what is missing may be there
	shell   bool
	// The command as written: it is split when all is read, for shell may come after it.
	command    *node
	commandKey slot
	environment
	pulse   pulseDraft
	job     jobDraft
	delay   *slot // restart.delay, where it was written
	logFile *slot // log.file, where it was written
	refs    []ref // other services, by all keys
	cpus    int   // what instances = "cpu" means
}

// A ref is one mention of another service.
type ref struct {
	key, name string
	at        place
}

// newDraft returns a draft with the built-in defaults.
func newDraft(name string, at place, src *Source) *draft {
	d := &draft{Service: *newService(), at: at, cpus: max(src.CPUs, 1), pulse: newPulseDraft()}
	d.environment = environment{names: inheritedByDefault}
	d.Name = name
	return d
}

// finish completes the service with what follows from several keys or from other files.
func (d *draft) finish(errs *problems, out *outside) *Service {
	switch {
	case d.command != nil:
		d.Command = d.splitCommand(errs)
	case !d.partial:
		errs.add(d.at, `add command = "program arguments"`, "%s %q: no command", d.what(), d.Name)
	}
	if d.Directory == "" && d.at.doc != nil {
		d.Directory = path.Dir(d.at.doc.file)
	}
	d.Env = d.environment.join(errs, out)
	d.Pulse = d.pulse.finish(errs)
	d.Job = d.job.finish(d, errs, out)
	if r := &d.Restart; d.delay != nil && r.Delay > r.MaxDelay {
		errs.add(d.delay.node.at, "raise restart.max_delay, or lower it", "key %q: %s is more than max_delay, %s", d.delay.Path,
			formatDuration(r.Delay), formatDuration(r.MaxDelay))
	}
	if d.Ready.When == ReadyFD && d.Ready.FD < 3+d.FDStore { // stored descriptors come back from 3 on
		errs.add(d.at, `write ready = "fd:`+strconv.Itoa(3+d.FDStore)+`"`, "service %q: with fd_store = %d, descriptor %d can be one that it has stored",
			d.Name, d.FDStore, d.Ready.FD)
	}
	for _, r := range d.refs {
		if r.name == d.Name {
			errs.add(r.at, "take it out of "+r.key, "%s %q: %s names itself", d.what(), d.Name, r.key)
		}
	}
	return &d.Service
}

// what is the word for it in messages.
func (d *draft) what() string {
	if d.job.Job != nil {
		return "job"
	}
	return "service"
}

// splitCommand returns the words of the command.
func (d *draft) splitCommand(errs *problems) []string {
	v := d.commandKey
	v.problems, v.node = errs, d.command
	if !d.shell {
		return v.command("add shell = true, or put it in quotes")
	}
	if v.node.kind == listKind {
		v.complainHint(`write the command as one string, or ["sh", "-c", "…"] without shell`,
			"a list and shell = true exclude each other")
		return nil
	}
	text, ok := v.text()
	if ok && strings.TrimSpace(text) == "" {
		v.complain("the command is empty")
	}
	return []string{"/bin/sh", "-c", text}
}

// command reads a command, a string or a list. The hint is given for a string that only a shell understands.
func (v slot) command(shell string) []string {
	if v.node.kind == listKind {
		words, ok := v.texts()
		switch {
		case !ok:
		case len(words) == 0:
			v.complain("the command is empty")
		case words[0] == "":
			v.complain("the name of the program is empty")
		}
		return words
	}
	text, ok := v.text()
	if !ok {
		return nil
	}
	words, err := ParseCommand(text)
	if err == nil {
		return words
	}
	at, ce := v.node.at, err.(*CommandError)
	if v.node.raw {
		at.offset += 1 + ce.Offset
	}
	hint := cmp.Or(ce.Hint, v.hint())
	if ce.Operator {
		hint = shell
	}
	v.add(at, hint, "key %q: %s", v.Path, ce.Message)
	return nil
}

func (d *draft) setCommand(v slot) {
	if v.node.kind != stringKind && v.node.kind != listKind {
		d.partial = true
		v.wrong()
		return
	}
	d.command, d.commandKey = v.node, v
}

func (d *draft) setUmask(v slot) {
	text, ok := v.text()
	if !ok {
		return
	}
	n, err := strconv.ParseUint(text, 8, 12)
	if err != nil || n > 0o777 {
		v.complain("%q is not an octal file mode mask", shorten(text))
		return
	}
	d.Umask = int(n)
}

func (d *draft) setEnabled(v slot) {
	if v.node.kind == stringKind && v.node.text == "on-demand" {
		v.later(v.node.text)
		return
	}
	assign(&d.Enabled, v.boolean)
}

func (d *draft) setInstances(v slot) {
	switch {
	case v.node.kind == stringKind && v.node.text == "cpu":
		d.Instances = min(d.cpus, maxInstances)
	case v.node.kind == integerKind:
		assign(&d.Instances, func() (int, bool) { return v.integer(1, maxInstances) })
	default:
		v.wrong()
	}
}

// setNames puts a list of services into to, each name once, and remembers where they stand.
func (d *draft) setNames(v slot, to *[]string) {
	d.refs = slices.DeleteFunc(d.refs, func(r ref) bool { return r.key == v.Path })
	names, ok := v.texts()
	if !ok {
		return
	}
	*to = nil
	for i, name := range names {
		d.refs = append(d.refs, ref{v.Path, name, v.node.items[i].at})
		if !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
}

// laterReady are the forms of ready that another version will take.
var laterReady = []string{"log:", "http://", "https://", "tcp://", "pidfile:"}

func (d *draft) setReady(v slot) {
	text, ok := v.text()
	if !ok {
		return
	}
	form, rest, _ := strings.Cut(text, ":")
	switch {
	case text == string(ReadyExec) || text == string(ReadyNotify):
		d.Ready = Ready{When: ReadyWhen(text)}
	case form == string(ReadyFD) && rest != "":
		d.setReadyFD(v, rest)
	case form == string(ReadyAfter) && rest != "":
		after, err := ParseDuration(rest)
		if err != nil {
			v.complainHint("for example: "+v.Path+` = "after:2s"`, "%q %v", shorten(rest), err)
			return
		}
		d.Ready = Ready{When: ReadyAfter, After: after}
	case slices.ContainsFunc(laterReady, func(p string) bool { return strings.HasPrefix(text, p) }):
		v.later(shorten(text))
	default:
		v.wrong()
	}
}

func (d *draft) setReadyFD(v slot, number string) {
	const lowest, highest = 3, 1023 // 0, 1 and 2 are stdin, stdout and stderr
	fd, err := strconv.Atoi(number)
	if err != nil || fd < lowest || fd > highest {
		v.complainHint("for example: "+v.Path+` = "fd:3"`, "descriptor %q is out of range, allowed are %d to %d",
			shorten(number), lowest, highest)
		return
	}
	d.Ready = Ready{When: ReadyFD, FD: fd}
}

func (d *draft) setSuccess(v slot) {
	if v.node.kind != listKind {
		v.wrong()
		return
	}
	list := make([]Success, 0, len(v.node.items))
	for _, item := range v.node.items {
		e := v
		e.node = item
		var s Success
		switch item.kind {
		case integerKind:
			assign(&s.Code, func() (int, bool) { return e.integer(0, 255) })
		case stringKind:
			assign(&s.Signal, e.signal)
		default:
			e.Type = "exit code or the name of a signal"
			e.wrong()
		}
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	d.Success = list
}

func (d *draft) setChroot(v slot) {
	dir, ok := v.text()
	switch {
	case !ok:
	case dir == "":
		d.Sandbox.Chroot = ""
	case !path.IsAbs(dir):
		v.complain("%q is not an absolute path", shorten(dir))
	default:
		d.Sandbox.Chroot = path.Clean(dir)
	}
}

// setRlimit keeps the limits sorted by name.
func (d *draft) setRlimit(name string, value uint64) {
	byKey := func(l Rlimit, name string) int { return strings.Compare(l.Name, name) }
	i, found := slices.BinarySearchFunc(d.Limits.Rlimits, name, byKey)
	if !found {
		d.Limits.Rlimits = slices.Insert(d.Limits.Rlimits, i, Rlimit{Name: name})
	}
	d.Limits.Rlimits[i].Value = value
}
