'use strict';

// An HTTP server with a heartbeat: it beats for each request, and pauses while there are none, so that a request that is never
// answered is found, and a night without visitors is none.
//
//     node example.js [PORT]            under stay: command = "node example.js [PORT]", pulse = "2s"
//
// It says on which port it listens. Outside stay it runs the same, without a pulse.

const http = require('http');
const { Pulse } = require('./stay-pulse');

const pulse = new Pulse('requests');
if (pulse.why !== null) console.log(`no pulse: ${pulse.why}`);
pulse.pause();

let open = 0, answered = 0;

const server = http.createServer((request, response) => {
  if (open++ === 0) pulse.resume();
  pulse.note(`${request.method} ${request.url}`);
  response.on('close', () => {
    pulse.progress(++answered);
    if (--open === 0) pulse.pause();
    else pulse.beat();
  });
  if (request.url !== '/hang') response.end('ok\n');
});

server.listen(Number(process.argv[2] || 0), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`);
});
