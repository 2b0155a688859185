package pulse_test

import (
	"fmt"
	"time"

	"example.com/stay/pulse"
)

func ExampleStart() {
	p := pulse.Start("indexer", 30*time.Second)
	defer p.Close()
	for _, segment := range []int{40, 41} {
		p.Beat()
		p.Note(fmt.Sprint("merging segment ", segment))
	}
	fmt.Println("merged") // under stay or not
	// Output: merged
}

func ExamplePulse_Pause() {
	p := pulse.Start("consumer", 0)
	defer p.Close()
	jobs := make(chan string, 1)
	jobs <- "one job"
	close(jobs)
	for {
		p.Pause() // the next job may come today, or never
		job, ok := <-jobs
		p.Resume()
		if !ok {
			break
		}
		fmt.Println(job)
	}
	// Output: one job
}
