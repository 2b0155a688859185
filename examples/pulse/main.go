// Command pulse is a pool of workers in which each worker has a heartbeat. Under stay, with
//
//	[service.pool]
//	command = "./pulse --hang-after 20s"
//	pulse = "5s"
//
// one worker gets stuck after 20 s, stay finds it 5 s later, says which one it was and at what, and starts the program anew.
// Without stay it does the same work and the heartbeats do nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/stay/pulse"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "pulse:", err)
		os.Exit(2)
	}
}

// run has workers do jobs until there are no more, or ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("pulse", flag.ContinueOnError)
	workers := flags.Int("workers", 4, "how many workers")
	jobs := flags.Int("jobs", 0, "how many jobs there are; 0: no end")
	every := flags.Duration("every", 0, "time between two jobs; 0: none")
	hangAfter := flags.Duration("hang-after", 0, "when one worker gets stuck; 0: never")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *workers < 1 || *jobs < 0 || *every < 0 || *hangAfter < 0 || flags.NArg() > 0 {
		return errors.New("one worker is needed, and nothing is negative: see --help")
	}
	p := &pool{jobs: make(chan int)}
	if *hangAfter > 0 {
		p.hangAt = time.Now().Add(*hangAfter)
	}
	go p.produce(ctx, *jobs, *every)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		var wg sync.WaitGroup
		for i := range *workers {
			wg.Go(func() { p.worker(i + 1) })
		}
		wg.Wait()
	}()
	select {
	case <-finished:
	case <-ctx.Done(): // does not wait for a worker that hangs
	}
	_, err := fmt.Fprintf(out, "%d jobs are done\n", p.done.Load())
	return err
}

// A pool is what the workers share.
type pool struct {
	jobs   chan int
	done   atomic.Int64
	hangAt time.Time // zero: never
	hung   atomic.Bool
}

// produce makes jobs until there are as many as wanted (0: no end), or ctx ends.
func (p *pool) produce(ctx context.Context, jobs int, every time.Duration) {
	defer close(p.jobs)
	for i := 1; (jobs == 0 || i <= jobs) && ctx.Err() == nil; i++ {
		select {
		case p.jobs <- i:
		case <-ctx.Done():
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
		}
	}
}

// worker does jobs. Waiting for one may take for ever and is no hang, so the pulse is paused for that; a job is no longer than
// the limit allows, or beats in between.
func (p *pool) worker(number int) {
	beat := pulse.Start(fmt.Sprint("worker ", number), 0)
	defer beat.Close()
	for done := uint64(1); ; done++ {
		beat.Pause()
		job, more := <-p.jobs
		if !more {
			return
		}
		beat.Resume()
		beat.Note(fmt.Sprint("job ", job))
		for range 3 {
			beat.Beat()
			work()
		}
		p.stumble(beat, job)
		p.done.Add(1)
		beat.Progress(done)
	}
}

// work is a part of a job.
func work() { time.Sleep(3 * time.Millisecond) }

// stumble is the mistake: when its time has come, one worker locks what is locked.
func (p *pool) stumble(beat *pulse.Pulse, job int) {
	if p.hangAt.IsZero() || time.Now().Before(p.hangAt) || p.hung.Swap(true) {
		return
	}
	beat.Note(fmt.Sprintf("job %d: waits for a lock", job))
	var mu sync.Mutex
	mu.Lock()
	mu.Lock()
}
