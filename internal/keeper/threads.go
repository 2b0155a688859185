package keeper

import (
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// threads is how many are made before the first service: the runtime dies when the kernel refuses it one (RLIMIT_NPROC,
// pids.max), and it makes one only when none is idle. Loop, waiter, reader of the engine, signals, a few stages.
const threads = 12

// startThreads makes the threads and leaves them idle.
func startThreads() {
	var all, done sync.WaitGroup
	all.Add(threads)
	done.Add(threads)
	for range threads {
		go func() {
			runtime.LockOSThread()
			all.Done()
			all.Wait() // all hold a thread of their own at this moment
			runtime.UnlockOSThread()
			done.Done()
		}()
	}
	done.Wait()
}

// caught are the signals that are caught; the first of them, heard in number, are for the loop.
var caught = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM,
	syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGVTALRM,
	syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGIO, syscall.SIGPWR,
	syscall.SIGSYS, syscall.SIGTRAP, syscall.SIGSTKFLT}

const heard = 3

// catchSignals has HUP, INT and TERM sent to the loop and everything else that would end the process thrown away. The
// signals are caught, not ignored: a service that is exec'ed directly finds them at their defaults.
func catchSignals(to chan<- os.Signal) {
	for _, s := range caught[:heard] {
		signal.Notify(to, s)
	}
	rest := make(chan os.Signal, 1)
	for _, s := range caught[heard:] {
		signal.Notify(rest, s)
	}
	go func() {
		for range rest {
		}
	}()
}
