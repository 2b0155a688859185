package api

import "time"

// A Cause says what kind of end an incident is about. Each is another thing to do for the operator.
type Cause string

// The causes.
const (
	CauseExit         Cause = "exit"          // it ended by itself, with a code
	CauseSignal       Cause = "signal"        // a signal that stay did not send ended it; a crash is one with Core or a signal like SEGV
	CauseOOM          Cause = "oom"           // the kernel's out-of-memory killer
	CauseHang         Cause = "hang"          // a verdict on a pulse, or on silence; see Verdict
	CauseCheck        Cause = "check"         // a check failed too often; see Verdict
	CauseOverLimit    Cause = "over-limit"    // over a limit of its own
	CauseStartTimeout Cause = "start-timeout" // not ready within start_timeout
	CauseExec         Cause = "exec"          // no process came of it: Stage and Errno say where and why
	CauseDependency   Cause = "dependency"    // something it needs was lost
	CauseOperator     Cause = "operator"      // somebody asked for it; see By
	CauseChanged      Cause = "apply"         // an apply changed what it was started with
	CauseRunTimeout   Cause = "run-timeout"   // a run of a job took longer than its timeout
	CauseKeeper       Cause = "keeper"        // the keeper was dead when it ended: there is no status
)

// An Incident is the stored record of the end of one generation. What is not known is zero.
type Incident struct {
	ID         string    `json:"id"` // a file name: time, instance, generation
	Name       string    `json:"name"`
	Service    string    `json:"service"`
	Number     int       `json:"number"`
	Generation uint64    `json:"generation"`
	Cause      Cause     `json:"cause"`
	Message    string    `json:"message"`         // one phrase, as in the status
	Time       time.Time `json:"time"`            // when the main process ended, or no process came to be
	MonoNS     int64     `json:"mono_ns"`         // the same on CLOCK_MONOTONIC
	Pid        int       `json:"pid,omitzero"`    //
	Started    time.Time `json:"started"`         //
	UptimeMS   int64     `json:"uptime_ms"`       //
	Ready      bool      `json:"ready"`           // it had been ready
	Code       int       `json:"code"`            // exit code, where Signal is ""
	Signal     string    `json:"signal,omitzero"` // "KILL"; for verdicts, what it died of in the end
	Core       bool      `json:"core,omitzero"`
	Stage      string    `json:"stage,omitzero"`     // CauseExec: "exec", "chdir", …
	Errno      string    `json:"errno,omitzero"`     // CauseExec: "ENOENT"; or what the service sent by ERRNO=
	Detail     string    `json:"detail,omitzero"`    // CauseExec: the path or value; CauseDependency: what was lost; CauseOOM: how that is known
	By         string    `json:"by,omitzero"`        // CauseOperator: "stop", "restart", "down", …
	Status     string    `json:"status,omitzero"`    // last STATUS= text
	Escalated  bool      `json:"escalated,omitzero"` // the stop signal was not enough: SIGKILL
	Usage      *Usage    `json:"usage,omitzero"`
	Verdict    *Verdict  `json:"verdict,omitzero"`
	Evidence   *Evidence `json:"evidence,omitzero"`
	Log        []string  `json:"log,omitzero"`     // its last lines of output
	Today      int       `json:"today"`            // how many of this cause this instance has had in 24 h, this one included
	Skipped    int       `json:"skipped,omitzero"` // ends of the same cause since the last stored one that came too fast to store
	BackMS     float64   `json:"back_ms"`          // from its end until its successor was made; 0: not known
	DelayMS    int64     `json:"delay_ms"`         // the wait before the restart that was decided; -1: no restart
}

// Usage is what wait4(2) says of an ended process.
type Usage struct {
	UserMS int64 `json:"user_ms"`
	SysMS  int64 `json:"sys_ms"`
	MaxRSS int64 `json:"max_rss"` // bytes
}

