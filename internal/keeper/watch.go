package keeper

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// silentLooks is at how many looks in a row, each on time, an engine has to be silent for too long before it is replaced.
const silentLooks = 2

// watch looks at the engine once a tick: one that is silent for too long is replaced. Who was late himself does not
// judge; a traced engine is not silent.
func (k *Keeper) watch() {
	e := &k.engine
	at := now()
	onTime := at-e.looked < int64(k.limits.Tick*3/2)
	e.looked = at
	k.watchAsked(at)
	if e.conn == nil || e.pid == 0 {
		return
	}
	if e.killed != 0 {
		if at-e.killed >= int64(k.limits.Leave) { // in the kernel, and cannot end: it will not come back from there to do anything
			k.o.Log.Error("engine does not die of SIGKILL: it is left behind", "pid", e.pid)
			k.engineGone()
		}
		return
	}
	if k.upgrading != nil { // it waits, and answers nothing
		e.heard = at
		return
	}
	if e.hello && !e.full {
		k.send(&Message{Kind: Ping})
	}
	quiet := time.Duration(e.quiet(at))
	if quiet < k.silence() || traced(e.pid) {
		e.silent = 0
		return
	}
	if !onTime {
		return
	}
	if e.silent++; e.silent >= silentLooks && !(e.ready == 0 && k.goBack("its engine did not get ready in time")) {
		k.o.Log.Error("engine is silent: it is replaced", "pid", e.pid, "silent_ms", quiet.Milliseconds())
		k.killEngine()
	}
}

// silence is how long this engine may be quiet.
func (k *Keeper) silence() time.Duration {
	if k.engine.ready == 0 {
		return k.limits.Start
	}
	return k.limits.Silence
}

// quiet is how long the engine has said nothing, or has heard nothing, in ns: one that does not read is not there, however
// much it says.
func (e *engineState) quiet(at int64) int64 {
	q := at - e.heard
	if e.deaf != 0 {
		q = max(q, at-e.deaf)
	}
	return q
}

// traced says whether a debugger holds the process.
func traced(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	_, after, ok := strings.Cut(string(data), "\nTracerPid:\t")
	return ok && !strings.HasPrefix(after, "0")
}
