// Command worker asks an HTTP server again and again, and has helpers that try to get away from it: each in a session of
// its own, with a child of its own.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	defaultAddress = "127.0.0.1:8077"
	helpers        = 3
	pause          = 200 * time.Millisecond
)

func main() {
	role := ""
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	if err := run(role); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(role string) error {
	switch role {
	case "child":
		select {}
	case "helper":
		c, err := start("child")
		if err != nil {
			return err
		}
		return c.Wait()
	}
	for range helpers {
		if _, err := start("helper"); err != nil {
			return err
		}
	}
	ready()
	return work()
}

// start starts this program again, in a session of its own.
func start(role string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self, role)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c, c.Start()
}

// ready tells the supervisor, if there is one that wants to know.
func ready() {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte("READY=1"))
}

// work asks until it is stopped. An answer that does not come is said, and asked for again.
func work() error {
	address := os.Getenv("NEVERSTOP_ADDRESS")
	if address == "" {
		address = defaultAddress
	}
	for {
		if err := ask("http://" + address + "/work"); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
		}
		time.Sleep(pause)
	}
}

func ask(url string) error {
	r, err := http.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return err
}
