package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The functions here turn fields back into what the file writes, for `stay show`, for comparing and for hashing.

// literal writes v as TOML. Nil, a thing that is not set, is "". It knows the types that keys' get functions return.
func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return strconv.Quote(v)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []string:
		if v == nil {
			return ""
		}
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = strconv.Quote(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = literal(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case table:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = p.name + " = " + literal(p.value)
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	panic(fmt.Sprintf("internal error: literal of a %T", v))
}

// A table is what get returns for a table in a list: its keys in the order of the documentation.
type table []pair

type pair struct {
	name  string
	value any
}

// plain turns the tables in v into maps.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case table:
		m := map[string]any{}
		for _, p := range v {
			m[p.name] = plain(p.value)
		}
		return m
	}
	return v
}

func umaskOf(s *Service) any {
	if s.Umask < 0 {
		return nil
	}
	return fmt.Sprintf("%03o", s.Umask)
}

func readyOf(s *Service) any {
	switch s.Ready.When {
	case ReadyFD:
		return fmt.Sprintf("fd:%d", s.Ready.FD)
	case ReadyAfter:
		return "after:" + formatDuration(s.Ready.After)
	}
	return string(s.Ready.When)
}

func successOf(s *Service) any {
	list := make([]any, len(s.Success))
	for i, good := range s.Success {
		list[i] = good.Code
		if good.Signal != 0 {
			list[i] = good.Signal.String()
		}
	}
	return list
}

// rlimitOf returns the limit of that name, nil if it is not set.
func rlimitOf(s *Service, name, typ string) any {
	for _, l := range s.Limits.Rlimits {
		switch {
		case l.Name != name:
		case l.Value == Unlimited:
			return "unlimited"
		case typ == "duration":
			return formatSeconds(l.Value)
		case l.Value > math.MaxInt64: // no file can say this
			return strconv.FormatUint(l.Value, 10)
		case typ == "size":
			return formatSize(int64(l.Value))
		default:
			return int(l.Value)
		}
	}
	return nil
}

// formatSeconds writes a number of seconds as a duration.
func formatSeconds(n uint64) string {
	if n > math.MaxInt64/uint64(time.Second) {
		return strconv.FormatUint(n, 10) + "s"
	}
	return formatDuration(time.Duration(n) * time.Second)
}

// varsFrom returns the variables of one origin as NAME=VALUE.
func varsFrom(from Origin) func(*Service) any {
	return func(s *Service) any {
		var list []string
		for _, v := range s.Env {
			if v.From == from {
				list = append(list, v.Name+"="+v.Value)
			}
		}
		return list
	}
}

// Hidden stands in Settings for a value that is not shown.
const Hidden = "(hidden)"

// Settings returns what is in force, by key as the file writes it: tables are maps, keys that are not set are left out,
// and under "env" stands the whole environment, where values are Hidden unless they were inherited from the daemon.
func (s *Service) Settings() map[string]any {
	out := map[string]any{}
	keys := keysOf(s)
	for i := range keys {
		k := &keys[i]
		if k.get == nil || k.secret {
			continue
		}
		if v := k.get(s); literal(v) != "" {
			putPath(out, k.Path, plain(v))
		}
	}
	env := map[string]any{}
	for _, v := range s.Env {
		env[v.Name] = Hidden
		if v.From == Inherited {
			env[v.Name] = v.Value
		}
	}
	out["env"] = env
	return out
}

// putPath puts v into the tables that path goes through.
func putPath(in map[string]any, path string, v any) {
	table, name, nested := strings.Cut(path, ".")
	if !nested {
		in[path] = v
		return
	}
	if in[table] == nil {
		in[table] = map[string]any{}
	}
	putPath(in[table].(map[string]any), name, v)
}
