"""A heartbeat for programs that run under stay. Standard library only; Python 3.8 or newer; Linux.

    from stay_pulse import Pulse

    with Pulse("acceptor") as pulse:
        while True:
            pulse.beat()
            work()

stay gives a service a page of shared memory (STAY_PULSE names it) with slots in it. A Pulse is one slot, and a beat is two
stores into it: no system call, well below a microsecond. If the beats stop for longer than the limit, stay restarts the
service and says which pulse stopped, and at what.

Promises:

- Not under stay, or with a page that is not one of version 1, or with every slot taken, every method does nothing. A program
  needs no case of its own for that; the attribute why says the reason, and is None for a pulse that stay sees. Nothing here
  raises an exception for what stay does or does not do.
- No other slot is ever written. Writers in other languages may share the page: see _claim.
- In a child made by os.fork (so also by multiprocessing) the parent's pulses do nothing, and it may start its own.

Who owns what: a Pulse belongs to one thread, which alone calls its methods. Its native thread id is in the slot, so that stay
can look at that thread when the pulse is late. For what is no thread (one asyncio task of many) say thread=False. An asyncio
program needs one pulse for its loop, with a beat in the code that does the work.

There is nothing here that beats by itself, on purpose. A timer, a thread or a periodic task that beats for others says that
the timer lives: the loop that it stands for may be dead for hours. Beat where the work is done.

A thread that will end closes its pulse first (with does). One that ends without that, by an exception for example, is reported
as lost; a pulse that is merely forgotten by a living thread falls silent, and the service is restarted for it.

All numbers are stored as aligned words of 8 or 4 bytes, which CPython copies in one instruction on 64-bit machines.
"""

import fcntl
import mmap
import os
import stat
import struct
import sys
import threading
from time import monotonic_ns

__all__ = ["Pulse"]

_FREE, _CLAIMED, _BUSY, _PAUSED, _IDLE = range(5)

_HEADER = struct.Struct("=8sHHHH")  # magic, version, header_size, slot_size, slot_count
_SLOT = 128  # bytes, of the header too

# A slot as words of 8 bytes, and its state and tid as words of 4.
_BEAT, _COUNT, _LIMIT, _PROGRESS = 0, 1, 2, 4
_NAME, _NOTE, _END = 5, 8, 16
_STATE, _TID = 6, 7

_MOST = (1 << 63) - 1  # ns


