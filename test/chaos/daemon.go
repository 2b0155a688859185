package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/stay/client"
)

// A daemon is stayd in a directory of its own.
type daemon struct {
	dir, binaries string
	client        *client.Client
}

func newDaemon(dir, binaries string) *daemon {
	return &daemon{dir: dir, binaries: binaries, client: client.Dial(filepath.Join(dir, ".stay", "stay.sock"))}
}

// id is the daemon's short name, as stayd makes it of the runtime directory.
func (d *daemon) id() string {
	sum := sha256.Sum256([]byte(filepath.Join(d.dir, ".stay")))
	return hex.EncodeToString(sum[:6])
}

// up starts a keeper and returns when an engine answers.
func (d *daemon) up(ctx context.Context) error {
	var said bytes.Buffer
	cmd := exec.Command(filepath.Join(d.binaries, "stayd"), "keeper", "--file", filepath.Join(d.dir, "stay.toml"))
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		ask, cancel := context.WithTimeout(ctx, answerBound)
		_, err := d.client.Version(ask)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the keeper ended: %w: %s", err, said.String())
		case <-ctx.Done():
			return fmt.Errorf("no engine answers: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A process is one of the daemon's, as /proc shows it.
type process struct {
	pid     int
	comm    string
	state   byte
	mark    string // "NAME/GEN" of the tree it belongs to; "" for keeper and engine
	command string
}

// String is for reports.
func (p process) String() string {
	return fmt.Sprintf("%d %s %c %s %.120q", p.pid, p.comm, p.state, p.mark, p.command)
}

// processes are all that live, zombies left out: keeper and engine by their arguments, the rest by the mark of the daemon
// in their environment.
func (d *daemon) processes() []process {
	entries, _ := os.ReadDir("/proc")
	var list []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := d.process(pid); ok {
			list = append(list, p)
		}
	}
	return list
}

func (d *daemon) process(pid int) (p process, ok bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	env, _ := os.ReadFile(filepath.Join(dir, "environ"))
	args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	mark := "\x00STAY_TREE=" + d.id() + "/"
	p = process{pid: pid, command: strings.ReplaceAll(string(args), "\x00", " ")}
	if _, after, found := strings.Cut("\x00"+string(env), mark); found {
		p.mark, _, _ = strings.Cut(after, "\x00")
	} else if !strings.Contains(string(args), d.dir+"/.stay\x00") {
		return p, false
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return p, false
	}
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open || end+2 >= len(stat) {
		return p, false
	}
	p.comm, p.state = string(stat[open+1:end]), stat[end+2]
	return p, p.state != 'Z' && p.state != 'X'
}

// own returns the pids of the keepers and of the engines that live: more than one of a kind only for moments.
func (d *daemon) own() (keepers, engines []int) {
	for _, p := range d.processes() {
		switch {
		case p.mark != "":
		case p.comm == "stayd-keeper":
			keepers = append(keepers, p.pid)
		case p.comm == "stayd-engine":
			engines = append(engines, p.pid)
		}
	}
	return keepers, engines
}

// members are the processes of services.
func (d *daemon) members() []process {
	var list []process
	for _, p := range d.processes() {
		if p.mark != "" {
			list = append(list, p)
		}
	}
	return list
}

func (d *daemon) logDir() string { return filepath.Join(d.dir, ".stay", "log") }

// left is an error that names what of the daemon is still there after its end.
func (d *daemon) left() error {
	var errs []error
	for _, p := range d.processes() {
		errs = append(errs, fmt.Errorf("process left: %v", p))
	}
	for _, f := range []string{"stay.sock", "lock", "mem"} {
		if _, err := os.Lstat(filepath.Join(d.dir, ".stay", f)); err == nil {
			errs = append(errs, fmt.Errorf("%q is left", f))
		}
	}
	for _, pattern := range []string{"/dev/shm/stay-*-" + d.id(), "/sys/fs/cgroup/*/stay-" + d.id(), "/sys/fs/cgroup/stay-" + d.id()} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			errs = append(errs, fmt.Errorf("left: %v", found))
		}
	}
	return errors.Join(errs...)
}

// stay runs the command and returns its output and exit code.
func (d *daemon) stay(ctx context.Context, args ...string) (string, int) {
	cmd := exec.CommandContext(ctx, filepath.Join(d.binaries, "stay"), append([]string{"--socket", filepath.Join(d.dir, ".stay", "stay.sock")}, args...)...)
	cmd.Dir = d.dir
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return string(out), cmd.ProcessState.ExitCode()
}
