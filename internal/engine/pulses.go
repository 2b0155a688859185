package engine

import (
	"time"

	"example.com/stay/internal/judge"
)

// This file: signs of life, on their way from the edge to the judge. All of it runs on the loop.

// beatNoted takes WATCHDOG=1.
func (e *Engine) beatNoted(in *inst) {}

// triggerNoted takes WATCHDOG=trigger.
func (e *Engine) triggerNoted(in *inst) {}

// watchdogNoted takes WATCHDOG_USEC.
func (e *Engine) watchdogNoted(in *inst, limit time.Duration) {}

// checkFailed takes the bad answer of a check of generation gen that has failed too often, and whose then is restart.
func (e *Engine) checkFailed(in *inst, gen uint64, check string, failures int, message string) {}

// outputNoted takes the moment of the last output.
func (e *Engine) outputNoted(in *inst, gen uint64) {}

// tableNoted takes the entries of old tables that belong to processes of generation gen; nil: none any more.
func (e *Engine) tableNoted(in *inst, gen uint64, entries []judge.Slot) {}
