package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// diesVariable names the first point at which every engine of a run dies, as in "sent adopt ".
const diesVariable = "STAYD_TEST_DIES_AT"

func diesAt(point string) func(at string) {
	return func(at string) {
		if strings.HasPrefix(at, point) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

// TestAbandoned: an engine dies while it hands over to another keeper, before, between and after the services. That keeper
// carries on with the mirror of the one before: no process is touched, and none is doubled.
func TestAbandoned(t *testing.T) {
	for _, at := range []string{"send adopt ", "sent adopt a", "sent adopt b", "sent adopt halted"} {
		t.Run(at, func(t *testing.T) {
			t.Setenv(diesVariable, at)
			r := newCrashRun(t, patience, "[service.a]\ncommand = \"sleep 300\"\n[service.b]\ncommand = \"sleep 300\"\n[service.halted]\ncommand = \"sleep 300\"\n", nil)
			defer r.remove()
			r.ready("a")
			r.ready("b")
			r.do(api.Command{Verb: api.Stop, Target: "halted"})
			before := r.status()
			v, err := r.client.Version(r.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(v.KeeperPid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			r.until("another keeper and another engine", func() error {
				now, err := r.client.Version(r.ctx)
				if err == nil && (now.KeeperPid == v.KeeperPid || now.EnginePid == v.EnginePid) {
					err = fmt.Errorf("it was %+v, is %+v", v, now)
				}
				return err
			})
			for name, i := range r.status() {
				if b := before[name]; i.Pid != b.Pid || i.State != b.State || i.Generation != b.Generation {
					t.Errorf("%s was %+v, is %+v", name, b, i)
				}
			}
			if err := r.client.Shutdown(r.ctx, false); err != nil {
				t.Error(err)
			}
			r.until("nothing is left", func() error {
				if left := r.left(); len(left) > 0 {
					return fmt.Errorf("left: %v", left)
				}
				return nil
			})
			if r.errs != nil {
				t.Errorf("%s\n%s", strings.Join(r.errs, "\n"), r.read(".stay/log/stay.log"))
			}
		})
	}
}
