package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHeader: the header compiles without a warning as C and C++ of all standards, and in any number of files of a program.
func TestHeader(t *testing.T) {
	const body = `#include "stay_pulse.h"
int FILE_(void);
int FILE_(void)
{
	stay_pulse *p = stay_pulse_start("x", 0);
	stay_pulse_beat(p); stay_pulse_progress(p, 1); stay_pulse_note(p, NULL); stay_pulse_idle(p); stay_pulse_busy(p);
	stay_pulse_pause(p); stay_pulse_resume(p); stay_pulse_extend(p, 1); stay_pulse_close(p); stay_pulse_close(stay_pulse_start_task("", 1));
	return stay_pulse_why()[0];
}
`
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.c"), []byte("#define FILE_ a\n"+body))
	write(t, filepath.Join(dir, "b.c"), []byte("#define FILE_ b\n"+body+"int a(void);\nint main(void) { return a() == b() ? 0 : 1; }\n"))
	tests := []struct {
		compiler string
		language string
		stds     []string
	}{
		{"gcc", "c", []string{"c11", "gnu11", "c17", "c2x"}},
		{"clang", "c", []string{"c11", "gnu11", "c17"}},
		{"g++", "c++", []string{"c++11", "c++17", "gnu++17", "c++20"}},
		{"clang++", "c++", []string{"c++11", "c++17", "c++20"}},
	}
	for _, test := range tests {
		for _, std := range test.stds {
			t.Run(test.compiler+" "+std, func(t *testing.T) {
				if _, err := exec.LookPath(test.compiler); err != nil {
					t.Skip(err)
				}
				out := filepath.Join(t.TempDir(), "program")
				args := append(append([]string{}, strict...), "-std="+std, "-O1", "-o", out, "-x", test.language, filepath.Join(dir, "a.c"), filepath.Join(dir, "b.c"))
				if text, err := exec.Command(test.compiler, args...).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				if text, err := command([]string{out}, "-").CombinedOutput(); err != nil {
					t.Errorf("%v %s", err, text)
				}
			})
		}
	}
}

// TestHeaderLate: what a strict C program has to do about the order of headers is said by the compiler.
func TestHeaderLate(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "late.c")
	write(t, file, []byte("#include <stdio.h>\n#include <sys/mman.h>\n#include \"stay_pulse.h\"\n"))
	text, err := exec.Command("gcc", "-std=c11", "-Ic", "-fsyntax-only", file).CombinedOutput()
	if err == nil || !strings.Contains(string(text), "include it before the headers of the system, or compile with") {
		t.Errorf("strict and late: %v %s", err, text)
	}
	if text, err := exec.Command("gcc", "-std=gnu11", "-Ic", "-fsyntax-only", file).CombinedOutput(); err != nil {
		t.Errorf("late, but not strict: %v %s", err, text)
	}
}

// TestTypes: the declarations of the Node.js module name what there is.
func TestTypes(t *testing.T) {
	types, err := os.ReadFile("node/stay-pulse.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("node/stay-pulse.js")
	if err != nil {
		t.Fatal(err)
	}
	methods := 0
	for line := range strings.Lines(string(types)) {
		name, _, ok := strings.Cut(strings.TrimPrefix(line, "  "), "(")
		if !ok || strings.ContainsAny(name, " */") || name == "constructor" {
			continue
		}
		methods++
		if !strings.Contains(string(code), "\n  "+name+"(") {
			t.Errorf("there is no method %s", name)
		}
	}
	if methods != 9 {
		t.Errorf("%d methods are declared", methods)
	}
}
