package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

func init() { roles["go-systemd"] = roleGoSystemd }

// sendFiles sends one datagram with descriptors to NOTIFY_SOCKET.
func sendFiles(text string, fds ...int) error {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	return unix.Sendmsg(s, []byte(text), unix.UnixRights(fds...), &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, 0)
}

// store has a new memfd stored; word is NAME=TEXT.
func store(word string) error {
	name, text, _ := strings.Cut(word, "=")
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return err
	}
	return sendFiles("FDSTORE=1\nFDNAME="+name, fd)
}

// passed says what LISTEN_FDS brought.
func passed() string {
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	whose := "mine"
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		whose = "pid " + os.Getenv("LISTEN_PID")
	}
	said := fmt.Sprintf(" %d %q %s", n, os.Getenv("LISTEN_FDNAMES"), whose)
	for fd := 3; fd < 3+n; fd++ {
		var text [64]byte
		n, err := unix.Pread(fd, text[:], 0)
		if flags, e := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); e != nil || flags&unix.FD_CLOEXEC != 0 {
			err = fmt.Errorf("flags %d, %v", flags, e)
		}
		if err != nil {
			return fmt.Sprint(said, " ", err)
		}
		said += " " + string(text[:n])
	}
	return said
}

// barrier waits until all that this process has sent has been heard.
func barrier() error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(p[0])
	err := sendFiles("BARRIER=1", p[1])
	unix.Close(p[1])
	if err != nil {
		return err
	}
	_, err = unix.Read(p[0], make([]byte, 1))
	return err
}

// roleGoSystemd speaks sd_notify by the library that Go programs use, and prints what it says.
func roleGoSystemd([]string) int {
	limit, err := systemd.SdWatchdogEnabled(false)
	fmt.Println("watchdog", limit, err)
	for _, state := range []string{"STATUS=by go-systemd", systemd.SdNotifyReady, systemd.SdNotifyWatchdog} {
		sent, err := systemd.SdNotify(false, state)
		fmt.Println("sent", state, sent, err)
	}
	for {
		_ = unix.Pause()
	}
}
