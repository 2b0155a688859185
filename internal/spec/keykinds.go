package spec

import (
	"fmt"
	"strings"
	"time"
)

// The functions here make the declarations of keys that differ only in name and field.

// assign puts what read returns into to, if it is right.
func assign[T any](to *T, read func() (T, bool)) {
	if v, ok := read(); ok {
		*to = v
	}
}

// unlessZero returns v for literal, nil for the zero value: not set.
func unlessZero[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

func laterKey(path, doc string) serviceKey {
	return serviceKey{Key: Key{Path: path, Doc: doc, Later: true}}
}

func durationKey(path, doc, example string, at func(*Service) *time.Duration) serviceKey {
	return serviceKey{Key: Key{Path: path, Type: "duration", Doc: doc}, example: example,
		set: func(d *draft, v slot) { assign(at(&d.Service), v.duration) },
		get: func(s *Service) any { return formatDuration(*at(s)) }}
}

func numberKey(path, doc string, lo, hi float64, example string, at func(*Service) *float64) serviceKey {
	return serviceKey{Key: Key{Path: path, Type: "number", Doc: doc}, example: example,
		set: func(d *draft, v slot) { assign(at(&d.Service), func() (float64, bool) { return v.number(lo, hi) }) },
		get: func(s *Service) any { return *at(s) }}
}

func integerKey(path, doc string, lo, hi int, example string, at func(*Service) *int) serviceKey {
	return serviceKey{Key: Key{Path: path, Type: "integer", Doc: doc}, example: example,
		set: func(d *draft, v slot) { assign(at(&d.Service), func() (int, bool) { return v.integer(lo, hi) }) },
		get: func(s *Service) any { return *at(s) }}
}

func accountKey(path, doc, example string, at func(*Service) *string) serviceKey {
	return serviceKey{Key: Key{Path: path, Type: "string", Doc: doc}, example: example, starts: true,
		set: func(d *draft, v slot) { assign(at(&d.Service), v.account) },
		get: func(s *Service) any { return unlessZero(*at(s)) }}
}

func choiceKey[T ~string](path, doc string, words []T, at func(*Service) *T) serviceKey {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", string(w))
	}
	last := len(quoted) - 1
	typ := strings.Join(quoted[:last], ", ") + " or " + quoted[last]
	return serviceKey{Key: Key{Path: path, Type: typ, Doc: doc}, example: quoted[0],
		set: func(d *draft, v slot) { assign(at(&d.Service), func() (T, bool) { return choice(v, words...) }) },
		get: func(s *Service) any { return string(*at(s)) }}
}

// namesKey is a list of other services. Names are looked up when all services are known.
func namesKey(path, doc, example string, at func(*Service) *[]string) serviceKey {
	return serviceKey{Key: Key{Path: path, Type: "list of strings", Doc: doc}, example: example,
		set: func(d *draft, v slot) { d.setNames(v, at(&d.Service)) },
		get: func(s *Service) any { return *at(s) }}
}

// rlimits are the limits of setrlimit(2) by their keys.
var rlimits = []struct {
	name, typ, example, doc, also string
}{
	{"address_space", "size", `"2GiB"`, "Virtual memory (RLIMIT_AS).", "as"},
	{"core", "size", `"0"`, "Core files; 0: none (RLIMIT_CORE).", ""},
	{"cpu_time", "duration", `"1h"`, "Processor time, in whole seconds (RLIMIT_CPU).", ""},
	{"data", "size", `"1GiB"`, "Data segment (RLIMIT_DATA).", ""},
	{"file_size", "size", `"1GB"`, "Files it writes (RLIMIT_FSIZE).", "fsize"},
	{"locked_memory", "size", `"64KiB"`, "Memory locked by mlock (RLIMIT_MEMLOCK).", "memlock"},
	{"message_queue", "size", `"800KiB"`, "POSIX message queues (RLIMIT_MSGQUEUE).", "msgqueue"},
	{"open_files", "count", "65536", "Open descriptors (RLIMIT_NOFILE).", "nofile"},
	{"pending_signals", "count", "1000", "Queued signals (RLIMIT_SIGPENDING).", "sigpending"},
	{"processes", "count", "500", "Processes and threads of its user (RLIMIT_NPROC).", "nproc"},
	{"real_time_priority", "count", "50", "Highest real-time priority (RLIMIT_RTPRIO).", "rtprio"},
	{"resident_set", "size", `"1GiB"`, "Resident memory; without effect on Linux since 2.4.30 (RLIMIT_RSS).", "rss"},
	{"stack", "size", `"8MiB"`, "Stack of the main thread (RLIMIT_STACK).", ""},
}

// limitKeys declares the keys below limits.
func limitKeys() []serviceKey {
	keys := []serviceKey{
		optionalKey("limits.nice", "Scheduling priority, -20 (first) to 19 (last).", -20, 19, "5",
			func(s *Service) **int { return &s.Limits.Nice }),
		optionalKey("limits.oom_score_adj", "Whom the kernel kills first when memory runs out, -1000 (never) to 1000.", -1000, 1000,
			"500", func(s *Service) **int { return &s.Limits.OOMScoreAdj }),
		laterKey("limits.memory", "Memory of all its processes."),
		laterKey("limits.cpu", "Processors it can use."),
		laterKey("limits.tasks", "Processes and threads it can have."),
	}
	for _, l := range rlimits {
		keys = append(keys, serviceKey{
			Key:     Key{Path: "limits." + l.name, Type: l.typ + ` or "unlimited"`, Doc: l.doc},
			example: l.example, also: []string{l.also}, starts: true,
			set: func(d *draft, v slot) {
				if n, ok := v.limit(l.typ); ok {
					d.setRlimit(l.name, n)
				}
			},
			get: func(s *Service) any { return rlimitOf(s, l.name, l.typ) },
		})
	}
	return keys
}

// optionalKey is an integer that may be unset, which is not the same as 0.
func optionalKey(path, doc string, lo, hi int, example string, at func(*Service) **int) serviceKey {
	return serviceKey{Key: Key{Path: path, Type: "integer", Doc: doc}, example: example, starts: true,
		set: func(d *draft, v slot) {
			if n, ok := v.integer(lo, hi); ok {
				*at(&d.Service) = &n
			}
		},
		get: func(s *Service) any {
			if n := *at(s); n != nil {
				return *n
			}
			return nil
		}}
}
