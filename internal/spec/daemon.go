package spec

import (
	"math"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// defaultForkRate lets 1,000 services crash at once and then holds a machine at what it can bear for long.
var defaultForkRate = Rate{PerSecond: 200, Burst: 1000}

// A daemonDraft is the table [stay] while it is read.
type daemonDraft struct {
	*Daemon
	include []fileRef // patterns; nil: the key is absent
}

type daemonKey = key[*daemonDraft]

// daemonKeys declares every key of [stay].
var daemonKeys = []daemonKey{
	dirKey("runtime_dir", "Sockets and locks; default: /run/stay for a file under /etc, else .stay beside the file.", `"/run/stay"`,
		func(d *Daemon) *string { return &d.RuntimeDir }),
	dirKey("state_dir", "What outlives a reboot; default: /var/lib/stay, or .stay/state beside the file.", `"/var/lib/stay"`,
		func(d *Daemon) *string { return &d.StateDir }),
	dirKey("log_dir", "Logs; default: /var/log/stay, or .stay/log beside the file.", `"/var/log/stay"`,
		func(d *Daemon) *string { return &d.LogDir }),
	{
		Key: Key{Path: "include", Type: "list of strings",
			Doc: "More files with services, as patterns relative to the file. Default for /etc/stay/stay.toml: conf.d/*.toml."},
		example: `["conf.d/*.toml"]`,
		set:     (*daemonDraft).setInclude,
	},
	{
		Key: Key{Path: "fork_rate", Type: "rate", Default: `"200/s"`,
			Doc: `Restarts after a crash over all services; "" or "0/s": no limit.`},
		example: `"200/s"`,
		set:     (*daemonDraft).setRate,
	},
	{
		Key:     Key{Path: "fork_rate.rate", Type: "rate", Default: `"200/s"`, Doc: "Restarts after a crash over all services."},
		example: `"200/s"`,
		set:     (*daemonDraft).setRate,
	},
	{
		Key:     Key{Path: "fork_rate.burst", Type: "integer", Default: "1000", Doc: "Restarts that may come at once."},
		example: "1000",
		set: func(d *daemonDraft, v slot) {
			assign(&d.ForkRate.Burst, func() (int, bool) { return v.integer(1, math.MaxInt32) })
		},
	},
	{
		Key: Key{Path: "kill_brake", Type: "rate",
			Doc: `Kills for hangs over all services, by the minute; "off": no limit. Default: 5, or a tenth of the instances if that is more.`},
		example: `"5/m"`,
		set:     (*daemonDraft).setKillBrake,
	},
	{
		Key: Key{Path: "old_tables", Type: "list of tables",
			Doc: "System V heartbeat tables of programs that know nothing of stay."},
		example: "[{ shm = 0x5095 }]",
		set:     (*daemonDraft).setOldTables,
	},
	laterDaemonKey("pid_file", "A file with the number of the daemon's process."),
	laterDaemonKey("syslog", "Send the daemon's own log to syslog."),
	laterDaemonKey("control_group", "The group that may use the control socket."),
	laterDaemonKey("control_grants", "What that group may do."),
}

// daemonTree is daemonKeys arranged by path.
var daemonTree = grow(daemonKeys)

func laterDaemonKey(name, doc string) daemonKey {
	return daemonKey{Key: Key{Path: name, Doc: doc, Later: true}}
}

// dirKey is a directory; "" is the default.
func dirKey(name, doc, example string, at func(*Daemon) *string) daemonKey {
	return daemonKey{Key: Key{Path: name, Type: "path", Doc: doc}, example: example,
		set: func(d *daemonDraft, v slot) {
			if v.node.kind != stringKind || v.node.text != "" {
				assign(at(d.Daemon), v.path)
			}
		}}
}

func (d *daemonDraft) setRate(v slot) { assign(&d.ForkRate.PerSecond, v.perSecond) }

func (d *daemonDraft) setInclude(v slot) {
	patterns, ok := v.texts()
	if !ok {
		return
	}
	d.include = []fileRef{}
	for i, p := range patterns {
		item := v.node.items[i]
		if !path.IsAbs(p) {
			p = path.Join(path.Dir(item.at.doc.file), p)
		}
		d.include = append(d.include, fileRef{path: p, at: item.at})
	}
}

// included returns the files that the patterns name, each once, in the order of patterns and names.
func (l *loader) included(patterns []fileRef) []fileRef {
	seen := []string{l.config.File}
	var files []fileRef
	for _, in := range patterns {
		found, err := l.out.Glob(in.path)
		if err != nil {
			l.errs.add(in.at, "", "include %q: %v", in.path, err)
			continue
		}
		if len(found) == 0 && !strings.ContainsAny(in.path, `*?[\`) {
			l.errs.add(in.at, "", "include %q: no such file", in.path)
			l.broken = true
		}
		for _, file := range slices.Sorted(slices.Values(found)) {
			if !utf8.ValidString(file) {
				l.errs.add(in.at, "rename it", "include %q: the name is not UTF-8", file)
			} else if !slices.Contains(seen, file) {
				seen = append(seen, file)
				files = append(files, fileRef{path: file, at: in.at})
			}
		}
	}
	return files
}
