// Package sysv gives Go programs the three facilities of System V IPC: shared memory, semaphores and message queues, so that
// they can work together with older C programs.
//
// What it promises:
//
//   - Objects are found by a key, as everybody else does. Open wants one that is there, Create one that is not, Make either.
//     Nothing is removed unless Remove is called: an object outlives all processes.
//   - A Memory may be removed while it is attached; the mapping stays valid until Detach. It never shrinks, so looking at it
//     cannot fault. What stands in it belongs to everybody who may write: copy it out, then check it.
//   - A Semaphore that was made by Make is never seen without its first value, and its making is never lost: whoever dies
//     in the middle of it is stood in for.
//   - Operations on a semaphore are taken back by the kernel when the process ends, however it ends (SEM_UNDO), unless NoUndo
//     says otherwise. A process is all its threads; goroutines are not told apart.
//   - Signals never show: what was interrupted goes on. What waits ends when its context does.
//
// What waiting costs: with context.Background() P, Send and Receive wait in the kernel, which holds a thread, and are woken at
// once. With a context that can end, P is woken at once too, but comes back twenty times a second to look at the context (some
// µs each, and a new place at the end of the queue of those who wait): it ends up to 50 ms after a cancel, and on time at a
// deadline. For message queues the kernel knows no time-out at all, so Send and Receive ask again, first after 1 ms, then at
// growing distances of up to 20 ms.
//
// Errors have the system's number inside: errors.Is(err, fs.ErrNotExist) if nothing has the key, fs.ErrExist, fs.ErrPermission,
// syscall.EIDRM or syscall.EINVAL if the object was removed.
//
// The package needs 64-bit Linux (amd64, arm64), and nothing but the standard library. Sources: shmop(2), semop(2),
// msgop(2), sysvipc(7), and include/uapi/linux/{ipc,shm,sem,msg}.h.
package sysv
