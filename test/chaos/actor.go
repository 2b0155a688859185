package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/pulse"
)

// actorArg is the first argument of this program as a service.
const actorArg = "actor"

// The exit codes of an actor that say more than that it ended.
const (
	exitDoubled = 99 // another generation of its instance is alive: written down under doubled
	exitBroken  = 98 // it could not do what it should: machinery, not a finding
)

// An actor is one service process. Its files lie in the folders of its stage, named after its instance.
type actor struct {
	stage    string // directory
	instance string
	mark     string // the generation, as stay marks it in the environment
	term     chan os.Signal
	locked   *os.File
	tricks   map[string]string
}

// actorMain plays a service: `actor STAGE TRICK[=VALUE]…`. Whatever its tricks are, it first takes the lock of its
// instance and writes down that it started.
//
//	tree        has a child, and a grandchild in a session of its own that outlives TERM; both hold the lock too
//	notify, fd  ready by sd_notify, by a newline on descriptor 3; after a while
//	launch      its child is the main process (MAINPID=), it ends
//	beat, hang  beats; beats for a while and then no more
//	flood       writes numbered lines, and counts them in a file
//	crash       ends by itself, badly, after up to a second
//	deaf, slow  ignores TERM; takes its time to obey it
//	ask         is no service but a check: fails now and then
//	member      is a process of the tree that was started by another: waits
func actorMain(args []string) int {
	a := &actor{stage: args[0], instance: os.Getenv("STAY_INSTANCE"), mark: os.Getenv("STAY_TREE"), tricks: map[string]string{}}
	for _, t := range args[1:] {
		name, value, _ := strings.Cut(t, "=")
		a.tricks[name] = value
	}
	if a.has("ask") {
		return rand.IntN(20) / 19
	}
	a.term = make(chan os.Signal, 4)
	signal.Notify(a.term, syscall.SIGTERM)
	if a.has("member") {
		return a.member()
	}
	if code := a.lock(); code != 0 {
		return code
	}
	a.note("start")
	if err := a.begin(); err != nil {
		a.note("broken: " + err.Error())
		return exitBroken
	}
	return a.act()
}

func (a *actor) has(trick string) bool { _, ok := a.tricks[trick]; return ok }

// lock takes the lock of the instance. Its descriptor goes to every process of the tree.
func (a *actor) lock() int {
	if a.has("launched") {
		a.locked = os.NewFile(3, "lock")
		return 0
	}
	path := filepath.Join(a.stage, "locks", a.instance)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		fmt.Println(err)
		return exitBroken
	}
	a.locked = f
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
	case nil:
	case unix.EWOULDBLOCK:
		holder := make([]byte, 200)
		n, _ := f.ReadAt(holder, 0)
		a.append("doubled", fmt.Sprintf("%s (pid %d) was started while %s is alive", a.mark, os.Getpid(), holder[:n]))
		return exitDoubled
	default:
		fmt.Println(err)
		return exitBroken
	}
	_ = f.Truncate(0)
	_, err = f.WriteAt(fmt.Appendf(nil, "%s (pid %d)", a.mark, os.Getpid()), 0)
	if err != nil {
		fmt.Println(err)
		return exitBroken
	}
	return 0
}

// append writes one line at the end of a file of the stage.
func (a *actor) append(file, line string) {
	f, err := os.OpenFile(filepath.Join(a.stage, file), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return // too few descriptors, no disk: what matters is the lock
	}
	defer f.Close()
	_, _ = f.WriteString(line + "\n")
}

