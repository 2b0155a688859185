'use strict';

/**
 * A heartbeat for programs that run under stay. No native code, no dependencies; Node.js 14 or newer; Linux.
 *
 *     const { Pulse } = require('./stay-pulse');
 *
 *     const pulse = new Pulse('requests');
 *     server.on('request', (req, res) => { pulse.beat(); … });
 *
 * stay gives a service a page of shared memory (STAY_PULSE names it) with slots in it. A Pulse is one slot, and a beat is one
 * positioned write into it. If the beats stop for longer than the limit, stay restarts the service and says which pulse
 * stopped, and at what.
 *
 * Promises:
 *   - Not under stay, or with a page that is not one of version 1, or with no slot to be had, every method does nothing. A
 *     program needs no case of its own for that; the property why says the reason, and is null for a pulse that stay sees.
 *     Nothing here throws for what stay does or does not do.
 *   - No slot is written that another writer uses: see claim. Writers in other languages may share the page.
 *
 * A pulse stands for one event loop, and is used in the thread that made it. The main thread of a process needs no more than
 * a name. A worker thread also says which slot is its own, 1 or more, another number for each worker: threads of one process
 * cannot be told apart by what a file holds.
 *
 * A timer that does nothing but beat says that the event loop turns, which is all that many a server can promise: say so with
 * a beat in a setInterval that you write. A loop that waits for an answer that never comes is not found by it: beat where
 * requests end, and pause while there are none.
 */

const fs = require('fs');
const { isMainThread } = require('worker_threads');

const FREE = 0, CLAIMED = 1, BUSY = 2, PAUSED = 3, IDLE = 4;

// A header and a slot have this many bytes; then what lies where in a slot.
const SIZE = 128;
const BEAT = 0, LIMIT = 16, STATE = 24, TID = 28, PROGRESS = 32, NAME = 40, NOTE = 64;

// A claim is looked at again after this many ms, and a slot that is ours after each second of beats.
const PAUSE = 5;
const LOOK = 1000000000n;

const MOST = (1n << 63n) - 1n;
const WORD = (1n << 64n) - 1n;

const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const get32 = (buffer, at) => (little ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at));
const put32 = (buffer, at, n) => (little ? buffer.writeUInt32LE(n, at) : buffer.writeUInt32BE(n, at));
const get16 = (buffer, at) => (little ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at));
const put64 = (buffer, at, n) => (little ? buffer.writeBigUInt64LE(n, at) : buffer.writeBigUInt64BE(n, at));

