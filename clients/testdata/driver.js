'use strict';

// Does with pulses what standard input says: see driver.c.

const fs = require('fs');
const { Pulse } = require(process.env.STAY_TEST_CLIENT);

const pulses = new Map();

function start(key, rest) {
  const [, limit, name] = /^(\d+) (.*)$/.exec(rest);
  const pulse = new Pulse(name, { limit: Number(limit) / 1e9 });
  pulses.set(key, pulse);
  return pulse.why === null ? `ok ${process.pid}` : `no ${pulse.why}`;
}

function slot(key, rest) {
  const [, number, name] = /^(\d+) (.*)$/.exec(rest);
  const pulse = new Pulse(name, { slot: Number(number) });
  pulses.set(key, pulse);
  return pulse.why === null ? 'ok' : `no ${pulse.why}`;
}

function bench(key, count) {
  const pulse = pulses.get(key);
  const begin = process.hrtime.bigint();
  for (let i = 0; i < count; i++) pulse.beat();
  return `ok ${process.hrtime.bigint() - begin}`;
}

const orders = {
  start,
  slot,
  bench,
  unset: () => { delete process.env.STAY_PULSE; },
  why: (key) => `ok ${pulses.get(key).why}`,
  beat: (key) => pulses.get(key).beat(),
  progress: (key, n) => pulses.get(key).progress(BigInt(n)),
  note: (key, text) => pulses.get(key).note(text),
  idle: (key) => pulses.get(key).idle(),
  busy: (key) => pulses.get(key).busy(),
  pause: (key) => pulses.get(key).pause(),
  resume: (key) => pulses.get(key).resume(),
  extend: (key, n) => pulses.get(key).extend(Number(n) / 1e9),
  close: (key) => pulses.get(key).close(),
};

const byte = Buffer.alloc(1);
let line = [];
while (fs.readSync(0, byte, 0, 1) === 1) {
  if (byte[0] !== 10) {
    line.push(byte[0]);
    continue;
  }
  const [, order, key, rest] = /^(\S+) (\d+) ?(.*)$/.exec(Buffer.from(line).toString());
  line = [];
  const answer = orders[order] ? orders[order](Number(key), rest) || 'ok' : 'unknown';
  fs.writeSync(1, answer + '\n');
}
