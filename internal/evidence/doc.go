// Package evidence sees what processes do, without touching them: everything comes from /proc, the cgroup and the kernel's
// log.
//
// What it promises:
//
//   - Look tells in some 50 µs what one thread is doing, for the judge. Take sees a whole tree, for people.
//   - Take ends with its context, and what it returns is bounded. What cannot be read is named in Missing, with the reason,
//     once. A process or thread that vanishes while it is read is left out.
//   - Reads that need the target's memory lock can hang for as long as the target holds it. They come last, in a goroutine
//     of their own of which there is one at most, and never while a thread of the target sleeps uninterruptibly.
//   - Everything that comes out is printable. The environment is never read.
package evidence
