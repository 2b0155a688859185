package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == actorArg {
		os.Exit(actorMain(os.Args[2:]))
	}
	if code, done := goInside(); done {
		os.Exit(code)
	}
	os.Exit(chaosMain(os.Args[1:]))
}

// chaosMain is the program itself: 0 if nothing was violated, 1 if something was, 2 if it could not run.
func chaosMain(args []string) int {
	var o options
	f := flag.NewFlagSet("chaos", flag.ExitOnError)
	f.DurationVar(&o.length, "for", time.Minute, "how long things are broken; what comes before and after is not counted")
	f.Uint64Var(&o.seed, "seed", 0, "what is broken, in which order; 0: a new one")
	f.StringVar(&o.binaries, "bin", "", "the directory of stay and stayd; default: they are built")
	f.StringVar(&o.only, "only", "", "inject nothing but this (a glob over the names of injections)")
	f.BoolVar(&o.keep, "keep", false, "keep the directory")
	_ = f.Parse(args)
	if o.seed == 0 {
		o.seed = 1 + rand.Uint64N(1_000_000)
	}
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return refuse(err)
	}
	o.dir = dir
	if o.binaries == "" {
		if o.binaries, err = build(dir); err != nil {
			return refuse(err)
		}
	}
	o.say = func(format string, a ...any) { fmt.Printf(format+"\n", a...) }
	bad := play(o)
	for _, v := range bad {
		o.say("VIOLATION: %s", v)
	}
	if len(bad) > 0 || o.keep {
		o.say("kept: %s", dir)
	} else {
		_ = os.RemoveAll(dir)
	}
	if len(bad) > 0 {
		o.say("again: make chaos SEED=%d", o.seed)
		return 1
	}
	return 0
}

// build makes both programs of this checkout and returns where they are.
func build(dir string) (string, error) {
	bin := filepath.Join(dir, "bin")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", bin+"/", "example.com/stay/cmd/...")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build stay: %w\n  run it in the checkout, or name a directory with --bin", err)
	}
	return bin, nil
}

func refuse(err error) int {
	fmt.Fprintln(os.Stderr, "chaos:", err)
	return 2
}
