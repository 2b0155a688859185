package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { roles["steps"] = roleSteps }

// roleSteps does what its arguments say, one after the other:
//
//	send TEXT    sends a datagram to NOTIFY_SOCKET; a semicolon is a newline
//	newline N    writes a newline to descriptor N
//	store N=TEXT has a descriptor with TEXT stored under the name N
//	passed WORD  prints a line of the word and what LISTEN_FDS brought: number, names, whose they are, and their texts
//	barrier WORD waits until all that was sent has been heard, and prints the word
//	open FIFO    waits until somebody opens the named pipe for writing
//	now WORD     prints the word and CLOCK_MONOTONIC in nanoseconds
//	say TEXT     prints a line
//	fork         has a new process do the rest, tells that it is the main one, and ends well
//	term         waits for SIGTERM
//	forever      waits until it is killed, by SIGTERM too
//	exit N       ends
func roleSteps(args []string) int {
	term := make(chan os.Signal, 1)
	if slices.Contains(args, "term") {
		signal.Notify(term, syscall.SIGTERM) // before anybody can know that it runs
	}
	for i := 0; i < len(args); i++ {
		word := ""
		if i+1 < len(args) {
			word = args[i+1]
		}
		var err error
		switch args[i] {
		case "fork":
			return fork(args[i+1:])
		case "term":
			<-term
			continue
		case "forever":
			signal.Reset()
			for {
				_ = unix.Pause()
			}
		case "send":
			err = send(word)
		case "store":
			err = store(word)
		case "passed":
			fmt.Println(word + passed())
		case "barrier":
			if err = barrier(); err == nil {
				fmt.Println(word)
			}
		case "newline":
			n, _ := strconv.Atoi(word)
			_, err = unix.Write(n, []byte("\n"))
		case "open":
			var f *os.File
			if f, err = os.Open(word); err == nil {
				_, err = io.ReadAll(f)
				f.Close()
			}
		case "now":
			fmt.Println(word, monotonic())
		case "say":
			fmt.Println(word)
		case "exit":
			n, _ := strconv.Atoi(word)
			return n
		default:
			err = fmt.Errorf("no such step")
		}
		if err != nil {
			fmt.Printf("%s %s: %v\n", args[i], word, err)
			return 99
		}
		i++
	}
	return 0
}

// fork starts the rest of the steps as a process of its own.
func fork(rest []string) int {
	c := exec.Command("/proc/self/exe", rest...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		fmt.Println(err)
		return 99
	}
	if err := send(fmt.Sprintf("MAINPID=%d", c.Process.Pid)); err != nil {
		fmt.Println(err)
		return 99
	}
	return 0
}

// send sends one datagram to NOTIFY_SOCKET.
func send(text string) error {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(strings.ReplaceAll(text, ";", "\n")))
	return err
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// ownCopy is the test binary where every user can run it.
var ownCopy = sync.OnceValues(func() (string, error) {
	own, err := os.Executable()
	if err != nil || os.Geteuid() != 0 || os.Getenv("STAY_TEST_BINARIES") != "" {
		return own, err
	}
	data, err := os.ReadFile(own)
	if err != nil {
		return "", err
	}
	path := filepath.Join(binaries, "role")
	return path, os.WriteFile(path, data, 0o755)
})

// steps is the configuration of a service that runs roleSteps. One built for the race detector does not sleep at its end.
func steps(t testing.TB, name string, args ...string) string {
	t.Helper()
	own, err := ownCopy()
	if err != nil {
		t.Fatal(err)
	}
	words := make([]string, len(args)+1)
	for i, w := range append([]string{own}, args...) {
		quoted, _ := json.Marshal(w) // a JSON string is one of TOML too
		words[i] = string(quoted)
	}
	return fmt.Sprintf("[service.%s]\ncommand = [%s]\nenv = { STAY_TEST_ROLE = \"steps\", GORACE = \"atexit_sleep_ms=0\" }\n", name, strings.Join(words, ", "))
}
