package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A house is a directory with a configuration, and the command stay for the daemon that lives in it.
type house struct {
	dir     string
	bin     string // where stay, stayd and the programs are
	address string // of the HTTP server
}

// An instance is what the demo reads of `stay status --json`.
type instance struct {
	Name       string `json:"name"`
	State      string `json:"state"`
	Pid        int    `json:"pid"`
	Restarts   int    `json:"restarts"`
	Generation int    `json:"generation"`
}

// A daemon is what the demo reads of `stay version --json`.
type daemon struct {
	KeeperPid int `json:"keeper_pid"`
	EnginePid int `json:"engine_pid"`
}

// command is stay with args. It is in a process group of its own, so that a Ctrl-C is the demo's alone to act on, and is
// never cut short: a daemon that is half started would not be found by the `stay down` that follows.
func (h *house) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(h.bin, "stay"), args...)
	c.Dir = h.dir
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "STAY_") { // the demo may itself be a service
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, "NEVERSTOP_ADDRESS="+h.address)
	return c
}

// show runs stay as one would type it, and shows command and output.
func (h *house) show(args ...string) error {
	fmt.Printf("\n    $ stay %s\n", strings.Join(args, " "))
	out, err := h.command(args...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		fmt.Print("    ", line)
	}
	if err != nil {
		return fmt.Errorf("stay %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// ask runs stay with --json and reads the answer into v.
func (h *house) ask(v any, args ...string) error {
	out, err := h.command(append(args, "--json")...).Output()
	if err != nil {
		return fmt.Errorf("stay %s: %w", strings.Join(args, " "), err)
	}
	return json.Unmarshal(out, v)
}

// status returns the instances by name.
func (h *house) status() (map[string]instance, error) {
	var list []instance
	if err := h.ask(&list, "status"); err != nil {
		return nil, err
	}
	all := map[string]instance{}
	for _, i := range list {
		all[i.Name] = i
	}
	return all, nil
}

func (h *house) version() (daemon, error) {
	var v struct{ Daemon daemon }
	err := h.ask(&v, "version")
	return v.Daemon, err
}

// until asks until is holds.
func (h *house) until(ctx context.Context, is func(map[string]instance) bool) (map[string]instance, error) {
	for {
		all, err := h.status()
		if err != nil || is(all) {
			return all, err
		}
		if err := nap(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// nap waits for d. It fails when ctx ends, with the cause.
func nap(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
