'use strict';

// Lets another writer act between two steps of a claim or a beat of stay-pulse.js: fs.readSync and fs.writeSync are wrapped,
// and before the n-th call the other one has its turn. Says for each case whether exactly one of the two has the slot.

const fs = require('fs');
const place = process.env.STAY_PULSE;
const real = { readSync: fs.readSync, writeSync: fs.writeSync };
const fd = fs.openSync(place, 'r+');

let left = -1, turn = null;
for (const name of ['readSync', 'writeSync']) {
  fs[name] = (...args) => {
    if (left-- === 0) turn();
    return real[name](...args);
  };
}

const { Pulse } = require(process.env.STAY_TEST_CLIENT);

const at = 128 * 8; // slot 7
const read = () => {
  const slot = Buffer.alloc(128);
  real.readSync(fd, slot, 0, 128, at);
  return slot;
};
const write = (offset, data) => real.writeSync(fd, data, 0, data.length, at + offset);
const words = (...all) => Buffer.from(new Uint32Array(all).buffer);

// What a writer with compare-and-swap does, in the order in which it does it. It gives way only if the slot is not free.
let won;
const steps = {
  begin() {
    won = read().readUInt32LE(24) === 0;
    if (won) write(24, words(1));
  },
  end() {
    if (!won) return;
    write(28, words(4242));
    write(40, Buffer.from('other'.padEnd(24, '\0')));
    write(0, words(99, 0, 3, 0));
    write(24, words(2));
  },
};

function one(how, n, act) {
  write(0, Buffer.alloc(128));
  won = false;
  left = n;
  turn = act;
  const pulse = new Pulse('mine', { slot: 7 });
  const reached = left < 0;
  left = -1;
  if (how === 'half') {
    // It slept for longer than a claim looks: the next look of a beat finds it.
    steps.end();
    pulse._looked -= 2000000000n;
    pulse.beat();
  }
  const slot = read();
  const state = slot.readUInt32LE(24), tid = slot.readUInt32LE(28), name = slot.toString('utf8', 40, 64).replace(/\0+$/, '');
  const mine = pulse.why === null;
  if (!mine) pulse.beat();
  const good = mine !== won && state === 2 && (won ? name === 'other' : tid === process.pid && name === 'mine');
  pulse.close();
  if (reached) console.log(`${good ? 'ok' : 'bad'} ${how} ${n}: mine ${mine}, other ${won}, state ${state}, tid ${tid}, name ${name}`);
  return reached;
}

// The other one goes through all its steps before the n-th call; or begins there, and ends when the claim is over.
let cases = 0;
for (let n = 1; one('whole', n, () => { steps.begin(); steps.end(); }); n++) cases++;
for (let n = 1; n < 5; n++, cases++) one('half', n, steps.begin);

// Both have the slot: who finds that the other beat last gives way, and does not touch the slot.
write(0, Buffer.alloc(128));
const pulse = new Pulse('mine', { slot: 7 });
pulse._looked -= 2000000000n;
write(0, words(1, 2, 3, 4));
const before = read();
pulse.beat();
console.log(`${pulse.why === 'another writer has this slot' && before.equals(read()) ? 'ok' : 'bad'} shared: ${pulse.why}`);

// An attempt of another process to claim it left its marks: they are put right.
write(0, Buffer.alloc(128));
const again = new Pulse('mine', { slot: 7 });
again.pause();
again._looked -= 2000000000n;
write(24, words(1, 4242));
again.beat();
const slot = read();
console.log(`${again.why === null && slot.readUInt32LE(24) === 3 && slot.readUInt32LE(28) === process.pid ? 'ok' : 'bad'} marks: ${again.why}`);
console.log(`end ${cases}`);
