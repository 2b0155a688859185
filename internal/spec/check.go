package spec

import (
	"fmt"
	"strings"
	"time"
)

// maxChecks is the number of checks that a service can have.
const maxChecks = 32

// A checkDraft is a check while it is read.
type checkDraft struct {
	Check
	kinds []string // which of http, tcp and exec were written, even if wrong
}

func newCheckDraft() *checkDraft {
	return &checkDraft{Check: Check{Every: 10 * time.Second, Timeout: 2 * time.Second, Failures: 3, Then: ThenRestart}}
}

// checkKey is the key that is a list of checks.
var checkKey = serviceKey{
	Key: Key{Path: "check", Type: "list of tables",
		Doc: "Questions that are put to it from when it is ready: each table has one of http, tcp and exec."},
	example: `[{ http = "http://127.0.0.1:8080/healthz" }]`,
	also:    []string{"healthcheck", "health_check", "liveness", "liveness_probe", "probe", "checks"},
	set:     (*draft).setChecks,
	get:     checksOf,
}

// checkKeys declares the keys of one check.
var checkKeys = []key[*checkDraft]{
	{
		Key: Key{Path: "check[].http", Type: "string",
			Doc: "A URL: an answer with a status from 200 to 399 is good. Redirections are not followed."},
		example: `"http://127.0.0.1:8080/healthz"`,
		also:    []string{"url"},
		set: func(d *checkDraft, v slot) {
			d.kinds = append(d.kinds, "http")
			assign(&d.HTTP, func() (string, bool) { return v.address(checkURL) })
		},
	},
	{
		Key:     Key{Path: "check[].tcp", Type: "string", Doc: "HOST:PORT: a connection is good."},
		example: `"127.0.0.1:5432"`,
		also:    []string{"port", "address"},
		set: func(d *checkDraft, v slot) {
			d.kinds = append(d.kinds, "tcp")
			assign(&d.TCP, func() (string, bool) { return v.address(checkHostPort) })
		},
	},
	{
		Key: Key{Path: "check[].exec", Type: "string or a list of strings",
			Doc: "A command, run as the service's user with its directory and environment: exit code 0 is good."},
		example: `"pg_isready -q"`,
		also:    []string{"command", "cmd", "test"},
		set:     (*checkDraft).setExec,
	},
	{
		Key:     Key{Path: "check[].every", Type: "duration", Default: `"10s"`, Doc: "From one answer to the next question, 10ms at least."},
		example: `"10s"`,
		also:    []string{"interval", "period"},
		set: func(d *checkDraft, v slot) {
			assign(&d.Every, func() (time.Duration, bool) { return v.span(leastSpan) })
		},
	},
	{
		Key:     Key{Path: "check[].timeout", Type: "duration", Default: `"2s"`, Doc: "No answer by then is a bad one; 1ms at least."},
		example: `"2s"`,
		set: func(d *checkDraft, v slot) {
			assign(&d.Timeout, func() (time.Duration, bool) { return v.span(time.Millisecond) })
		},
	},
	{
		Key:     Key{Path: "check[].failures", Type: "integer", Default: "3", Doc: "How many bad answers in a row are too many."},
		example: "3",
		also:    []string{"retries", "threshold", "failure_threshold"},
		set:     func(d *checkDraft, v slot) { assign(&d.Failures, func() (int, bool) { return v.integer(1, 1e6) }) },
	},
	{
		Key: Key{Path: "check[].then", Type: `"restart" or "mark"`, Default: `"restart"`,
			Doc: "What is done about too many: the service is restarted, or the status says so and nothing else."},
		example: `"mark"`,
		also:    []string{"action", "on_failure"},
		set: func(d *checkDraft, v slot) {
			assign(&d.Then, func() (CheckThen, bool) { return choice(v, ThenRestart, ThenMark) })
		},
	},
}

// checkTree is checkKeys arranged by path: what may stand in one table of the list.
var checkTree = grow(checkKeys).kids["check[]"]

func (d *draft) setChecks(v slot) {
	var list []Check
	v.tables(maxChecks, func(item slot) {
		c := newCheckDraft()
		checkTree.read(v.problems, checkTree, item.node, c)
		switch len(c.kinds) {
		case 1:
		case 0:
			item.complainHint(`add http = "http://127.0.0.1:8080/healthz"`, "one of http, tcp and exec is needed")
		default:
			item.complainHint("make a check of each", "%s exclude each other", strings.Join(c.kinds, " and "))
		}
		list = append(list, c.Check)
	})
	d.Checks = list
}

// setExec reads a command, which is split like that of a service.
func (d *checkDraft) setExec(v slot) {
	d.kinds = append(d.kinds, "exec")
	if v.node.kind != stringKind && v.node.kind != listKind {
		v.wrong()
		return
	}
	d.Exec = v.command(`write ["sh", "-c", "…"] for a shell, or put it in quotes`)
}

// tables reads a list of at most max tables.
func (v slot) tables(most int, read func(slot)) {
	if v.node.kind != listKind {
		v.wrong()
		return
	}
	if n := len(v.node.items); n > most {
		v.complainHint(fmt.Sprintf("take out %d", n-most), "%d of them, allowed are %d", n, most)
		return
	}
	for _, item := range v.node.items {
		e := v
		e.node = item
		if item.kind != tableKind {
			e.Type = "table"
			e.wrong()
			continue
		}
		read(e)
	}
}

// Name returns what the check is called in messages, on one short line: what kind it is and whom it asks.
func (c *Check) Name() string {
	switch {
	case c.HTTP != "":
		return shorten(c.HTTP)
	case c.TCP != "":
		return "tcp " + shorten(c.TCP)
	}
	return "exec " + shorten(strings.Join(strings.FieldsFunc(strings.Join(c.Exec, " "), isBlank), " "))
}

// checksOf returns the checks as tables, each with what was asked for and what is by default.
func checksOf(s *Service) any {
	if len(s.Checks) == 0 {
		return nil
	}
	list := make([]any, len(s.Checks))
	for i, c := range s.Checks {
		var t table
		switch {
		case c.HTTP != "":
			t = table{{"http", c.HTTP}}
		case c.TCP != "":
			t = table{{"tcp", c.TCP}}
		default:
			t = table{{"exec", c.Exec}}
		}
		list[i] = append(t, pair{"every", formatDuration(c.Every)}, pair{"timeout", formatDuration(c.Timeout)},
			pair{"failures", c.Failures}, pair{"then", string(c.Then)})
	}
	return list
}
