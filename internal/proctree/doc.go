// Package proctree keeps together all processes of one generation, however they hide: a Tree can be listed, signalled,
// killed whole, and known to be empty.
//
// It is for a process that is child subreaper (or PID 1) of everything it starts, whose first thread never forks, and that
// alone reaps. Nothing here waits, reaps, starts a goroutine or is safe for concurrent use: one goroutine calls
// everything, and the processes it has not reaped are the ones whose pids it can trust.
//
// Where a cgroup2 can be made, a Tree is a group, and the kernel does the book-keeping: nobody leaves it but with root's
// rights. Otherwise it is found by descent. Whoever loses his parent becomes a child of this process's first thread, so
// the trees are what descends from their main processes and from these orphans. An orphan belongs to the tree in whose
// session it is; else to the one that remembers it; else to the one whose mark is in its environment; else to the one
// whose log pipe is its output. What it remembers comes before what the process can set itself. A process in none
// of these, born after the last Remember, of parents that ended before they were seen, escapes: it has no owner.
//
// Everything in /proc is written by others and may vanish while it is read: what cannot be read is not there. A process is
// a pid and a start time, and both are compared right before each signal, so a pid that was used again is never hit.
// Zombies are no members: nothing of them runs any more.
package proctree
