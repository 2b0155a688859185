package spec

import (
	"path"
	"strconv"
	"strings"
)

// logEnd is how the name of every log file ends, so that none is taken for an old one of another.
const logEnd = ".log"

// setLogFile reads a path whose last part is the name of a log file.
func (d *draft) setLogFile(v slot) {
	file, ok := v.path()
	if !ok {
		return
	}
	stem, isLog := strings.CutSuffix(path.Base(file), logEnd)
	switch {
	case !isLog:
		v.complain("%q does not end in %s", shorten(file), logEnd)
	case stem == "" || stem[0] == '.' || len(stem) > 180 || strings.Contains(file, "\n"):
		v.complain("%q is no name of a log file", shorten(path.Base(file)))
	default:
		d.Log.File = file
		d.logFile = &v
	}
}

// FileOf is the file of an instance, counted from 1; "" if it is in the log directory.
func (l *Log) FileOf(instance int) string {
	if l.File == "" || instance <= 1 {
		return l.File
	}
	return strings.TrimSuffix(l.File, logEnd) + "." + strconv.Itoa(instance) + logEnd
}

// checkLogFiles refuses files that two would write, and those among the logs of the log directory.
func (l *loader) checkLogFiles() {
	owners := map[string]string{}
	for _, d := range l.drafts {
		if d.logFile == nil {
			continue
		}
		d.logFile.problems = &l.errs // it may come from defaults, which are read for several
		if path.Dir(d.Log.File) == l.config.Daemon.LogDir {
			d.logFile.complainHint("leave the key out, or use another directory", "%q is in the log directory", shorten(d.Log.File))
			continue
		}
		// Instances can become more while the service runs, so all that end in a number are taken.
		owner := unnumbered(d.Log.File)
		if other, taken := owners[owner]; taken {
			d.logFile.complainHint("give each service a file of its own", "%q, or that of another instance, is written by %q", shorten(d.Log.File), other)
			continue
		}
		owners[owner] = d.Name
	}
}

// unnumbered takes the number of an instance off a file.
func unnumbered(file string) string {
	stem := strings.TrimSuffix(file, logEnd)
	if i := strings.LastIndexByte(stem, '.'); i >= 0 && stem[i+1:] != "" && strings.Trim(stem[i+1:], "0123456789") == "" {
		stem = stem[:i]
	}
	return stem + logEnd
}
