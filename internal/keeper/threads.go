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

// catchSignals has HUP, INT and TERM sent to the loop and everything else that would end the process thrown away. The
// signals are caught, not ignored: a service that is exec'ed directly finds them at their defaults.
func catchSignals(to chan<- os.Signal) {
	signal.Notify(to, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	rest := make(chan os.Signal, 1)
	signal.Notify(rest, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGVTALRM,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGIO, syscall.SIGPWR,
		syscall.SIGSYS, syscall.SIGTRAP, syscall.SIGSTKFLT)
	go func() {
		for range rest {
		}
	}()
}
