// Command neverstop shows what stay does: it has stay run three services, breaks one thing after the other, and looks at
// what became of it, while a client asks the HTTP server all along. It ends with what the client saw, leaves nothing
// running, and fails if anything was not as it says.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

//go:embed stay.toml
var config []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "neverstop:", err)
		os.Exit(1)
	}
}

// demo is all of it. Whatever happens, the daemon is taken down.
func demo(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("it takes too long"))
	defer cancel()
	h, err := build()
	if err != nil {
		return err
	}
	defer os.RemoveAll(h.dir)
	seen, err := h.acts(ctx)
	if err != nil {
		rest := h.command("down", "--now")
		_ = rest.Run() // there may be no daemon
		return err
	}
	if pids := left(h.dir); len(pids) > 0 {
		return fmt.Errorf("processes are left: %v", pids)
	}
	if seen.lost != nil || seen.answered != seen.asked {
		return fmt.Errorf("%v; lost: %w", seen, seen.lost)
	}
	fmt.Printf("\nThe client: %v. Nothing is left running.\n", seen)
	return nil
}

// build makes the directory of the daemon. The programs lie beside this one.
func build() (*house, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "neverstop-")
	if err != nil {
		return nil, err
	}
	h := &house{dir: dir, bin: filepath.Dir(self), address: address}
	err = os.Symlink(h.bin, filepath.Join(dir, "bin"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "stay.toml"), config, 0o644)
	}
	return h, err
}

// freeAddress is one of the loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// acts starts everything, breaks it, and takes it down. It returns what the client saw in between.
func (h *house) acts(ctx context.Context) (tally, error) {
	say("Three services: web, an HTTP server, runs twice on one port; worker needs web; crasher dies by itself.")
	if err := h.show("up", "-d"); err != nil {
		return tally{}, err
	}
	if err := h.show("status"); err != nil {
		return tally{}, err
	}
	asking, enough := context.WithCancel(ctx)
	defer enough()
	seen := make(chan tally, 1)
	go func() { seen <- run(asking, "http://"+h.address+"/") }()
	say("From now on a client asks web all the time, each request on a new connection.")
	for _, act := range []func(context.Context) error{h.crash, h.killServer, h.killTree, h.killEngine} {
		if err := nap(ctx, time.Second); err != nil { // for people to read, and for the client to ask
			return tally{}, err
		}
		if err := act(ctx); err != nil {
			return tally{}, err
		}
		if err := h.show("status"); err != nil {
			return tally{}, err
		}
	}
	if err := nap(ctx, time.Second); err != nil {
		return tally{}, err
	}
	enough()
	result := <-seen
	say("The client stops, and everything is taken down: worker before web, which it needs.")
	return result, h.show("down")
}

// crash waits for what happens by itself.
func (h *house) crash(ctx context.Context) error {
	say("1. Nobody touches crasher. It has a fault, dies of it, and comes back; the waits in between grow, up to two seconds.")
	_, err := h.until(ctx, func(all map[string]instance) bool { return all["crasher"].Restarts >= 3 })
	return err
}

// killServer kills one of the two servers.
func (h *house) killServer(ctx context.Context) error {
	before, err := h.status()
	if err != nil {
		return err
	}
	was := before["web.2"]
	say("2. kill -9 %d: one of the two servers, while it serves. The other takes all new connections until it is back. A request\n"+
		"   that it had begun is lost with it, whoever supervises it; the client asks such a one again and counts it.", was.Pid)
	if err := kill(was.Pid); err != nil {
		return err
	}
	_, err = h.until(ctx, func(all map[string]instance) bool {
		now := all["web.2"]
		return now.State == "running" && now.Generation == was.Generation+1
	})
	return err
}

// killTree kills worker with all its helpers, which have left its session.
func (h *house) killTree(ctx context.Context) error {
	before, err := h.status()
	if err != nil {
		return err
	}
	was := before["worker"]
	pids := tree(processes(), was.Pid)
	say("3. kill -9 of a whole tree: worker, its helpers and their children, %d processes.", len(pids))
	if err := kill(pids...); err != nil {
		return err
	}
	now, err := h.until(ctx, func(all map[string]instance) bool {
		return all["worker"].State == "running" && all["worker"].Generation == was.Generation+1
	})
	if err != nil {
		return err
	}
	parents := processes()
	for _, pid := range pids {
		if _, ok := parents[pid]; ok {
			return fmt.Errorf("process %d of the old tree is still there", pid)
		}
	}
	fmt.Printf("   It is back, with a tree of %d; of the old one nobody is there.\n", len(tree(parents, now["worker"].Pid)))
	return nil
}

// killEngine kills the process that decides. Nobody else may notice.
func (h *house) killEngine(ctx context.Context) error {
	before, err := h.status()
	if err != nil {
		return err
	}
	was, err := h.version()
	if err != nil {
		return err
	}
	say("4. kill -9 %d: the engine of stay itself. The keeper, %d, is the parent of all services and starts another.", was.EnginePid, was.KeeperPid)
	begin := time.Now()
	if err := kill(was.EnginePid); err != nil {
		return err
	}
	now := was
	for now.EnginePid == was.EnginePid {
		if now, err = h.version(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	took := time.Since(begin)
	after, err := h.status()
	if err != nil {
		return err
	}
	for _, name := range []string{"web", "web.2", "worker"} {
		if after[name] != before[name] {
			return fmt.Errorf("%s did notice: it was %+v, it is %+v", name, before[name], after[name])
		}
	}
	fmt.Printf("   Engine %d answers, %v later. No service has noticed: same processes, same counters.\n",
		now.EnginePid, took.Round(time.Millisecond))
	return nil
}

func kill(pids ...int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf("\n"+format+"\n", args...) }
