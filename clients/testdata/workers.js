'use strict';

// A main thread and two worker threads, each with a pulse; a third worker that does not say which slot is its own, and a fourth
// that names one that is taken. Says what became of each, and beats until its standard input ends.

const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const { Pulse } = require(process.env.STAY_TEST_CLIENT);

if (isMainThread) {
  const pulse = new Pulse('main');
  const wishes = [['a', 5], ['b', 6], ['none', undefined], ['taken', 5]];
  const next = () => {
    if (wishes.length === 0) {
      console.log(`main ${pulse.why}`);
      return;
    }
    const [name, slot] = wishes.shift();
    new Worker(__filename, { workerData: { name, slot } }).on('message', (text) => {
      console.log(text);
      next();
    });
  };
  next();
  process.stdin.on('end', () => process.exit(0)).resume();
} else {
  const pulse = new Pulse(workerData.name, workerData.slot === undefined ? {} : { slot: workerData.slot });
  pulse.beat();
  parentPort.postMessage(`${workerData.name} ${pulse.why}`);
}
