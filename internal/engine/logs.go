package engine

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/capture"
	"example.com/stay/internal/keeper"
)

// Logs calls emit with the lines of the past that q chooses, then, with Follow, with each new one that fits.
func (e *Engine) Logs(ctx context.Context, q api.LogQuery, emit func(api.LogLine) error) error {
	chosen, err := query(q)
	if err != nil {
		return err
	}
	names, err := e.names(ctx, q.Targets)
	if err != nil {
		return err
	}
	line := func(l capture.Line) error {
		return emit(api.LogLine{Name: l.Name, Time: l.Time, Text: l.Text, Pos: l.Pos.String()})
	}
	if q.Follow {
		return e.store.Follow(ctx, func() []string {
			if now, err := e.names(ctx, q.Targets); err == nil {
				names = now
			}
			return names
		}, chosen, line)
	}
	return e.store.Past(ctx, names, chosen, line)
}

// Rotate begins a new file of each instance that targets name.
func (e *Engine) Rotate(ctx context.Context, targets []string) error {
	names, err := e.names(ctx, targets)
	if err != nil {
		return err
	}
	how := make(map[string]capture.Policy, len(names))
	if err := e.do(ctx, func() {
		for _, name := range names {
			if in := e.insts[name]; in != nil {
				how[name] = policy(in.svc.spec, in.number)
			}
		}
	}); err != nil {
		return err
	}
	for name, p := range how {
		if _, err := e.store.Rotate(name, p); err != nil {
			return refuse("internal", err.Error(), "")
		}
	}
	return nil
}

// query is a question of a client as the store has it.
func query(q api.LogQuery) (capture.Query, error) {
	c := capture.Query{N: q.N, Since: q.Since, Until: q.Until}
	var err error
	if q.Grep != "" {
		if c.Grep, err = regexp.Compile(q.Grep); err != nil {
			return c, refuse("bad-request", err.Error(), "the syntax is that of RE2: https://github.com/google/re2/wiki/Syntax")
		}
	}
	for name, text := range q.After {
		if c.After == nil {
			c.After = map[string]capture.Position{}
		}
		if c.After[name], err = capture.ParsePosition(text); err != nil {
			return c, refuse("bad-request", err.Error(), "")
		}
	}
	return c, nil
}

// names are the instances that targets name, each once.
func (e *Engine) names(ctx context.Context, targets []string) ([]string, error) {
	if len(targets) == 0 {
		targets = []string{"all"}
	}
	var names []string
	var refused error
	err := e.do(ctx, func() {
		seen := map[string]bool{}
		for _, t := range targets {
			list, err := e.resolve(t)
			if err != nil {
				refused = err
				return
			}
			for _, in := range list {
				if !seen[in.name] {
					seen[in.name] = true
					names = append(names, in.name)
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return names, refused
}

// readOut bounds how long a failure waits for the rest of what the process wrote: whoever inherited its pipe may keep it.
const readOut = 200 * time.Millisecond

// lastLines are the last lines of output of an instance, for a person who wants to know why it failed.
func (e *Engine) lastLines(ctx context.Context, name string, n int) []string {
	var rest <-chan struct{}
	_ = e.do(ctx, func() {
		if in := e.insts[name]; in != nil && in.streams[in.u.Last.Gen] != nil {
			rest = in.streams[in.u.Last.Gen].Done()
		}
	})
	if rest != nil {
		late := time.NewTimer(readOut)
		defer late.Stop()
		select {
		case <-rest:
		case <-late.C:
		}
	}
	lines, err := e.store.Tail(name, n)
	if err != nil {
		return nil
	}
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Text)
	}
	return texts
}

// fetchLegacy takes over what one engine leaves to the next of how far a store of logs has come, or makes it. nil: there is none,
// and an engine that is killed may write a chunk twice.
func (e *Engine) fetchLegacy(store string) []*os.File {
	name := func(i int) string { return fmt.Sprintf("%s.%d", store, i) }
	var files []*os.File
	for i := range capture.LegacyFiles {
		fd, err := e.fetch(name(i))
		if err != nil {
			break
		}
		files = append(files, os.NewFile(uintptr(fd), name(i)))
	}
	if len(files) < capture.LegacyFiles {
		var err error
		if files, err = e.newLegacy(files); err != nil {
			e.log.Error("logs are kept without marks", "error", err)
			return nil
		}
		for i, f := range files {
			if fd, err := fdOf(f); err == nil {
				e.link.send(&keeper.Message{Kind: keeper.Hold, Name: name(i)}, fd)
			}
		}
	}
	for i, f := range files {
		if fd, err := fdOf(f); err == nil {
			e.keepCopy(name(i), fd)
		}
	}
	return files
}

// newLegacy makes a legacy. Of one that has lost its pipes, because keeper and engine were killed, the first file still counts.
func (e *Engine) newLegacy(old []*os.File) ([]*os.File, error) {
	var marks *os.File
	if len(old) > 0 {
		for _, f := range old[1:] {
			f.Close()
		}
		marks = old[0]
	} else if fd, err := keeper.KeptFile(e.o.MemoryDir, nil); err == nil {
		marks = os.NewFile(uintptr(fd), "marks")
	}
	files, err := capture.NewLegacy(marks)
	if err != nil && marks != nil { // no room where it is: memory that has no name, then
		e.log.Warn("marks of logs will be lost if keeper and engine are killed together", "error", err)
		marks.Close()
		files, err = capture.NewLegacy(nil)
	}
	return files, err
}
