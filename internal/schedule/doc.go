// Package schedule says when a job runs: at the times of a cron line, or a span after its last run; and what becomes of a time
// that comes while a run is under way, or that nobody was there for.
//
// It is pure: the moments come in as values, the time zone too, and what has to be remembered is a State that the caller
// keeps (plain data, survives JSON). So every decision can be made again by the next engine.
//
// Times of a cron line are wall-clock times of its zone. Around the two changes of a year this is promised:
//
//   - A time that the clock skips is made up for right after the change, once.
//   - A time that comes twice is used once, the first time, unless the hour is a wildcard: "*/10 * * * *" goes on every ten
//     minutes whatever the clock shows.
package schedule
