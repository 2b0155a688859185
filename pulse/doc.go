// Package pulse is a heartbeat for programs that run under stay: a store into memory that the program shares with its
// supervisor. When the beats of a loop do not come for longer than its limit, stay finds out what hangs, keeps that, and
// starts the program anew.
//
//	p := pulse.Start("indexer", 0)
//	defer p.Close()
//	for work.Next() {
//		p.Beat()
//		...
//	}
//
// It promises:
//
//   - Beat makes no system call, allocates nothing, takes no lock and never waits. It costs about as much as time.Now.
//   - Nothing here makes a program fail. Without stay, with a page that is broken or full, and on other systems than Linux,
//     Start returns a Pulse that does nothing; Err says why, for those who want to know. A nil *Pulse and the zero one do
//     nothing either.
//   - No slot of somebody else is written. What the environment points at is looked at before it is: a file that is not a
//     pulse page of a version known here, or shorter than it says, is left alone.
//   - A page that somebody cuts off while it is in use costs the pulses, not the program: the fault is caught, and all
//     methods do nothing from then on. (Only stay, the service's own user and root can do that to a page.)
//
// # One loop, one pulse
//
// A Pulse stands for one loop that has to go on: start one in each goroutine that matters, and beat where the work is done.
// A goroutine that beats for others, or a timer that does nothing else, says that the timer is alive.
//
// All methods may be called from any goroutine, and at the same time; but a pulse that many goroutines beat says only that
// not all of them hang. Close is for the last of them: a beat that runs while another goroutine closes the pulse may hit the
// slot's next owner, once.
//
// A pulse lives until Close. There is no finalizer, on purpose: a loop that ended without saying so is silent, and a silent
// pulse is what stay looks for. When the process ends, the main process of a service takes all pulses along.
//
// # What the calls mean
//
//	Beat      this loop goes on. The limit counts from here
//	Idle      it goes on, but has nothing to do: beats are expected, progress is not. A beat
//	Busy      it works again. A beat
//	Pause     no beats until Resume: before waiting for something that may never come
//	Resume    they are expected again, and the loop is busy. A beat
//	Extend    the next beat may come later than usual, once. Any beat ends that
//	Progress  a number that grows with the work done. It makes a pulse busy that was not; else it is no beat
//	Note      what it does now, for people. No beat
//	Close     the loop ends as it should
//
// Named is for pulses that outlive the programs that beat them: those that scripts call.
//
// # Threads, processes, clocks
//
// A goroutine moves between threads, so stay cannot say which thread hangs. StartThread is for a loop that has a thread of
// its own, and names it.
//
// The place of the page is read from the environment (STAY_PULSE) when the first pulse is started, and once: what happens to
// the environment later does not matter. Programs that are started inherit it, and claim slots of their own; whoever starts
// one that shall not takes STAY_PULSE out of its environment. A child that is killed leaves its pulses behind, silent.
//
// Beats carry CLOCK_MONOTONIC. A program in a time namespace of its own has another clock than stay, and cannot use pulses.
//
// The layout of the page is a contract for every language: docs/reference/pulse-page.md.
package pulse
