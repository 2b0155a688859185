package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// programs returns a directory with stay, stayd and the programs of the demo.
func programs(t *testing.T) string {
	t.Helper()
	if given := os.Getenv("STAY_TEST_BINARIES"); given != "" {
		return given // for a user who cannot build
	}
	dir := t.TempDir()
	for folder, what := range map[string]string{".": "./...", "../..": "./cmd/..."} {
		build := exec.Command("go", "build", "-C", folder, "-o", dir+"/", what)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s in %s: %v\n%s", what, folder, err, out)
		}
	}
	return dir
}

// runDemo runs the demo with a temporary directory of its own, and fails the test if anything of it is left there or
// among the processes.
func runDemo(t *testing.T, during func(demo *os.Process, tmp string)) (output string, err error) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "demo-") // a short name: it has a unix socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(programs(t), "neverstop"))
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "STAY_SOCKET=/nowhere/stay.sock")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during(cmd.Process, tmp)
	}
	err = cmd.Wait()
	if files, _ := os.ReadDir(tmp); len(files) > 0 {
		t.Errorf("files are left: %v", files)
	}
	if pids := left(tmp); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
	return out.String(), err
}

func TestDemo(t *testing.T) {
	out, err := runDemo(t, nil)
	if err != nil {
		t.Fatalf("the demo: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	last := lines[len(lines)-1]
	closing := regexp.MustCompile(`^The client: (\d+) requests, (\d+) answered, .*; the slowest took .*\. Nothing is left running\.$`)
	m := closing.FindStringSubmatch(last)
	if m == nil {
		t.Fatalf("the last line is %q\n%s", last, out)
	}
	if m[1] != m[2] || len(m[1]) < 3 {
		t.Errorf("%s requests, %s answered\n%s", m[1], m[2], out)
	}
	for _, want := range []string{"$ stay up -d", "$ stay down", "\n1. ", "\n2. kill -9 ", "\n3. kill -9 ", "\n4. kill -9 "} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "$ stay status"); n != 5 {
		t.Errorf("the table is shown %d times, not 5", n)
	}
}

// TestInterruptedDemo ends the demo as soon as its daemon has processes.
func TestInterruptedDemo(t *testing.T) {
	out, err := runDemo(t, func(demo *os.Process, tmp string) {
		deadline := time.Now().Add(time.Minute)
		for len(left(tmp+"/neverstop-")) < 4 && time.Now().Before(deadline) {
			<-time.After(5 * time.Millisecond)
		}
		_ = demo.Signal(os.Interrupt)
	})
	if err == nil {
		t.Errorf("an interrupted demo says that all is well:\n%s", out)
	}
	if strings.Contains(out, "The client:") {
		t.Errorf("an interrupted demo has a result:\n%s", out)
	}
}
