package integration

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/sysv"
)

// This file: old heartbeat tables, with a program in C that knows nothing of stay.

// An oldTable is a heartbeat table with a lock around it, gone when the test ends.
type oldTable struct {
	t      *testing.T
	key    sysv.Key
	bytes  []byte
	beater string // the program
}

func makeOldTable(t *testing.T) *oldTable {
	t.Helper()
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc, for the old program")
	}
	o := &oldTable{t: t, beater: filepath.Join(t.TempDir(), "beater")}
	if out, err := exec.Command(cc, "-O2", "-o", o.beater, "../../internal/oldtable/testdata/beater.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	for {
		o.key = sysv.Key(rand.Uint32()>>8 | uint32(os.Getpid())<<24)
		if _, err := sysv.OpenSemaphore(o.key); err == nil || o.key == sysv.Private {
			continue
		}
		if memory, err := sysv.CreateMemory(o.key, 72000, 0o600); err == nil {
			t.Cleanup(func() { o.remove(memory) })
			x, err := memory.Attach()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { x.Detach() })
			o.bytes = x.Bytes()
			break
		}
	}
	lock, err := sysv.MakeSemaphore(o.key, 1, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Remove() })
	return o
}

// remove removes the table, and fails the test if it stays because somebody has it attached: the daemon has gone by now.
func (o *oldTable) remove(memory sysv.Memory) {
	if err := memory.Remove(); err != nil {
		o.t.Error(err)
	}
	if st, err := memory.Stat(); err == nil {
		o.t.Errorf("somebody has the table attached: %+v", st)
	}
}

// config is the table's part of the file.
func (o *oldTable) config() string {
	return fmt.Sprintf("[stay]\nold_tables = [ { shm = %s, sem = %s } ]\n", o.key, o.key)
}

// command is the old program, as words of the file.
func (o *oldTable) command(timeout, beats int) string {
	return fmt.Sprintf("[%q, %q, %q, \"%d\", \"%d\"]", o.beater, o.key, o.key, timeout, beats)
}

// start starts the old program beside the daemon, and returns it when it has its entry.
func (o *oldTable) start(timeout, beats int, more ...string) (cmd *exec.Cmd, entry int, ended chan struct{}) {
	o.t.Helper()
	args := append([]string{o.key.String(), o.key.String(), strconv.Itoa(timeout), strconv.Itoa(beats)}, more...)
	cmd = exec.Command(o.beater, args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	ended = make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	o.t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	if entry, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		o.t.Fatal(err)
	}
	return cmd, entry, ended
}

// put writes an entry.
func (o *oldTable) put(i, pid, timeout int, atime int64) {
	raw := o.bytes[i*72:][:72]
	clear(raw)
	copy(raw[4:], "made up")
	binary.NativeEndian.PutUint32(raw[56:], uint32(timeout))
	binary.NativeEndian.PutUint64(raw[64:], uint64(atime))
	binary.NativeEndian.PutUint32(raw, uint32(pid))
}

func (o *oldTable) pid(i int) int { return int(int32(binary.NativeEndian.Uint32(o.bytes[i*72:]))) }

// heard waits until events with all these texts have come.
func (d *daemon) heard(texts ...string) {
	d.t.Helper()
	d.wait(fmt.Sprintf("events with %q", texts), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var all strings.Builder
		err := d.client.Events(ctx, 0, false, func(ev api.Event) error { fmt.Fprintln(&all, ev.Kind, ev.Message); return nil })
		for _, text := range texts {
			if err == nil && !strings.Contains(all.String(), text) {
				err = fmt.Errorf("no %q in\n%s", text, &all)
			}
		}
		return err
	})
}

// entry waits until an entry of the table is shown as is says.
func (d *daemon) entry(i int, what string, is func(api.PulseSlot) bool) {
	d.t.Helper()
	d.wait(fmt.Sprintf("entry %d to be %s", i, what), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		list, err := d.client.Pulses(ctx, "")
		for _, s := range list {
			if s.Source == "table" && s.Slot == i && is(s) {
				return nil
			}
		}
		if err == nil {
			err = fmt.Errorf("there are %+v", list)
		}
		return err
	})
}

