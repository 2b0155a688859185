package engine

import (
	"context"
	"io"
	"strings"
	"sync"

	"example.com/stay/internal/capture"
	"example.com/stay/internal/spec"
	"example.com/stay/internal/syslog"
)

// This file: output that goes to the system's log, or to standard output in a container, besides its file. A relay reads the
// files as any follower does, at the pace of who takes the lines: a slow one costs no memory and stops no service. Lines
// that are rotated away before they could be sent are told to be missing. Lines that are written while no engine is there
// are in the files only.

// relays are those that run.
type relays struct {
	syslog bool
	pids   sync.Map // of main processes, by the name of their instance
}

// relayOutput begins the relays that are wanted and do not run yet. At the start of an engine it comes before the streams.
func (e *Engine) relayOutput(starting bool) {
	wanted := func(sp *spec.Service) bool { return sp.Log.Syslog }
	if starting && e.o.Stdout != nil {
		go e.relay(true, func(*spec.Service) bool { return true }, toStdout(e.o.Stdout))
	}
	if e.relays.syslog {
		return
	}
	for _, sp := range e.cfg.Services {
		if wanted(sp) {
			e.relays.syslog = true
			go e.relay(starting, wanted, e.toSyslog())
			return
		}
	}
}

// relay emits each new line of the services that want it, until the engine ends or emit fails. An engine that is starting
// answers nobody: there is nothing to follow before its first stream, which asks again.
func (e *Engine) relay(starting bool, want func(*spec.Service) bool, emit func(capture.Line) error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var names []string
	err := e.store.Follow(ctx, func() []string {
		if starting {
			starting = false
			return nil
		}
		_ = e.do(ctx, func() {
			names = nil
			for _, in := range e.insts {
				if want(in.svc.spec) {
					names = append(names, in.name)
					e.relays.pids.Store(in.name, in.u.Pid)
				}
			}
		})
		return names
	}, capture.Query{}, emit)
	if err != nil {
		e.log.Warn("output is relayed no more", "error", err)
	}
}

// toStdout writes lines as "web.2 | text".
func toStdout(w io.Writer) func(capture.Line) error {
	return func(l capture.Line) error {
		_, err := io.WriteString(w, l.Name+" | "+l.Text+"\n")
		return err
	}
}

// toSyslog sends lines as messages of the daemon facility, the instance as their application.
func (e *Engine) toSyslog() func(capture.Line) error {
	s := syslog.New(syslog.Options{Path: e.o.Syslog, Report: func(problem error) {
		if problem != nil {
			e.log.Warn("syslog cannot be reached, lines wait in their files", "error", problem)
			return
		}
		e.log.Info("syslog can be reached again")
	}})
	return func(l capture.Line) error {
		m := syslog.Message{Time: l.Time, Severity: syslog.Info, App: l.Name, Text: l.Text}
		if name, stderr := strings.CutSuffix(l.Name, errSuffix); stderr {
			m.App, m.Severity = name, syslog.Error
		}
		if pid, ok := e.relays.pids.Load(m.App); ok {
			m.Pid = pid.(int)
		}
		return s.Send(context.Background(), m)
	}
}

// errSuffix ends the name of the log of stderr, where it has one of its own.
const errSuffix = ".err"
