package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/control"
	"example.com/stay/internal/engine"
	"example.com/stay/internal/keeper"
	"example.com/stay/internal/spec"
)

// fault is nil: tests set it to have engines die between two messages.
var fault func(at string)

// syslogVariable names another socket than /dev/log, for where that is no log's: in a container, and in tests.
const syslogVariable = "STAY_SYSLOG"

func engineMain(args []string) int {
	setName("stayd-engine")
	var k keeperFlags
	flags := k.set()
	conn := flags.Int("conn", -1, "descriptor of the connection to the keeper")
	id := flags.String("id", "", "short name of this daemon")
	fresh := flags.Bool("fresh", false, "forget the records of the units")
	_ = flags.Parse(args)
	catch()
	giveBack()
	k.umask = unix.Umask(0o022) // what the keeper has is the services' own
	log := slog.New(slog.NewTextHandler(newQueue(os.Stderr), nil)).With("process", "engine")
	syscall.CloseOnExec(*conn)
	var stdout io.Writer
	if k.foreground {
		stdout = os.Stdout
	}
	err := engine.Run(engine.Options{
		Stdout:    stdout,
		Syslog:    os.Getenv(syslogVariable),
		Conn:      keeper.NewConn(*conn),
		Version:   api.Version,
		Fresh:     *fresh,
		Load:      k.load,
		Zone:      zone,
		Only:      list(k.only),
		MemoryDir: k.memory,
		Socket:    filepath.Join(k.runtimeDir, socketName),
		ID:        *id,
		Log:       log,
		NewKeeper: k.another,
		Fault:     fault,
		Serve:     func(l net.Listener, e *engine.Engine) error { return control.Serve(context.Background(), l, e) },
	})
	if err != nil {
		os.Stderr.WriteString("stay: engine: " + err.Error() + "\n")
		return 1
	}
	return 0
}

// another starts a keeper in the place of one that has died; conn is its end of the connection to this engine.
func (k *keeperFlags) another(conn int) (kill func(), err error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append(k.argv(), "--memory", k.memory, "--umask", strconv.Itoa(k.umask), "--adopt", strconv.Itoa(os.Getpid()))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	dup, err := unix.FcntlInt(uintptr(conn), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(dup), "connection")
	defer f.Close()
	cmd.ExtraFiles = []*os.File{f} // descriptor 3: adoptConn
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // its end is seen by its pidfd; this only takes the zombie away
	return func() { _ = cmd.Process.Kill() }, nil
}

func (k *keeperFlags) load() (*spec.Config, spec.Errors) {
	if k.transient {
		return empty(k.dir), nil
	}
	return load(k.file)
}

// catch throws away every signal that would end the engine: it ends when the keeper says so.
func catch() {
	rest := make(chan os.Signal, 1)
	signal.Notify(rest, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1,
		syscall.SIGUSR2, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGXFSZ)
	go func() {
		for range rest {
		}
	}()
}
