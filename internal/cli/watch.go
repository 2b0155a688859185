package cli

import (
	"context"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// watch shows what look returns again and again: in place on a terminal, else one below the other. It ends with q, Ctrl-C,
// or when nobody reads it any more.
func (a *app) watch(asJSON bool, look func(ctx context.Context, width int) (string, error)) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	a.notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() { <-signals; cancel() }()
	screen := isTerminal(a.ui.out) && !asJSON
	if screen && isTerminal(a.in) {
		if before, err := term.MakeRaw(int(a.in.Fd())); err == nil {
			defer func() { _ = term.Restore(int(a.in.Fd()), before) }()
			go a.awaitQuit(cancel)
		}
	}
	if screen {
		_ = a.ui.print("\x1b[2J")
	}
	again := time.NewTicker(a.tick)
	defer again.Stop()
	for {
		width, height := a.size()
		text, err := look(ctx, width)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if screen {
			text = inPlace(text, height)
		}
		if err := a.ui.print("%s", text); err != nil {
			return nil // whoever read it has gone
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// awaitQuit reads keys until one of them ends the watching. The terminal is raw: Ctrl-C is a key too.
func (a *app) awaitQuit(quit func()) {
	var key [1]byte
	for {
		n, err := a.in.Read(key[:])
		if err != nil || n == 1 && (key[0] == 'q' || key[0] == 'Q' || key[0] == 3) {
			quit()
			return
		}
	}
}

// size returns width and height of the terminal on standard output; 0, 0 if there is none.
func (a *app) size() (width, height int) {
	if f, ok := a.ui.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			return w, h
		}
	}
	return 0, 0
}

// inPlace makes a text one that is written over the one before: from the top, each line cleared to its end, then all
// below. Lines that do not fit are left out. A raw terminal needs the carriage returns.
func inPlace(text string, height int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if height > 1 && len(lines) > height-1 {
		lines = lines[:height-1]
	}
	return "\x1b[H" + strings.Join(lines, "\x1b[K\r\n") + "\x1b[K\r\n\x1b[J"
}
