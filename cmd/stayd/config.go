package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/engine"
	"example.com/stay/internal/spec"
)

// source lets spec see the machine.
func source() spec.Source {
	return spec.Source{ReadFile: os.ReadFile, Glob: filepath.Glob, Environ: os.Environ(), CPUs: runtime.NumCPU(), Zone: zone}
}

// load reads a configuration and refuses circles in it.
func load(file string) (*spec.Config, spec.Errors) {
	cfg, errs := spec.Load(file, source())
	if len(errs) > 0 {
		return nil, errs
	}
	if errs := engine.Cycles(cfg); len(errs) > 0 {
		return nil, errs
	}
	return cfg, nil
}

// empty is the configuration of a daemon that only has transient services.
func empty(dir string) *spec.Config {
	file := filepath.Join(dir, "stay.toml") // need not exist
	cfg := &spec.Config{File: "", Daemon: spec.Dirs(file)}
	cfg.Daemon.ForkRate = spec.Rate{PerSecond: 200, Burst: 1000}
	return cfg
}

// findConfig returns the file that counts here: the one that was named, else the first that is there.
func findConfig(named string) (string, error) {
	if named != "" {
		return filepath.Abs(named)
	}
	for _, f := range []string{"stay.toml", "Procfile", "/etc/stay/stay.toml"} {
		abs, err := filepath.Abs(f)
		if err != nil {
			return "", err
		}
		err = trusted(abs)
		if err == nil {
			return abs, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", errors.New("no stay.toml and no Procfile here, and no /etc/stay/stay.toml")
}

// trusted says whether a file that was found, not named, may be believed: it is the caller's or root's, and nobody else
// can write it.
func trusted(file string) error {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: file, Err: err}
	}
	if int(st.Uid) != os.Geteuid() && st.Uid != 0 || st.Mode&0o002 != 0 {
		return fmt.Errorf("%q belongs to somebody else, or others can write it: name it with -f if you trust it", file)
	}
	return nil
}

// report is what `stayd check --json` prints.
type report struct {
	File       string        `json:"file"`
	RuntimeDir string        `json:"runtime_dir"`
	StateDir   string        `json:"state_dir"`
	LogDir     string        `json:"log_dir"`
	Socket     string        `json:"socket"`
	Services   []string      `json:"services"`
	Errors     []reportError `json:"errors"`
}

type reportError struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitzero"`
}

func checkMain(args []string) int {
	flags := flag.NewFlagSet("check", flag.ExitOnError)
	asJSON := flags.Bool("json", false, "print everything as one JSON object")
	named := flags.String("f", "", "the file")
	_ = flags.Parse(args)
	var r report
	file, err := findConfig(*named)
	if err != nil {
		r.Errors = []reportError{{Message: err.Error(), Hint: "write a stay.toml (see `stay up --help`), or name a file with -f"}}
	} else {
		r = check(file)
	}
	if *asJSON {
		_ = json.NewEncoder(os.Stdout).Encode(r)
	} else {
		for _, e := range r.Errors {
			fmt.Fprintln(os.Stderr, spec.Error{File: e.File, Line: e.Line, Column: e.Column, Message: e.Message, Hint: e.Hint}.Error())
		}
	}
	if len(r.Errors) > 0 {
		return 1
	}
	return 0
}

func check(file string) report {
	dirs := spec.Dirs(file)
	cfg, errs := load(file)
	if cfg != nil {
		dirs = cfg.Daemon
	}
	r := report{File: file, RuntimeDir: dirs.RuntimeDir, StateDir: dirs.StateDir, LogDir: dirs.LogDir,
		Socket: filepath.Join(dirs.RuntimeDir, socketName), Services: []string{}, Errors: []reportError{}}
	if cfg != nil {
		for _, s := range cfg.Services {
			r.Services = append(r.Services, s.Name)
		}
	}
	for _, e := range errs {
		r.Errors = append(r.Errors, reportError(e))
	}
	return r
}

// zone is a time zone by name; the machine's own for "".
func zone(name string) (*time.Location, error) {
	if name == "" {
		return time.Local, nil
	}
	return time.LoadLocation(name)
}
