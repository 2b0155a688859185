// Package journal is the form of the journal: an event is one line of JSON, at most MaxLine bytes, and what is read back
// of many lines is events in order. It reads and writes no files: lines come from package capture, which keeps the journal
// like any other log, or from wherever somebody copied them to.
//
// What it promises:
//
//   - A line is never longer than MaxLine, its newline included, so that one write(2) to a pipe is whole or is refused. What
//     does not fit is cut, visibly, the longest text first.
//   - Whatever the lines are, reading goes on: a line that is torn, binary, of somebody else, or older than what was read
//     already is left out and counted.
//   - Events come in the order of their numbers, each once. Where numbers are missing and nothing explains it there is an
//     event of kind "gap" that says how many.
package journal
