// Package slo makes figures of a journal: how long each service was up and down, how often and of what it died, how long it
// lived and how long its recovery took. It is a function of events; it reads nothing and has no clock.
//
// What it promises:
//
//   - Up is "running": ready. Down is every other time in which the service was wanted, its first start, its restarts and the
//     wait for what it needs included. Time in which nobody wanted it, or it was done, counts as neither.
//   - Time of which nothing is known counts as neither too, and is told: stay did not run, or events are missing. Of a stretch
//     without events it is known to the minute until when stay was there.
//   - Within one boot of the machine time is that of the monotonic clock: a wall clock that is set changes nothing, and time
//     in which the machine slept does not exist. Between two boots it is wall time.
//   - Of jobs there is nothing: they are to end.
//   - A death is the end of a generation. It is a failure unless it was asked for (a command, an apply, the loss of what it
//     needs), or was a success that nothing follows.
package slo
