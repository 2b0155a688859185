package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
)

// BenchmarkGap measures how long a client that asks all the time gets no answer when the engine of 1,000 services is
// killed: the longest time that one question took, with everything that the client itself needs to ask again.
func BenchmarkGap(b *testing.B) {
	const (
		services = 1000
		served   = 1100 * time.Millisecond
	)
	var config strings.Builder
	for i := range services {
		fmt.Fprintf(&config, "[service.s%d]\ncommand = \"sleep 300\"\n", i)
	}
	r := newCrashRun(b, 10*time.Minute, config.String(), nil)
	defer r.remove()
	r.until("all run", func() error {
		for _, i := range r.status() {
			if i.State != api.Running {
				return fmt.Errorf("%s is %s", i.Name, i.State)
			}
		}
		return nil
	})
	if r.errs != nil {
		b.Fatal(r.errs)
	}
	var gaps []time.Duration
	for b.Loop() {
		<-time.After(served) // the keeper makes the successors of engines that die young wait
		gaps = append(gaps, r.gap(b))
	}
	r.end(script{})
	if r.errs != nil {
		b.Error(r.errs)
	}
	slices.Sort(gaps)
	b.ReportMetric(float64(gaps[len(gaps)/2].Microseconds())/1000, "gap-ms")
	b.ReportMetric(float64(gaps[len(gaps)-1].Microseconds())/1000, "worst-ms")
}

// gap kills the engine and returns how long the question under way, or the first one after, took.
func (r *crashRun) gap(b *testing.B) time.Duration {
	before, err := r.client.Version(r.ctx)
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := syscall.Kill(before.EnginePid, syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	for {
		now, err := r.client.Version(r.ctx)
		if err != nil {
			b.Fatal(err)
		}
		if now.EnginePid != before.EnginePid {
			return time.Since(begin)
		}
	}
}
