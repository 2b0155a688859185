// Command chaos runs a set of services under a real stayd and breaks what can be broken, for a given time and by a given
// seed, while it checks what stay promises:
//
//   - No unit has two generations: every process of a generation holds the lock of its instance, so who finds it held has
//     found the proof.
//   - Who is wanted comes back, within bound once nothing is broken any more; who was stopped stays so.
//   - The control socket is never refused while a keeper or an engine lives, and the status is answered within
//     answerBound.
//   - Every line that a service has written is in its log, whole and in order; lines are repeated only where somebody of
//     stay was killed.
//   - Events carry growing numbers, and a hole among them is marked.
//   - At quiet points the same configuration has the same processes, descriptors and threads as at the first.
//   - `stay down` leaves no process, socket, lock, memory directory or cgroup.
//
// The same seed injects the same things in the same order; what they hit depends on the machine. On a violation it prints
// the seed, the last injections with their times, the status and the daemon's log, keeps the directory and exits 1.
//
// Ownership: run.go owns the course of a run; a daemon its processes; the stage what is configured and wanted; each
// injection undoes itself before it returns; the watchers only look. The services are this program too (see actor).
package main
