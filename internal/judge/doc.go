// Package judge finds what hangs: verdicts on pulses, watchdog datagrams, silence and checks, without false alarm.
//
// It is pure: what was read of a page, what was seen of a thread and the time go in; what to do next comes out. The engine
// reads pages and threads, and owns a Judge (what concerns all pulses of the daemon) and a Watch for each generation of an
// instance that has pulses. A Watch is used only with the Judge that made it, by one goroutine.
//
// How they are used: whenever the engine wakes it first calls Judge.Tick. At the moment that a Watch asked for it reads
// what the instance has and calls Watch.Read; who is late by that is looked at by the edge (api: evidence), and the
// answer goes with a second, fresh reading into Watch.Looked. A verdict on a slot is returned by that one alone: so it
// always rests on two equal readings and on a look at the thread. What is no slot (a check, a page that cannot be read, a
// pulse that never came up, a trigger) needs no look, and is returned by whichever call finds it. Right before the first
// signal the engine reads once more and calls Watch.Confirm.
//
// What is promised:
//   - A moment that is asked for is in the future: an engine that follows never spins. As long as something can become
//     late there is one.
//   - There is one verdict, and silence after it, until Confirm says that it does not stand.
//   - What comes from a service is taken for what it may be: no value of a slot panics, overflows, allocates without bound,
//     or causes more than 32 news a minute. Whatever is stored in a slot is a sign of life, also with an impossible time; a
//     service can keep itself alive, and nothing else.
//   - A reading of who beats allocates nothing, and takes some 50 ns a slot.
//
// The rules, each with a test of its own:
//
//  1. A pulse is late when its limit is over, on a grid of 2 ms; nobody sweeps.
//  2. Silence is counted without stalls: times in which the engine itself did not run.
//  3. Who is traced, frozen, paused, or blocked in a write to a log pipe that stay does not drain is excused, and has one
//     full limit when the excuse ends. SIGSTOP is no excuse.
//  4. A thread that is late and asleep is judged at once. One that wants to run or is in uninterruptible sleep is looked at
//     again after the limit, a second at most: while it starves it is held, for ten limits at most. So are all when three
//     or more and at least half of the live pulses of the daemon, of several instances, are late within one limit and the machine
//     is under pressure.
//  5. Brake: so many verdicts a minute over all instances; the rest wait, first come, first served.
//  6. Nothing is judged before the instance is ready; from then everything has one full limit.
//  7. Evidence comes first: that is the engine's part; Confirm is the judge's.
//  8. Progress is judged only while a slot is busy.
//  9. What is in the intake counts before a verdict: the engine's part. An answer of a check that came late because the
//     asker was late does not count.
//
// 10. A pulse that beats again before the first signal is not killed, and counted.
package judge
