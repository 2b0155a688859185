"""Sixteen threads, each with a pulse, of which one hangs when it is told to: it waits for a lock that it never gets.

    python3 example_threads.py [--threads N] [--hang K] [--hang-after SECONDS]

Threads are worker-00, worker-01, …; worker-K (5 if not said) hangs SECONDS after the start; without --hang-after nobody does.
`stay why` then names the thread, what it was at, and where in the kernel it was blocked.
"""

import argparse
import itertools
import threading
import time

from stay_pulse import Pulse

parser = argparse.ArgumentParser(description="threads with pulses, of which one hangs")
parser.add_argument("--threads", type=int, default=16)
parser.add_argument("--hang", type=int, default=5, metavar="K")
parser.add_argument("--hang-after", type=float, default=None, metavar="SECONDS")
args = parser.parse_args()

held = threading.Lock()  # by the main thread, for ever
begin = time.monotonic()


def work(me):
    with Pulse("worker-%02d" % me) as pulse:
        if pulse.why:
            print("%s: no pulse: %s" % (pulse.name, pulse.why), flush=True)
        for job in itertools.count(1):
            pulse.note("job %d" % job)
            if me == args.hang and args.hang_after is not None and time.monotonic() - begin >= args.hang_after:
                pulse.note("waiting for the lock of the index")
                print(pulse.name, "hangs", flush=True)
                held.acquire()
            time.sleep(0.01)
            pulse.progress(job)
            pulse.beat()


held.acquire()
workers = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(args.threads)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
