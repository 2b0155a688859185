package main

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestTreeFindsGrandchildren looks at a shell with a child, which a line on its output says are there.
func TestTreeFindsGrandchildren(t *testing.T) {
	const mark = "NEVERSTOP_TEST_MARK=tree"
	cmd := exec.Command("/bin/sh", "-c", "exec 3<&0; sh -c 'echo here; read x <&3' & wait")
	cmd.Env = append(os.Environ(), mark)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	shell := cmd.Process.Pid
	own := tree(processes(), os.Getpid())
	if !slices.Contains(own, shell) || len(tree(processes(), shell)) < 2 {
		t.Errorf("tree of this process: %v; of the shell %d: %v", own, shell, tree(processes(), shell))
	}
	if found := left(mark); !slices.Contains(found, shell) {
		t.Errorf("left finds %v, not %d", found, shell)
	}
	stdin.Close()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestTreeEndsInACircle(t *testing.T) {
	// A pid can be used again while /proc is read, so that two processes seem to be each other's parent.
	got := tree(map[int]int{2: 3, 3: 2, 4: 1}, 2)
	slices.Sort(got)
	if !slices.Equal(got, []int{2, 3}) {
		t.Errorf("the tree is %v", got)
	}
}
