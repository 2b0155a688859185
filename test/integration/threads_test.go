package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/explain"
)

// TestThreadOfSixteenIsNamed: of a program with sixteen threads one hangs in a lock, in C and in Python; the explanation
// names its pulse, what it was at, and where its thread was blocked.
func TestThreadOfSixteenIsNamed(t *testing.T) {
	for name, command := range map[string]func(t *testing.T) []string{"c": threadsInC, "python": threadsInPython} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words := strings.Join(command(t), " ") + " --threads 16 --hang 5 --hang-after 0.5"
			d := start(t, fmt.Sprintf("[service.web]\ncommand = %q\npulse = \"1s\"\nrestart = { when = \"never\" }\n", words))
			d.running("web", 0)
			a := d.incident("web", 0)
			v := a.Verdict
			if a.Cause != api.CauseHang || v == nil || v.Pulse != "worker-05" || v.Tid == 0 || v.Fine != 15 || v.Late != 1 || !strings.Contains(v.Note, "lock") {
				t.Fatalf("incident %+v, verdict %+v", a, v)
			}
			found := false
			for _, th := range a.Evidence.Processes[0].Threads {
				if th.Tid == v.Tid {
					found = th.Pulse == "worker-05" && strings.Contains(th.Wchan, "futex")
				}
			}
			if !found {
				t.Errorf("no thread %d blocked in a futex among %+v", v.Tid, a.Evidence.Processes[0].Threads)
			}
			said := strings.Join(explain.Sentences(&a, time.Now()), " ")
			for _, want := range []string{"`worker-05`", fmt.Sprint(v.Tid), "futex", "15 other pulses were fine", "lock"} {
				if !strings.Contains(said, want) {
					t.Errorf("%q does not say %q", said, want)
				}
			}
		})
	}
}

func threadsInC(t *testing.T) []string {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc")
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "threads")
	cmd := exec.Command(gcc, "-std=c11", "-O2", "-pthread", "-I../../clients/c", "-o", out, "../../clients/c/example_threads.c")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, text)
	}
	return []string{out}
}

func threadsInPython(t *testing.T) []string {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	if err := exec.Command(python, "-c", "import sys; sys.exit(sys.version_info < (3, 8))").Run(); err != nil {
		t.Skipf("needs python 3.8: %v", err)
	}
	dir := t.TempDir() // readable for whoever runs the test
	for _, f := range []string{"stay_pulse.py", "example_threads.py"} {
		data, err := os.ReadFile("../../clients/python/" + f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{python, filepath.Join(dir, "example_threads.py")}
}
