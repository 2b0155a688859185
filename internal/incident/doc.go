// Package incident keeps the records of ended generations: one JSON file each, which grep and jq read too.
//
// What it promises:
//
//   - A file appears whole or not at all: it is written under another name, then renamed. It belongs to the daemon, 0640,
//     and is opened below the directory's descriptor without following links.
//   - Time and instance stand in the name, so a list is made without opening what it does not need. The name is the ID.
//   - What is kept is bounded by number and by age; the last few of each instance stay longest.
//   - What cannot be read, by whoever it was put there, is skipped. An ID that is no file name of ours is nothing that exists.
//
// A Store is one writer's, a daemon's; any number of processes may read at the same time, also when there is no daemon.
package incident
