// Package page makes and reads pulse pages: files in memory that a service and stay share, in which the service's loops store
// their heartbeats. The layout is a public contract, docs/reference/pulse-page.md; package pulse is its writer in Go.
//
// Make makes a page for one generation, always a new inode: a process of an earlier generation goes on writing into the file
// that it knows, and nobody reads that any more. Who has the file reads it with Read, as long as the generation lives, also
// after Remove and through a descriptor that another process kept.
//
// What it promises about a page that is hostile, and every page is:
//
//   - Nothing is mapped. A page is read with pread into the reader's own memory, so a file that is cut off in that moment gives
//     an error, not SIGBUS.
//   - Only the configured slots are read. The header is written once and never read back; what a service writes there, or behind
//     the last slot, changes nothing.
//   - Every number that Read returns is in the range that Slot states, whatever was there. Names and notes are valid UTF-8 without
//     control characters, and no longer than their fields.
//   - Read allocates nothing once its Buffer has grown, and builds no strings; those are made when they are asked for.
//   - A page that cannot be read is a *Broken, with a phrase for people.
//
// # Torn reads
//
// Nothing locks a page. The kernel copies it while the service writes, so one reading may show a beat without its count, half
// of a note, or in theory half of a number. None of that is out of range, but a beat of which only one half is new may look
// older than it is. A writer that beats changes what the next reading shows; so who judges rests a verdict on two readings
// that are equal. Slots are comparable for that.
package page