/** sleep blocks this thread. */
function sleep(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** text encodes a string in size bytes, cut at a character, filled with zeros. */
function text(string, size) {
  const all = Buffer.from(String(string).split('\0', 1)[0], 'utf8');
  let n = Math.min(all.length, size);
  while (n < all.length && n > 0 && (all[n] & 0xc0) === 0x80) n--;
  const field = Buffer.alloc(size);
  all.copy(field, 0, 0, n);
  return field;
}

/** ns turns seconds into what a slot can hold. */
function ns(seconds) {
  if (!(seconds > 0)) return 0n;
  return seconds < 9e9 ? BigInt(Math.round(seconds * 1e9)) : MOST;
}

/** Page is an open page: a descriptor and the number of slots. */
class Page {
  constructor(place) {
    if (!place) throw new Error('STAY_PULSE is not set: this program does not run under stay, or without a pulse');
    this.own = !place.startsWith('fd:');
    if (!this.own && !/^fd:\d{1,9}$/.test(place)) throw new Error('the descriptor that STAY_PULSE names is no number');
    const { O_RDWR, O_NOCTTY, O_NONBLOCK } = fs.constants;
    this.fd = this.own ? fs.openSync(place, O_RDWR | O_NOCTTY | O_NONBLOCK) : Number(place.slice(3));
    try {
      this.slots = this.check();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  check() {
    const info = fs.fstatSync(this.fd);
    const header = Buffer.alloc(SIZE);
    if (!info.isFile() || info.size < 4096 || fs.readSync(this.fd, header, 0, SIZE, 0) !== SIZE ||
        header.toString('latin1', 0, 8) !== 'STAYPULS') {
      throw new Error('what STAY_PULSE names is no pulse page');
    }
    const [version, headerSize, slotSize, slots] = [8, 10, 12, 14].map((at) => get16(header, at));
    if (version !== 1) throw new Error(`the pulse page has version ${version}, this module knows 1`);
    if (headerSize !== SIZE || slotSize !== SIZE || slots === 0) throw new Error('the header of the pulse page is broken');
    if (SIZE * (1 + slots) > info.size) throw new Error('the pulse page is shorter than its header says');
    return slots;
  }

  close() {
    if (this.own) fs.closeSync(this.fd);
  }

  /** read returns a copy of slot i. */
  read(i) {
    const slot = Buffer.alloc(SIZE);
    if (fs.readSync(this.fd, slot, 0, SIZE, SIZE * (1 + i)) !== SIZE) throw new Error('the pulse page was cut off');
    return slot;
  }

  /** write writes all of data into slot i. */
  write(i, at, data) {
    fs.writeSync(this.fd, data, 0, data.length, SIZE * (1 + i) + at);
  }

  /** mark writes a state, or a state and a tid, which are one word, into slot i. */
  mark(i, state, tid) {
    const word = Buffer.alloc(tid === undefined ? 4 : 8);
    put32(word, 0, state);
    if (tid !== undefined) put32(word, TID - STATE, tid);
    this.write(i, STATE, word);
  }

  /**
   * claim takes slot i if it is free. Node.js has neither compare-and-swap on a file nor locks, so it looks three times: before
   * it writes state 1; after that, whether somebody was through with the slot in between; and, having written its process id
   * as the tid, a moment later, whether that still stands there alone. So of two that came at once one goes on, and it is
   * never the other that has compare-and-swap which gives way, for it does not look back. Whoever sleeps for longer than that
   * moment between two of these steps is found by _ours.
   */
  claim(i) {
    const before = this.read(i);
    if (get32(before, STATE) !== FREE) return false;
    this.mark(i, CLAIMED);
    if (this.unchanged(i, before)) {
      this.mark(i, CLAIMED, process.pid);
      put32(before, TID, process.pid);
      sleep(PAUSE);
      if (this.unchanged(i, before)) return true;
    }
    this.settle(i);
    return false;
  }

  /** unchanged compares all of slot i but its state. */
  unchanged(i, before) {
    const now = this.read(i);
    now.copy(before, STATE, STATE, TID);
    return before.equals(now);
  }

  /**
   * settle ends a claim that somebody else won. If that one was through before state 1 was written over its state, nobody but
   * this process knows that the slot is not being claimed any more.
   */
  settle(i) {
    sleep(4 * PAUSE);
    if (get32(this.read(i), STATE) === CLAIMED) this.mark(i, BUSY);
  }
}

/**
 * order lists the slots in the order in which a process tries them. Slot 0 is for writers like this one. Others with
 * compare-and-swap go up from 1, those with locks down from the last, so this begins in the middle.
 */
function order(slots) {
  const middle = slots >> 1;
  const all = [0];
  for (let i = 0; i < slots; i++) {
    const slot = (middle + i) % slots;
    if (slot !== 0) all.push(slot);
  }
  return all;
}

/** Pulse is one heartbeat: a slot of the page, from now until close. The types are in stay-pulse.d.ts. */
class Pulse {
  constructor(name, options = {}) {
    this.name = String(name);
    this.why = null;
    this._page = null;
    this._slot = -1;
    this._tid = isMainThread ? process.pid : 0;
    this._state = BUSY;
    this._field = text(this.name, NOTE - NAME);
    this._looked = 0n;
    this._buffer = Buffer.alloc(16); // beat_ns and count
    this._words = new BigUint64Array(this._buffer.buffer, this._buffer.byteOffset, 2);
    try {
      this._start(ns(options.limit), options.slot);
    } catch (error) {
      this._drop(error.message);
    }
  }

  _start(limit, wanted) {
    if (wanted === undefined && !isMainThread) throw new Error('a worker thread has to say which slot is its own: { slot: 1 }');
    const page = this._page = new Page(process.env.STAY_PULSE);
    if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 0 && wanted < page.slots)) {
      throw new Error(`the pulse page has no slot ${wanted}, only 0 to ${page.slots - 1}`);
    }
    const tries = wanted === undefined ? order(page.slots) : [wanted];
    this._slot = tries.find((i) => page.claim(i));
    if (this._slot === undefined) {
      throw new Error(wanted === undefined ? "every slot of the pulse page is taken: pulse.slots in the service's file gives more"
        : `slot ${wanted} of the pulse page is taken`);
    }
    const rest = Buffer.alloc(SIZE - PROGRESS);
    this._field.copy(rest, NAME - PROGRESS);
    page.write(this._slot, PROGRESS, rest);
    const word = Buffer.alloc(STATE - LIMIT);
    put64(word, 0, limit);
    page.write(this._slot, LIMIT, word);
    this._words[0] = this._looked = process.hrtime.bigint();
    this._words[1] = 1n;
    page.write(this._slot, BEAT, this._buffer);
    page.mark(this._slot, BUSY, this._tid);
  }

  _drop(why) {
    const page = this._page;
    this._page = null;
    this.why = why;
    try {
      if (page) page.close();
    } catch (error) {
      // It was closed by the program, with all its descriptors.
    }
  }

  /** _do runs what writes; what fails ends the pulse, not the program. */
  _do(action) {
    if (this._page === null) return;
    try {
      action(this._page);
    } catch (error) {
      this._drop(error.message);
    }
  }

  /**
   * _ours looks whether the slot still holds what this pulse wrote last, and drops the pulse if another writer did. Of two
   * that share a slot, the one that beat last finds its own beat: so one always stays. State and tid may be what an attempt
   * to claim left; they are put right.
   */
  _ours(page) {
    const slot = page.read(this._slot);
    const state = get32(slot, STATE);
    if (state === FREE || !slot.slice(BEAT, LIMIT).equals(this._buffer) || !slot.slice(NAME, NOTE).equals(this._field)) {
      this._drop('another writer has this slot');
      return false;
    }
    if (state !== this._state || get32(slot, TID) !== this._tid) page.mark(this._slot, this._state, this._tid);
    return true;
  }

  _beat(page, ahead) {
    const now = process.hrtime.bigint();
    if (now - this._looked > LOOK) {
      this._looked = now;
      if (!this._ours(page)) return;
    }
    this._words[0] = now + ahead < MOST ? now + ahead : MOST;
    this._words[1]++;
    fs.writeSync(page.fd, this._buffer, 0, 16, SIZE * (1 + this._slot));
  }

  beat() {
    const page = this._page;
    if (page === null) return;
    try {
      this._beat(page, 0n);
    } catch (error) {
      this._drop(error.message);
    }
  }

  progress(n) {
    const word = Buffer.alloc(8);
    put64(word, 0, BigInt(n) & WORD);
    this._do((page) => {
      page.write(this._slot, PROGRESS, word);
    });
    if (this._state !== BUSY) this._say(BUSY);
  }

  note(string) {
    const field = text(string, SIZE - NOTE);
    this._do((page) => page.write(this._slot, NOTE, field));
  }

  _say(state) {
    this._do((page) => {
      this._beat(page, 0n);
      if (this._page !== null) page.mark(this._slot, this._state = state);
    });
  }

  idle() {
    this._say(IDLE);
  }

  busy() {
    this._say(BUSY);
  }

  pause() {
    this._do((page) => page.mark(this._slot, this._state = PAUSED));
  }

  resume() {
    this._say(BUSY);
  }

  extend(seconds) {
    const ahead = ns(seconds);
    this._do((page) => this._beat(page, ahead));
  }

  close() {
    this._do((page) => {
      if (this._ours(page)) page.mark(this._slot, FREE);
    });
    if (this._page !== null) this._drop('this pulse is closed');
  }
}

module.exports = { Pulse };
