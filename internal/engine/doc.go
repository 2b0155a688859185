// Package engine decides. One goroutine, the loop, owns every unit, the counters of the graph and the deadlines; it
// applies the pure packages (unit, graph, backoff) to what happens and sends the orders that come out to the keeper,
// each with the unit's new record.
//
// What it promises:
//
//   - Starting and recovering are one path: connect, list, reconcile. An engine that is killed at any point is carried
//     on by the next from the keeper's table and the applied configuration; files are read by `up` and apply only.
//   - An order and the record that explains it are one message. What was decided but not sent is decided again.
//   - Nothing in the loop blocks: no file, no fork, no name service. Who blocks is a goroutine at the edge that owns one
//     descriptor or one question and decides nothing; its answer comes back to the loop.
//   - A panic while one unit is stepped parks that unit, process untouched; the others go on.
//   - Readers get snapshots that nobody changes, built when asked. A slow reader of events gets a gap mark.
package engine
