package engine

import (
	"encoding/json"

	"golang.org/x/sys/unix"

	"example.com/stay/internal/unit"
)

// A record is what the keeper stores of a unit for the next engine. Fields are only ever added.
type record struct {
	Service string    `json:"service"`
	Number  int       `json:"number"`
	Unit    unit.Unit `json:"unit"`
	Spec    string    `json:"spec,omitzero"`   // hash of what the process was started with
	Status  string    `json:"status,omitzero"` // last STATUS= text
	Parked  string    `json:"parked,omitzero"` // the panic that parked it
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
	Seq  uint64   `json:"seq"`          // event numbers below it may have been given out
	Now  bool     `json:"now,omitzero"` // going down without asking first
	Left bool     `json:"-"`            // Shutdown was ordered
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
