package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/client"
)

// spin keeps every processor busy until the benchmark ends, n processes for each.
func spin(b *testing.B, n int) {
	b.Helper()
	for range n {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}

// hangs are the incidents of a daemon that are hangs.
func (d *daemon) hangs(b *testing.B) []api.Incident {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := d.client.Incidents(ctx, client.IncidentFilter{Target: "all"})
	if err != nil {
		b.Fatal(err)
	}
	return slices.DeleteFunc(list, func(a api.Incident) bool { return a.Cause != api.CauseHang })
}

// BenchmarkDetection measures how long after its limit of 200 ms a hang is found: 200 hangs on an idle machine, and 200 while
// every processor is wanted four times over. Two of ten instances hang at a time: if many did, they would be held for a crowd,
// and on a loaded machine they should.
func BenchmarkDetection(b *testing.B) {
	for name, load := range map[string]int{"idle": 0, "loaded": 8} {
		b.Run(name, func(b *testing.B) {
			spin(b, load)
			for b.Loop() {
				d := start(b, "[stay]\nkill_brake = \"off\"\nfork_rate = \"\"\n"+beating("web", "1 20ms", "pulse = \"200ms\"\ninstances = 10\nrestart = { step = \"0s\", max_delay = \"0s\" }"))
				for round := range uint64(100) {
					for _, i := range d.status("web")[:2] {
						i = d.running(i.Name, round)
						d.pulses(fmt.Sprintf("web.%d", i.Number), 1)
						d.signal(i, syscall.SIGUSR1)
					}
				}
				d.wait("200 hangs", func() error {
					if n := len(d.hangs(b)); n < 200 {
						return fmt.Errorf("there are %d", n)
					}
					return nil
				})
				var after []float64
				for _, a := range d.hangs(b) {
					after = append(after, a.Verdict.SilentMS-a.Verdict.LimitMS)
				}
				slices.Sort(after)
				b.ReportMetric(after[len(after)/2], "p50-ms")
				b.ReportMetric(after[len(after)-1], "max-ms")
			}
		})
	}
}

// BenchmarkFalseKills counts hangs where there are none: 200 services with a limit of one second while the machine, the
// engine and all of them together have a hard time. Each number has to be 0.
func BenchmarkFalseKills(b *testing.B) {
	const services = 200
	d := start(b, "[stay]\nkill_brake = \"off\"\n"+beating("web", "1 250ms", fmt.Sprintf("pulse = \"1s\"\ninstances = %d", services)))
	for _, i := range d.status("web") {
		d.running(i.Name, 0)
		d.pulses(fmt.Sprintf("web.%d", i.Number), 1)
	}
	all := func(s syscall.Signal) {
		v, err := d.version()
		if err != nil {
			b.Fatal(err)
		}
		pids := []int{v.EnginePid, v.KeeperPid}
		for _, i := range d.status("web") {
			pids = append(pids, i.Pid)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, s)
		}
		<-time.After(5 * time.Second)
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	engine := func(stop time.Duration) {
		v, err := d.version()
		if err != nil {
			b.Fatal(err)
		}
		_ = syscall.Kill(v.EnginePid, syscall.SIGSTOP)
		<-time.After(stop)
		_ = syscall.Kill(v.EnginePid, syscall.SIGCONT)
	}
	trials := []struct {
		name string
		do   func(b *testing.B)
	}{
		{"saturated", func(b *testing.B) { spin(b, 8); <-time.After(time.Minute) }},
		{"engine-stopped-3s", func(*testing.B) { engine(3 * time.Second) }},
		{"engine-replaced-10s", func(*testing.B) { engine(10 * time.Second) }},
		{"engine-killed", func(*testing.B) { d.killEngine() }},
		{"all-frozen-5s", func(*testing.B) { all(syscall.SIGSTOP) }},
	}
	for _, trial := range trials {
		b.Run(trial.name, func(b *testing.B) {
			for b.Loop() {
				before := len(d.hangs(b))
				trial.do(b)
				<-time.After(3 * time.Second) // three limits, for what is late to show
				b.ReportMetric(float64(len(d.hangs(b))-before), "false-kills")
			}
		})
	}
	for _, i := range d.status("web") {
		if i.Restarts != 0 {
			b.Errorf("%s was restarted %d times: %s", i.Name, i.Restarts, i.Why)
		}
	}
}

// BenchmarkTenThousandPulses measures what the engine needs for 10,000 pulses with a limit of one second, in hundredths of a
// second a second: percent of one processor.
func BenchmarkTenThousandPulses(b *testing.B) {
	const instances, slots = 323, 31
	d := start(b, beating("web", fmt.Sprintf("%d 250ms", slots), fmt.Sprintf("pulse = \"1s\"\ninstances = %d", instances)))
	for _, i := range d.status("web") {
		d.running(i.Name, 0)
		d.pulses(fmt.Sprintf("web.%d", i.Number), slots)
	}
	v, err := d.version()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		before := cpu(b, v.EnginePid)
		<-time.After(10 * time.Second)
		b.ReportMetric(float64(cpu(b, v.EnginePid)-before)/10, "%-of-a-core")
		if list := d.hangs(b); len(list) > 0 {
			b.Errorf("%d hangs: %s", len(list), strings.TrimSpace(list[0].Message))
		}
	}
}

// cpu is what a process has used of a processor, in hundredths of a second.
func cpu(b *testing.B, pid int) int {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return user + system
}
