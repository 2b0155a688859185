"""Does with pulses what standard input says: see driver.c."""

import os
import sys
import threading
import time

from stay_pulse import Pulse

pulses = {}


def everything(pulse):
    pulse.beat()
    pulse.extend(1)
    pulse.note("from the child")
    pulse.progress(999)
    pulse.pause()
    pulse.idle()


def fork(key, name):
    child = os.fork()
    if child == 0:
        for pulse in pulses.values():
            everything(pulse)
            pulse.close()
        own = Pulse(name)
        own.beat()
        os._exit(own.why is not None)
    return ("ok %d" if os.waitpid(child, 0)[1] == 0 else "no %d") % child


def start(key, text):
    limit, _, name = text.partition(" ")
    pulses[key] = Pulse(name, int(limit) / 1e9)
    return "no " + pulses[key].why if pulses[key].why else "ok %d" % threading.get_native_id()


def task(key, text):
    pulses[key] = Pulse(text, thread=False)


def threads(n, _):
    def one(number):
        pulses[number] = Pulse("thread-%d" % number)
        pulses[number].beat()

    all = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for thread in all:
        thread.start()
    for thread in all:
        thread.join()
    failures = sum(pulses[i].why is not None for i in range(n))
    return "%s %d" % ("no" if failures else "ok", failures)


def bench(key, text):
    beat = pulses[key].beat
    rounds = range(int(text))
    begin = time.monotonic_ns()
    for _ in rounds:
        beat()
    return "ok %d" % (time.monotonic_ns() - begin)


orders = {
    "start": start,
    "task": task,
    "fork": fork,
    "threads": threads,
    "bench": bench,
    "unset": lambda key, text: os.environ.pop("STAY_PULSE", None) and None,
    "beat": lambda key, text: pulses[key].beat(),
    "progress": lambda key, text: pulses[key].progress(int(text)),
    "note": lambda key, text: pulses[key].note(text),
    "idle": lambda key, text: pulses[key].idle(),
    "busy": lambda key, text: pulses[key].busy(),
    "pause": lambda key, text: pulses[key].pause(),
    "resume": lambda key, text: pulses[key].resume(),
    "extend": lambda key, text: pulses[key].extend(int(text) / 1e9),
    "close": lambda key, text: pulses[key].close(),
}

for line in sys.stdin:
    order, key, *text = line.rstrip("\n").split(" ", 2)
    print(orders[order](int(key), text[0] if text else "") or "ok" if order in orders else "unknown", flush=True)
