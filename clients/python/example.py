"""A loop with a heartbeat.

    python3 example.py            under stay: command = "python3 example.py", pulse = "2s"

With a number as its argument it ends after as many rounds, without it never. Outside stay it runs the same, without a pulse.
"""

import itertools
import sys
import time

from stay_pulse import Pulse

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 0

with Pulse("rounds") as pulse:
    if pulse.why:
        print("no pulse:", pulse.why)
    for i in range(1, rounds + 1) if rounds else itertools.count(1):
        pulse.note("round %d" % i)
        time.sleep(0.01)  # the work
        pulse.progress(i)
        pulse.beat()
print(rounds, "rounds")