// note writes down what happens to the actor.
func (a *actor) note(what string) {
	a.append(filepath.Join("facts", a.instance), fmt.Sprintf("%d %s %d %s", monotonic(), a.mark, os.Getpid(), what))
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// begin makes the tree and says that it is ready.
func (a *actor) begin() error {
	if a.has("tree") {
		if err := a.spawn("member", true); err != nil {
			return err
		}
	}
	if a.has("launch") {
		return nil
	}
	<-time.After(rand.N(30 * time.Millisecond))
	if a.has("notify") || a.has("launched") {
		return send("READY=1\nSTATUS=acting")
	}
	if a.has("fd") {
		if _, err := unix.Write(3, []byte("\n")); err != nil {
			return err
		}
	}
	return nil
}

// spawn starts this program once more, as a process of the same tree with the lock.
func (a *actor) spawn(trick string, away bool) error {
	cmd := exec.Command("/proc/self/exe", actorArg, a.stage, trick)
	if away {
		cmd.Args = append(cmd.Args, "away")
	}
	cmd.ExtraFiles = []*os.File{a.locked}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: trick == "member"}
	if err := cmd.Start(); err != nil {
		return err
	}
	if trick == "launched" {
		return send(fmt.Sprintf("MAINPID=%d", cmd.Process.Pid))
	}
	return nil
}

// member is a process of a tree in a session of its own. One that has gone away from its parent ignores TERM.
func (a *actor) member() int {
	a.locked = os.NewFile(3, "lock")
	if a.has("away") {
		if err := a.spawn("member", false); err != nil {
			return exitBroken
		}
		return 0 // its child is an orphan now, and nothing of it tells whose it is but its environment and its group
	}
	for {
		<-a.term
	}
}

// send sends one datagram to NOTIFY_SOCKET.
func send(text string) error {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

// act goes on until the end.
func (a *actor) act() int {
	var crash <-chan time.Time
	switch {
	case a.has("launch"):
		if err := a.spawn("launched", false); err != nil {
			a.note("broken: " + err.Error())
			return exitBroken
		}
		return 0
	case a.has("crash"):
		crash = time.After(rand.N(time.Second))
	case a.has("beat"), a.has("hang"):
		go a.beat()
	case a.has("flood"):
		go a.flood()
	}
	for {
		select {
		case <-crash:
			a.note("crash")
			if rand.IntN(2) == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			return 1 + rand.IntN(3)
		case <-a.term:
			if a.has("deaf") {
				continue
			}
			if a.has("slow") {
				<-time.After(rand.N(300 * time.Millisecond))
			}
			a.note("end")
			return 0
		}
	}
}

// beat beats every few milliseconds; with hang it leaves off some time.
func (a *actor) beat() {
	p := pulse.Start("loop", 0)
	left := 1 << 40
	if a.has("hang") {
		left = 50 + rand.IntN(500)
	}
	for range left {
		p.Beat()
		<-time.After(10 * time.Millisecond)
	}
	a.note("hang")
}

// flood writes lines "MARK N FILL." and after each write notes in its count how many there are.
func (a *actor) flood() {
	name := strings.ReplaceAll(a.mark[strings.IndexByte(a.mark, '/')+1:], "/", "@") + "@" + strconv.Itoa(os.Getpid())
	count, err := os.Create(filepath.Join(a.stage, "counts", name))
	if err != nil {
		a.note("broken: " + err.Error())
		os.Exit(exitBroken)
	}
	var out []byte
	for n := 1; ; {
		out = out[:0]
		for range 1 + rand.IntN(60) {
			out = numberedLine(out, name, n)
			n++
		}
		if len(out) > 4096 {
			panic("a write of more than PIPE_BUF can be cut by a kill")
		}
		if _, err := os.Stdout.Write(out); err != nil {
			a.note("broken: " + err.Error())
			os.Exit(exitBroken)
		}
		_, _ = count.WriteAt(strconv.AppendInt(nil, int64(n-1), 10), 0)
		<-time.After(rand.N(20 * time.Millisecond))
	}
}

// numberedLine appends the n-th line of a generation, of 30 to 64 bytes or so, which can be told from any part of it.
func numberedLine(b []byte, name string, n int) []byte {
	const fill = "abcdefghijklmnopqrstuvwxyz"
	b = append(append(b, name...), ' ')
	b = append(strconv.AppendInt(b, int64(n), 10), ' ')
	return append(append(b, fill[:n*7%len(fill)]...), '.', '\n')
}
