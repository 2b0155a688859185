package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes the test binary a stayd when it is called by that name, which is what keeper and engine do when they
// start one another, and a service when its first argument says so.
func TestMain(m *testing.M) {
	if os.Args[0] == "stayd" && len(os.Args) > 1 {
		if file := os.Getenv(faultsVariable); file != "" && os.Args[1] == "engine" {
			fault = faultsFrom(file)
			if at := os.Getenv(diesVariable); at != "" {
				fault = diesAt(at)
			}
		}
		limits = testLimits()
		misbehave(os.Args[1], os.Args[2:])
		os.Exit(run(os.Args[1], os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == beacon {
		os.Exit(beaconMain())
	}
	os.Exit(m.Run())
}

// beacon is a service that says READY=1 on its notify socket and lives until SIGTERM. With the argument "background" it first
// makes a child that is all this, and ends, as daemons do that put themselves into the background. With "store" it first
// stores a descriptor and dies, and only then, if it has got that back, is all this.
const beacon = "a-beacon-service"

func beaconMain() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	var err error
	ends, code := false, 0
	if slices.Contains(os.Args, "background") {
		ends, err = true, toBackground()
	} else if err = sayStarted(); err == nil {
		if slices.Contains(os.Args, "store") && os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
			ends, code, err = true, 3, storeOne()
		} else {
			err = say("READY=1\nSTATUS=shining")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if ends {
		return code
	}
	select {
	case <-term:
		return 0
	case <-time.After(5 * time.Minute): // nothing of a test lives longer, whatever happens to the test
		return 1
	}
}

// toBackground makes the child, which says itself when it is ready, and names it as the main process.
func toBackground() error {
	child := exec.Command(os.Args[0], beacon)
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return err
	}
	return say(fmt.Sprintf("MAINPID=%d", child.Process.Pid))
}

// storeOne stores one end of a pipe.
func storeOne() error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Sendmsg(s, []byte("FDSTORE=1\nFDPOLL=0"), unix.UnixRights(p[0]), &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, 0)
}

func say(text string) error {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(text))
	return err
}

// sayStarted does what the start of the script of the other services does: see serviceScript.
func sayStarted() error {
	name := os.Getenv("STAY_INSTANCE")
	lock, err := os.OpenFile(name+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		if err := appendLine("doubles", fmt.Sprintf("%s %d %s", name, os.Getpid(), os.Getenv("STAY_TREE"))); err != nil {
			return err
		}
	}
	up, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return err
	}
	var seconds string
	fmt.Sscan(string(up), &seconds)
	return appendLine("starts", fmt.Sprintf("%s %s %d %s", name, os.Getenv("STAY_TREE"), os.Getpid(), seconds))
}

func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line + "\n")
	return err
}
