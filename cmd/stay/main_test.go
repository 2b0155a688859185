package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain is also the command itself.
func TestMain(m *testing.M) {
	if os.Getenv("STAY_TEST_COMMAND") != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestExitCode: what the command line interface returns is the process's exit code.
func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		out  string
	}{
		{"--help", 0, "keeps services up"},
		{"nix", 2, "stay: unknown command \"nix\"\n"},
		{"--socket /there/is/none status", 3, "stay: no daemon on \"/there/is/none\""},
	} {
		cmd := exec.Command("/proc/self/exe", strings.Fields(c.args)...)
		cmd.Env = append(os.Environ(), "STAY_TEST_COMMAND=1")
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.out) {
			t.Errorf("stay %s: %d %s", c.args, code, out)
		}
	}
}