class _Page:
    """The page of this process: its mapping, and a descriptor for locks."""

    def __init__(self, place):
        """Opens what STAY_PULSE says. Raises OSError or ValueError."""
        fd = _open(place)
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_size < 4096:
                raise ValueError("what STAY_PULSE names is no pulse page")
            self.map = mmap.mmap(fd, info.st_size)
            self.slots = _check(self.map, info.st_size)
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd
        self.identity = (info.st_dev, info.st_ino)
        self.words = memoryview(self.map).cast("Q")
        self.halves = memoryview(self.map).cast("I")

    def lock(self, slot):
        """Takes the byte lock on a slot's state without waiting. False: somebody else has it.

        If there is no lock to be had (the program closed all descriptors, say) the look and the store of _claim are all that
        keeps writers apart.
        """
        return self._range(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(self, slot):
        self._range(slot, fcntl.LOCK_UN)

    def _range(self, slot, kind):
        try:
            info = os.fstat(self.fd)
            if (info.st_dev, info.st_ino) != self.identity:
                return True
            fcntl.lockf(self.fd, kind, 4, _SLOT * (1 + slot) + 4 * _STATE)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            pass
        return True


def _open(place):
    if not place:
        raise ValueError("STAY_PULSE is not set: this program does not run under stay, or without a pulse")
    if place.startswith("fd:"):
        if not (place[3:].isascii() and place[3:].isdigit()) or len(place) > 12:
            raise ValueError("the descriptor that STAY_PULSE names is no number")
        return fcntl.fcntl(int(place[3:]), fcntl.F_DUPFD_CLOEXEC, 3)
    return os.open(place, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)


def _check(page, size):
    """Returns the number of slots, or raises ValueError."""
    magic, version, header_size, slot_size, slot_count = _HEADER.unpack_from(page)
    if magic != b"STAYPULS":
        raise ValueError("what STAY_PULSE names is no pulse page")
    if version != 1:
        raise ValueError("the pulse page has version %d, this module knows 1" % version)
    if header_size != _SLOT or slot_size != _SLOT or slot_count == 0:
        raise ValueError("the header of the pulse page is broken")
    if _SLOT * (1 + slot_count) > size:
        raise ValueError("the pulse page is shorter than its header says")
    return slot_count


# _mutex guards what follows. Nobody holds it while waiting for anything. A signal handler may close a pulse while the main
# thread starts one.
_mutex = threading.RLock()
_page = None
_alive = {}  # slot -> Pulse: a forgotten pulse falls silent, it does not leave in secret


def _forked():
    """Runs in a forked child: what was inherited is the parent's."""
    global _mutex, _page
    _mutex = threading.RLock()
    for pulse in _alive.values():
        pulse._drop("this pulse is the parent's, from before the fork")
    _alive.clear()
    page, _page = _page, None
    if page is not None:
        try:
            os.close(page.fd)
        except OSError:
            pass


os.register_at_fork(after_in_child=_forked)


def _claim(page):
    """Takes a slot, so that its state is 1 and its tid the caller's. None: all are taken. The caller holds _mutex.

    Python has no compare-and-swap. Those who claim with it hold the same byte lock while they do, and begin at slot 1 and go
    up; this begins at the other end. Slot 0 comes last: it is for writers that can only write a file. State and tid are one
    word, stored at once.
    """
    for slot in [*range(page.slots - 1, 0, -1), 0]:
        base = 32 * (1 + slot)
        if page.halves[base + _STATE] != _FREE or not page.lock(slot):
            continue
        try:
            if page.halves[base + _STATE] != _FREE:
                continue
            mine = struct.pack("=II", _CLAIMED, threading.get_native_id())
            page.words[(base + _STATE) // 2] = int.from_bytes(mine, sys.byteorder)
        finally:
            page.unlock(slot)
        return slot
    return None


def _text(text, size):
    """Encodes text in size bytes, cut at a character, filled with zeros."""
    data = text.encode("utf-8", "replace").split(b"\0", 1)[0]
    if len(data) > size:
        data = data[:size].decode("utf-8", "ignore").encode("utf-8")
    return data.ljust(size, b"\0")


class Pulse:
    """One heartbeat: a slot of the page, from now until close.

    name says which loop this is, up to 24 bytes of UTF-8 (more are cut). limit is the longest silence in seconds; None or 0
    means the one configured for the service. thread=False: no thread stands for this pulse. The first beat is made.
    """

    __slots__ = ("name", "why", "_words", "_halves", "_slot")

    def __init__(self, name, limit=None, *, thread=True):
        self.name = name
        self.why = None
        self._words = self._halves = self._slot = None
        try:
            self._start(limit, thread)
        except (OSError, ValueError) as error:
            self._drop(str(error))
        except BaseException:  # KeyboardInterrupt, say, with a slot half claimed
            self.close()
            raise

    def _start(self, limit, thread):
        global _page
        limit, name = _ns(limit), _text(self.name, 24)
        with _mutex:
            if _page is None:
                _page = _Page(os.environ.get("STAY_PULSE"))
            slot = _claim(_page)
            if slot is None:
                raise ValueError("every slot of the pulse page is taken: pulse.slots in the service's file gives more")
            words = _page.words[16 * (1 + slot):16 * (2 + slot)]
            self._halves = _page.halves[32 * (1 + slot):32 * (2 + slot)]
            self._slot = slot
            _alive[slot] = self
        words[_LIMIT] = limit
        words[_PROGRESS] = 0
        words[_NAME:_NOTE] = memoryview(name).cast("Q")
        words[_NOTE:_END] = memoryview(bytes(64)).cast("Q")
        if not thread:
            self._halves[_TID] = 0
        words[_COUNT] = 1
        words[_BEAT] = monotonic_ns()
        self._words = words
        self._halves[_STATE] = _BUSY

    def _drop(self, why):
        self._words = self._halves = self._slot = None
        self.why = why

    def beat(self):
        """Says: this loop is alive."""
        words = self._words
        if words is not None:
            words[0] = monotonic_ns()
            words[1] = words[1] + 1 & 0xFFFFFFFFFFFFFFFF

    def progress(self, n):
        """Stores a number (0 to 2**64-1) that grows when real work is done, and says busy.

        It is judged where the service's file asks for it: a busy loop that beats while its number stands still is stuck. If
        the pulse was idle or paused this is a beat, else it is not.
        """
        words = self._words
        if words is not None:
            words[_PROGRESS] = int(n) & 0xFFFFFFFFFFFFFFFF
            if self._halves[_STATE] != _BUSY:
                self._say(_BUSY)

    def note(self, text):
        """Says what is being done now, up to 64 bytes of UTF-8; stay shows it. It is no beat."""
        words = self._words
        if words is not None:
            words[_NOTE:_END] = memoryview(_text(text, 64)).cast("Q")

    def idle(self):
        """Beats, and says that there is nothing to do: beats are still expected, progress is not."""
        self._say(_IDLE)

    def busy(self):
        """Beats, and ends idle."""
        self._say(_BUSY)

    def pause(self):
        """Says that no beat comes until resume, for example before a read that may wait for ever. It is no beat."""
        if self._words is not None:
            self._halves[_STATE] = _PAUSED

    def resume(self):
        """Beats, and ends a pause."""
        self._say(_BUSY)

    def _say(self, state):
        words, halves = self._words, self._halves
        if words is not None:
            self.beat()
            halves[_STATE] = state

    def extend(self, seconds):
        """Beats that long in advance: the limit counts from then. stay grants no more than the service's extend_max.

        The next beat ends it.
        """
        words = self._words
        if words is not None:
            words[_BEAT] = min(monotonic_ns() + _ns(seconds), _MOST)
            words[_COUNT] = words[_COUNT] + 1 & 0xFFFFFFFFFFFFFFFF

    def close(self):
        """Gives the slot back. After that, and once more, every method does nothing."""
        with _mutex:
            halves, slot = self._halves, self._slot
            if halves is None:
                return
            _alive.pop(slot, None)
            self._drop("this pulse is closed")
            halves[_STATE] = _FREE

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return "<Pulse %r%s>" % (self.name, ": " + self.why if self.why else "")


def _ns(seconds):
    """Seconds, or None, as ns from 0 to what a slot can hold."""
    if not seconds or not seconds > 0:
        return 0
    return round(min(seconds * 1e9, 2.0**62)) if isinstance(seconds, float) else min(int(seconds * 10**9), _MOST)
