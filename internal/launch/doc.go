// Package launch is the last step before a program runs: what execve(2) needs is prepared on one side, and on the other
// the exec stage turns a forked stayd into the program.
//
// Prepare answers, for one Request, which file is executed by whom and in what directory, and whether fork and exec alone
// will do (Direct). It may block for as long as a file system or a name service does, so it belongs on a goroutine that
// nothing waits for. It is safe for concurrent use and owns nothing but a small cache.
//
// Main is the role `stayd exec`. It owns its whole process, which becomes the program or writes one Failure and ends: no
// third way. A program started by it finds nothing of the Go runtime: the soft limit of open files is the one stayd was
// started with (or the plan's), no descriptor was added, no signal is blocked. Dispositions of signals are left alone:
// handlers end with execve, and what is ignored was ignored by the parent.
//
// Privileges are given up in an order that no stage after it can need them: what only root may do comes first, and what
// could strangle this process itself (address space, data, number of processes) comes last.
package launch
