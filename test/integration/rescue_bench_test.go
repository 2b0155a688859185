package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
)

// BenchmarkRescue measures how long a start takes that carries on with 1,000 services whose daemon was killed, until it answers.
func BenchmarkRescue(b *testing.B) {
	const services = 1000
	var config strings.Builder
	for i := range services {
		fmt.Fprintf(&config, "[service.s%d]\ncommand = \"sleep 300\"\n", i)
	}
	d := start(b, config.String())
	pids := map[string]int{}
	d.wait("all run", func() error {
		for _, i := range d.status("") {
			if i.State != api.Running {
				return fmt.Errorf("%s is %s", i.Name, i.State)
			}
			pids[i.Name] = i.Pid
		}
		return nil
	})
	var all time.Duration
	for b.Loop() {
		d.killBoth()
		begin := time.Now()
		d.up()
		all += time.Since(begin)
	}
	for _, i := range d.status("") {
		if i.Pid != pids[i.Name] {
			b.Errorf("%s was %d, is %+v", i.Name, pids[i.Name], i)
		}
	}
	b.ReportMetric(float64(all.Milliseconds())/float64(b.N), "rescue-ms")
}
