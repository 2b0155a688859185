// Package clients tests the heartbeat writers for other languages: each as a program of its own language that does what a
// script says (testdata/driver.*), against a page that is made and read here by the numbers of the contract
// (docs/reference/pulse-page.md) and by nothing of stay's code.
package clients

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// scratch is where programs are built.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "stay-clients-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}

// A language is one client library and its driver.
type language struct {
	name    string
	first   int  // the slot that the first claim on an empty page of 31 gets
	forks   bool // without exec
	threads bool // many in one process, without more ado
	command func() ([]string, error)
}

var languages = []*language{
	{name: "c", first: 1, forks: true, threads: true, command: sync.OnceValues(func() ([]string, error) {
		return compiled("driver-c", "gcc", "-std=c11", "-O2", "-pthread", "testdata/driver.c")
	})},
	{name: "c++", first: 1, forks: true, threads: true, command: sync.OnceValues(func() ([]string, error) {
		return compiled("driver-c++", "g++", "-std=c++17", "-O2", "-pthread", "-x", "c++", "testdata/driver.c")
	})},
	{name: "c with sanitizers", first: 1, forks: true, threads: true, command: sync.OnceValues(func() ([]string, error) {
		return compiled("driver-san", "gcc", "-std=gnu11", "-g", "-pthread", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "testdata/driver.c")
	})},
	{name: "python", first: 30, forks: true, threads: true, command: sync.OnceValues(func() ([]string, error) {
		return interpreted("python3", "-B", "-W", "error::ResourceWarning", "testdata/driver.py")
	})},
	{name: "node", first: 0, command: sync.OnceValues(func() ([]string, error) {
		return interpreted("node", "testdata/driver.js")
	})},
}

// strict are the warnings that the header has to do without.
var strict = []string{"-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-Ic"}

// missing is an error that skips a test: a program is not installed.
type missing struct{ error }

// compiled builds a program and returns its path as a command.
func compiled(name, compiler string, args ...string) ([]string, error) {
	if _, err := exec.LookPath(compiler); err != nil {
		return nil, missing{err}
	}
	out := filepath.Join(scratch, name)
	all := append(append([]string{}, strict...), "-o", out)
	if text, err := exec.Command(compiler, append(all, args...)...).CombinedOutput(); err != nil {
		if strings.Contains(string(text), "cannot find -lasan") || strings.Contains(string(text), "cannot find -lubsan") {
			return nil, missing{errors.New("the compiler has no sanitizers")}
		}
		return nil, fmt.Errorf("%s %v: %w\n%s", compiler, args, err, text)
	}
	return []string{out}, nil
}

func interpreted(program string, args ...string) ([]string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, missing{err}
	}
	return append([]string{path}, args...), nil
}

// need is a language's command; without its compiler or interpreter the test is skipped.
func need(t testing.TB, command func() ([]string, error)) []string {
	t.Helper()
	argv, err := command()
	if errors.As(err, &missing{}) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return argv
}

// each runs a test for each language.
func each(t *testing.T, test func(t *testing.T, l *language)) {
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) { test(t, l) })
	}
}

// environment is what a program of a client needs; place is what STAY_PULSE says, - leaves it out.
func environment(place string) []string {
	here, err := filepath.Abs(".")
	if err != nil {
		panic(err)
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + scratch, "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"PYTHONPATH=" + filepath.Join(here, "python"), "STAY_TEST_CLIENT=" + filepath.Join(here, "node", "stay-pulse.js"),
	}
	if place != "-" {
		env = append(env, "STAY_PULSE="+place)
	}
	return env
}

// command is a program in the environment of a service whose STAY_PULSE is place.
func command(argv []string, place string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environment(place)
	return cmd
}

// A driver is a running program that does what it is told.
type driver struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *os.File
	lines *bufio.Reader
}

// drive starts a language's driver. files become its descriptors 3 and up.
func drive(t testing.TB, l *language, place string, files ...*os.File) *driver {
	t.Helper()
	argv := need(t, l.command)
	return run(t, argv, place, files...)
}

// run starts a program, which ends with the test.
func run(t testing.TB, argv []string, place string, files ...*os.File) *driver {
	t.Helper()
	cmd := command(argv, place)
	cmd.ExtraFiles = files
	var complaints strings.Builder
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill() // it may have ended long ago
		cmd.Wait()
		if complaints.Len() > 0 {
			t.Errorf("%s complains: %s", argv, complaints.String())
		}
	})
	pipe := out.(*os.File)
	return &driver{t: t, cmd: cmd, in: in, out: pipe, lines: bufio.NewReader(pipe)}
}

// line reads one line.
func (d *driver) line() string {
	d.t.Helper()
	if err := d.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		d.t.Fatal(err)
	}
	text, err := d.lines.ReadString('\n')
	if err != nil {
		d.t.Fatalf("read what %s says: %v, after %q", d.cmd.Args, err, text)
	}
	return strings.TrimSuffix(text, "\n")
}

// say gives an order without waiting for the answer.
func (d *driver) say(format string, args ...any) {
	d.t.Helper()
	if _, err := fmt.Fprintf(d.in, format+"\n", args...); err != nil {
		d.t.Fatal(err)
	}
}

// ask gives an order and returns the answer.
func (d *driver) ask(format string, args ...any) string {
	d.t.Helper()
	d.say(format, args...)
	return d.line()
}

// do gives an order that must succeed, and returns the number that was answered, 0 if there was none.
func (d *driver) do(format string, args ...any) int {
	d.t.Helper()
	answer := d.ask(format, args...)
	var number int
	if n, _ := fmt.Sscanf(answer, "ok %d", &number); n == 0 && answer != "ok" {
		d.t.Fatalf("%s: %q", fmt.Sprintf(format, args...), answer)
	}
	return number
}

// end lets the driver come to its end, and sees to it that it is a good one.
func (d *driver) end() {
	d.t.Helper()
	d.in.Close()
	if rest, err := io.ReadAll(d.lines); err != nil || len(rest) > 0 {
		d.t.Errorf("at the end: %q, %v", rest, err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("%s: %v", d.cmd.Args, err)
	}
}
