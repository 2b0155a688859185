package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTime  = 30 * time.Second // for a daemon to say that it is up
	endTime    = 2 * time.Second  // for one that said why it cannot start, to end
	maxRefusal = 64 << 10         // bytes of what it says that are read
)

// findStayd returns the daemon's program: the one beside this program, else the one in PATH.
func findStayd() (string, error) {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(exe))
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, "stayd")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	path, err := exec.LookPath("stayd")
	if err != nil {
		return "", failed(`the program "stayd" is not beside stay and not in PATH`, "put stay and stayd into one directory")
	}
	return filepath.Abs(path)
}

// A report is what `stayd check --json` says of a configuration.
type report struct {
	File     string        `json:"file"` // "" if none was found
	LogDir   string        `json:"log_dir"`
	StateDir string        `json:"state_dir"`
	Socket   string        `json:"socket"`
	Services []string      `json:"services"`
	Errors   []configError `json:"errors"`
}

// A configError is one mistake in a configuration. Line and Column are 0 where there is no place.
type configError struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// String is FILE:LINE:COLUMN: message, which editors can jump to.
func (e configError) String() string {
	place := shortPath(e.File)
	if e.Line > 0 {
		place += fmt.Sprintf(":%d:%d", e.Line, e.Column)
	}
	if place == "" {
		return e.Message
	}
	return place + ": " + e.Message
}

// shortPath is a path as seen from the working directory, if it lies below.
func shortPath(path string) string {
	if dir, err := os.Getwd(); err == nil && path != "" {
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// inspect has stayd read a configuration: file, or the one that counts here for "". Mistakes in it are in the report.
func inspect(file string) (report, error) {
	var r report
	stayd, err := findStayd()
	if err != nil {
		return r, err
	}
	args := []string{"check", "--json"}
	if file != "" {
		args = append(args, "-f", file)
	}
	cmd := exec.Command(stayd, args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, fmt.Errorf("%q check: %w", stayd, err)
	}
	if jsonErr := json.Unmarshal(out.Bytes(), &r); jsonErr != nil {
		why := firstLine(complaint.String())
		if why == "" {
			why = jsonErr.Error()
		}
		return r, failed(fmt.Sprintf("%q check: %s", stayd, why), "are stay and stayd of the same version? stay version; stayd version")
	}
	if err != nil && len(r.Errors) == 0 {
		return r, fmt.Errorf("%q check: %w", stayd, err)
	}
	return r, nil
}

// startKeeper starts a daemon in a session of its own and returns when it is up, or why it is not. It says so itself, on
// its output: a refusal, or the end of it.
func startKeeper(ctx context.Context, args ...string) (warning string, err error) {
	stayd, err := findStayd()
	if err != nil {
		return "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd := exec.Command(stayd, append([]string{"keeper"}, args...)...)
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return "", fmt.Errorf("start %q: %w", stayd, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // it must not stay a zombie while `up` runs
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	said, err := io.ReadAll(io.LimitReader(r, maxRefusal))
	if err != nil {
		_ = cmd.Process.Kill() // it is ours, and nothing runs in it yet
		return "", fmt.Errorf("start the daemon: %w", ctx.Err())
	}
	return keeperSaid(string(said), exited)
}

// keeperSaid makes sense of what a starting daemon said before it closed its output: a refusal if it ends then.
func keeperSaid(said string, exited <-chan error) (warning string, err error) {
	said = strings.TrimSpace(said)
	if said == "" {
		return "", nil // it is up; if it is not, connecting will tell
	}
	limit := time.NewTimer(endTime)
	defer limit.Stop()
	select {
	case <-exited:
	case <-limit.C:
		return strings.TrimPrefix(said, "stay: "), nil
	}
	message, hint, _ := strings.Cut(said, "\n")
	var lines []string
	for l := range strings.Lines(hint) {
		lines = append(lines, strings.TrimSpace(l))
	}
	return "", failed(strings.TrimPrefix(message, "stay: "), strings.Join(lines, "\n"))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