// A Verdict is the judge's word on an instance: the same type for pulses, watchdog datagrams, silence and checks.
type Verdict struct {
	Kind     string      `json:"kind"`              // "pulse", "progress", "paused", "required", "lost", "broken", "watchdog", "trigger", "silence", "check", "table"
	Pulse    string      `json:"pulse,omitzero"`    // name of the slot, or of the check
	Slot     int         `json:"slot"`              // -1: no slot of a page
	Tid      int         `json:"tid,omitzero"`      //
	SilentMS float64     `json:"silent_ms"`         // without stalls
	LimitMS  float64     `json:"limit_ms"`          //
	Note     string      `json:"note,omitzero"`     // what it was last at
	Message  string      `json:"message,omitzero"`  // checks: the last failure
	Failures int         `json:"failures,omitzero"` // checks: in a row
	Fine     int         `json:"fine"`              // other pulses of the instance that were not late
	Late     int         `json:"late"`              // pulses that were late, this one included
	FoundNS  int64       `json:"found_ns"`          // CLOCK_MONOTONIC, when it was found
	HeldMS   float64     `json:"held_ms,omitzero"`  // how long it was held or excused before
	Slots    []PulseSlot `json:"slots,omitzero"`    // all pulses as they were
}

// A PulseSlot is one pulse as `stay pulse` shows it.
type PulseSlot struct {
	Name     string  `json:"name"`          // the instance; "" for an entry of an old table that is nobody's
	Source   string  `json:"source"`        // "page", "watchdog", "silence", "check", "table"
	Slot     int     `json:"slot"`          // index in the page or table; -1: none
	Pulse    string  `json:"pulse"`         // its name
	State    string  `json:"state"`         // "busy", "idle", "paused", "lost", "broken", "ok", "failing"
	Pid      int     `json:"pid,omitzero"`  // tables
	Tid      int     `json:"tid,omitzero"`  //
	AgeMS    float64 `json:"age_ms"`        // since the last beat; negative: extended into the future
	LimitMS  float64 `json:"limit_ms"`      //
	Count    uint64  `json:"count"`         // beats so far
	Rate     float64 `json:"rate"`          // beats a second since it was last shown; 0 where that is not known
	Progress uint64  `json:"progress"`      //
	Note     string  `json:"note,omitzero"` //
	Late     int     `json:"late,omitzero"` // how often it was late and beat again before it was killed
	Why      string  `json:"why,omitzero"`  // why it is late and not killed: "starved", "traced", "brake", …
}

// Evidence is what was seen of a hanging instance before it was touched. It is bounded in time and in size.
type Evidence struct {
	TookMS    float64  `json:"took_ms"`
	Missing   []string `json:"missing,omitzero"`   // what could not be read, and why
	Processes []Seen   `json:"processes,omitzero"` // the main process first
	Pressure  []string `json:"pressure,omitzero"`  // lines of /proc/pressure and of the cgroup's: "cpu some avg10=0.00 …"
	Load      string   `json:"load,omitzero"`      // /proc/loadavg
	Memory    []string `json:"memory,omitzero"`    // lines of /proc/meminfo that matter
}

// A Seen is one process of the tree.
type Seen struct {
	Pid     int      `json:"pid"`
	Parent  int      `json:"parent"`
	Comm    string   `json:"comm"`
	State   string   `json:"state"`
	Threads []Thread `json:"threads,omitzero"` // all up to a bound, those of late pulses first
	Count   int      `json:"count"`            // of threads
	Files   []string `json:"files,omitzero"`   // "3 socket:[123] tcp 127.0.0.1:80 LISTEN", up to a bound
	Open    int      `json:"open"`             // number of descriptors; -1: could not be read
	Limits  []string `json:"limits,omitzero"`  // lines of /proc/PID/limits near their limit
	RSS     int64    `json:"rss"`              // bytes
	PSS     int64    `json:"pss,omitzero"`     // bytes; 0: not read
	Swap    int64    `json:"swap,omitzero"`    //
	Command []string `json:"command,omitzero"` // argv; never the environment
}

// A Thread is one thread of a process.
type Thread struct {
	Tid        int      `json:"tid"`
	Comm       string   `json:"comm"`
	State      string   `json:"state"`
	Pulse      string   `json:"pulse,omitzero"` // the late pulse that it stands for
	Wchan      string   `json:"wchan,omitzero"`
	Syscall    string   `json:"syscall,omitzero"` // "futex(…)", or the number where the name is not known
	Stack      []string `json:"stack,omitzero"`   // kernel functions, the innermost first
	UserMS     int64    `json:"user_ms"`
	SysMS      int64    `json:"sys_ms"`
	RunDelayMS int64    `json:"run_delay_ms"` // waiting for a processor
}