// TestOldTable: foreign programs with a table. The hung one is asked to end and killed, the entry of the dead one is
// cleared, who beats is left alone, and so is who merely has a pid that stands in the table; also by the next engine.
func TestOldTable(t *testing.T) {
	o := makeOldTable(t)
	good, goodEntry, _ := o.start(5, -1)
	dead, deadEntry, deadEnded := o.start(1000, 0)
	innocent := exec.Command("sleep", "1000")
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { innocent.Process.Kill(); innocent.Wait() })
	o.put(900, innocent.Process.Pid, 1, time.Now().Add(time.Hour).Unix())
	o.put(901, innocent.Process.Pid, 1, 1000)

	d := start(t, o.config())
	d.entry(goodEntry, "beating", func(s api.PulseSlot) bool {
		return s.Pid == good.Process.Pid && s.Pulse == "beater" && s.LimitMS == 5000 && s.Count > 0 && s.Name == "" && s.Why == ""
	})
	d.entry(deadEntry, "there", func(s api.PulseSlot) bool { return s.Pid == dead.Process.Pid && s.State == "busy" })
	dead.Process.Kill()
	<-deadEnded
	d.heard("its process has gone: its entry is cleared")
	d.killEngine()

	hung, hungEntry, hungEnded := o.start(1, 1, "stubborn")
	select {
	case <-hungEnded:
	case <-time.After(patience):
		t.Fatalf("the hung program is still there\n%s", d.log())
	}
	if st := hung.ProcessState.Sys().(syscall.WaitStatus); st.Signal() != syscall.SIGKILL {
		t.Errorf("the hung program ended with %v", st)
	}
	d.heard("did not beat for 1s: SIGTERM", "is still there 5s after SIGTERM: SIGKILL", "does not have the table attached", "it started later")
	d.wait("cleared entries", func() error {
		if o.pid(hungEntry) != 0 || o.pid(deadEntry) != 0 {
			return errors.New("an entry of a dead process is still there")
		}
		return nil
	})
	for i, pid := range map[int]int{goodEntry: good.Process.Pid, 900: innocent.Process.Pid, 901: innocent.Process.Pid} {
		if !alive(pid) || o.pid(i) != pid {
			t.Errorf("entry %d: process %d alive: %v, and the entry has %d", i, pid, alive(pid), o.pid(i))
		}
	}
}

// TestOldTableOfService: an entry of a service's process is the judge's: the service is restarted whole, with an incident.
func TestOldTableOfService(t *testing.T) {
	o := makeOldTable(t)
	d := start(t, o.config()+"[service.old]\ncommand = "+o.command(1, 2)+"\n")
	first := d.running("old", 0)
	d.entry(0, "the service's", func(s api.PulseSlot) bool { return s.Name == "old" && s.Pulse == "beater" })
	second := d.running("old", first.Generation)
	if second.Generation != first.Generation+1 {
		t.Errorf("generation %d follows %d", second.Generation, first.Generation)
	}
	a := d.incident("old", 0)
	if a.Cause != api.CauseHang || a.Verdict == nil || a.Verdict.Kind != "table" || a.Verdict.Pulse != "beater" || a.Evidence == nil {
		t.Errorf("incident %+v, verdict %+v", a, a.Verdict)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.client.Events(ctx, 0, false, func(ev api.Event) error {
		if ev.Kind == "pulse" && strings.Contains(ev.Message, "SIGTERM") {
			t.Errorf("it was ended without the judge: %s", ev.Message)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestOldTableApplied: a table comes and goes with the configuration.
func TestOldTableApplied(t *testing.T) {
	o := makeOldTable(t)
	rest := "[service.x]\ncommand = [\"sleep\", \"1000\"]\n"
	d := start(t, rest)
	o.put(3, 1, 0, 0)
	apply := func(config string) {
		t.Helper()
		d.write(config)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := d.client.Apply(ctx); err != nil {
			t.Fatal(err)
		}
	}
	apply(o.config() + rest)
	d.entry(3, "shown", func(s api.PulseSlot) bool { return s.State == "broken" && s.Why != "" })
	apply(rest)
	d.wait("the table to be left", func() error {
		m, err := sysv.OpenMemory(o.key)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := m.Stat(); err != nil || st.Attached != 1 { // this test itself
			return fmt.Errorf("%+v %w", st, err)
		}
		return nil
	})
}
