// Package keeper is the process that stands between the kernel and the engine: the parent of every service process,
// child subreaper, holder of descriptors and records. It decides nothing, which is why it can be trusted to live.
//
// What it promises the engine:
//
//   - An order carries a number that grows per unit and is executed once; a Spawn whose generation is not above the
//     highest seen is refused. The record that comes with an order is stored before the order is executed, so what is
//     in the connection when an engine dies is still executed, and the next engine finds the record of it.
//   - Spawned comes before Exited of the same generation, and Exited before TreeEmpty. Each is told to every engine that
//     asks for the List, until a message with Seen for that generation came back.
//   - It keeps one table and no queues: what an engine has not heard is computed from the table. It never waits for an
//     engine that does not read.
//   - An engine that is dead, or silent for too long, is killed, its connection read to the end, and another started.
//
// One goroutine, the loop, owns the table, and makes the processes. Around it are goroutines that own one blocking call each
// and decide nothing: one waits for children, one reads the engine's connection, one a slow exec stage. The process's first
// thread does nothing at all: the kernel gives orphans to it, so that its list of children is exactly the orphans (proctree
// relies on it).
package keeper
