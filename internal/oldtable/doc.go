// Package oldtable guards heartbeat tables in System V shared memory, of programs that know nothing of stay: it shows their
// entries, clears those of the dead, and ends the processes that have not beaten for as long as they said.
//
// A table is an array of 72 bytes an entry (see Entry). A program that lives stores the wall time into its own every few
// seconds. Where the programs have a semaphore around the table, it is taken while the table is read or changed.
//
// What it promises:
//
//   - Who is touched has the table attached for writing, and is the process that was there when the entry was last seen to change. A pid
//     that was given to another process, or that somebody made up, is shown and left alone; so are this process, process
//     1, and whoever is told to belong to somebody else (Options.Owner).
//   - Nothing that stands in a table can do harm: it is copied out, every number is checked, and an entry is compared before
//     it is cleared.
//   - Silence is measured on the monotonic clock, from the last moment at which the time in the entry was seen to change. It
//     is never taken for longer than it was: the second that stands in an entry counts up to its end; time in which this
//     process did not run does not count; when the wall clock jumps, and when a table or an entry is first seen, all begins anew.
//   - A late entry is looked at at its limit (not in rounds), and once more right before the first signal.
//   - A lock that is not given back does not hold anything up: after a moment the table is read without it, and that is said.
//
// Who owns what: Watch has one goroutine that owns table and Guard, which decides and knows no clock; what may take long
// (looking at a process, ending it) has a goroutine each and brings its answer back. Watch returns when all have ended.
package oldtable
