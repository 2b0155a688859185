package engine

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/unit"
)

// A record is what the keeper stores of a unit for the next engine. Fields are only ever added.
type record struct {
	Service   string    `json:"service"`
	Number    int       `json:"number"`
	Unit      unit.Unit `json:"unit"`
	Spec      string    `json:"spec,omitzero"`   // hash of what the process was started with
	Status    string    `json:"status,omitzero"` // last STATUS= text
	Parked    string    `json:"parked,omitzero"` // the panic that parked it
	LastPid   int       `json:"last_pid,omitzero"`
	Errno     string    `json:"errno,omitzero"`
	Reloading unit.Time `json:"reloading,omitzero"`
	Unready   unit.Time `json:"unready,omitzero"` // since when no instance of the service is ready
	Paid      int64     `json:"paid,omitzero"`    // of the bucket of crash restarts

	Verdict *api.Verdict  `json:"verdict,omitzero"` // that it is ending for
	Told    time.Duration `json:"told,omitzero"`    // the limit of silence that its process was told
	Asked   time.Duration `json:"asked,omitzero"`   // the limit of WATCHDOG_USEC
	Beats   bool          `json:"beats,omitzero"`   // by WATCHDOG=1
	Times   *jobTime      `json:"times,omitzero"`   // of a job with a cron line
}

// A mode is what the daemon as a whole is about.
type mode string

const (
	running   mode = "running"
	goingDown mode = "going down"
)

// A daemonRecord is what the keeper stores of the daemon.
type daemonRecord struct {
	Mode mode     `json:"mode"`
	Only []string `json:"only,omitzero"`
	Seq  uint64   `json:"seq"`           // event numbers below it may have been given out
	Now  bool     `json:"now,omitzero"`  // going down without asking first
	Done uint64   `json:"done,omitzero"` // number of the last agenda that was carried out
	Left bool     `json:"-"`             // Shutdown was ordered

	Upgrade *upgradeRecord `json:"upgrade,omitzero"` // the last one; nil: there was none
}

// An agenda is what comes with a configuration and does not follow from comparing it with what runs. It travels in one
// message with it, so that an engine's death leaves both or neither.
type agenda struct {
	Number uint64         `json:"number"`         // grows with each
	Start  []string       `json:"start,omitzero"` // services to be started, with what they need
	Stop   []string       `json:"stop,omitzero"`  // services to be stopped
	Grow   map[string]int `json:"grow,omitzero"`  // services that run, and above which number their instances are new and to run too
}

func mustJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data: cannot fail
	}
	return data
}

// monotonic is CLOCK_MONOTONIC in nanoseconds, the same in every process of this boot.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
