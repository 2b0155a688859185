// Package spec is the configuration: what the operator wrote, checked, completed and frozen.
//
// It is pure. Text goes in (through a Source, so that no file is opened here), and either one frozen Config
// or every error at once comes out, each with file, line and column. Nothing else in stay reads raw configuration: what
// a key means is decided here, once, and everybody after works with values that are known to be valid.
//
// A Config is immutable after Load. Its JSON form is what the keeper holds for the next engine, so it must decode to an
// equal Config without looking at any file, and unknown fields in it are ignored (another version may have written it).
package spec

import "time"

// A Config is one applied configuration. All paths in it are absolute, all globs, includes and environment files are
// resolved.
type Config struct {
	File     string     `json:"file"`             // the file it was read from
	Daemon   Daemon     `json:"daemon"`           //
	Services []*Service `json:"services"`         // sorted by name
	Sources  []string   `json:"sources,omitzero"` // every file that was read, File first
}

// Daemon is the [stay] table.
type Daemon struct {
	RuntimeDir string `json:"runtime_dir"`
	StateDir   string `json:"state_dir"`
	LogDir     string `json:"log_dir"`
	ForkRate   Rate   `json:"fork_rate"` // crash restarts over all services

	KillBrake int        `json:"kill_brake,omitzero"` // hang kills a minute over all services; 0: the larger of 5 and 10 % of the instances; -1: no brake
	OldTables []OldTable `json:"old_tables,omitzero"` //
}

// An OldTable is a heartbeat table in System V shared memory, of programs that know nothing of stay.
type OldTable struct {
	Shm    int            `json:"shm"`          // key of the segment
	Sem    int            `json:"sem,omitzero"` // key of the semaphore around it; 0: none
	Action OldTableAction `json:"action"`       // default kill
}

// An OldTableAction says what is done about a late entry.
type OldTableAction string

// What is done about a late entry.
const (
	TableKill OldTableAction = "kill" // TERM, five seconds later KILL, and the entry is cleared
	TableShow OldTableAction = "show" // nothing
)

// A Rate is a token bucket: PerSecond tokens come back each second, at most Burst are saved. PerSecond 0 is no limit.
type Rate struct {
	PerSecond float64 `json:"per_second"`
	Burst     int     `json:"burst"`
}

// A Service is one thing the operator named, with every default filled in.
type Service struct {
	Name      string `json:"name"`
	Transient bool   `json:"transient,omitzero"` // made by `stay run`, gone when it is stopped
	Leaving   bool   `json:"leaving,omitzero"`   // taken out of the file, kept until nothing of it runs; set by the engine

	Command   []string `json:"command"` // never empty; with shell = true already ["/bin/sh", "-c", text]
	Directory string   `json:"directory"`
	User      string   `json:"user,omitzero"` // name or number; "" is the daemon's own
	Group     string   `json:"group,omitzero"`
	Groups    []string `json:"groups,omitzero"`
	Umask     int      `json:"umask"`        // -1: as the daemon was started
	Env       []Var    `json:"env,omitzero"` // final, sorted by name: inherited < env_file < env

	Enabled      bool          `json:"enabled"`
	Instances    int           `json:"instances"` // ≥ 1
	Needs        []string      `json:"needs,omitzero"`
	Wants        []string      `json:"wants,omitzero"`
	After        []string      `json:"after,omitzero"`
	LostAfter    time.Duration `json:"lost_after"`
	Ready        Ready         `json:"ready"`
	StartTimeout time.Duration `json:"start_timeout"`
	Stop         Stop          `json:"stop"`
	Restart      Restart       `json:"restart"`
	Success      []Success     `json:"success"`
	Limits       Limits        `json:"limits"`
	Sandbox      Sandbox       `json:"sandbox"`
	Log          Log           `json:"log"`

	Pulse   *Pulse        `json:"pulse,omitzero"`    // nil: none
	Checks  []Check       `json:"checks,omitzero"`   //
	Silence time.Duration `json:"silence,omitzero"`  // no output for this long is a hang; 0: it is not
	Hang    Hang          `json:"hang,omitzero"`     //
	FDStore int           `json:"fd_store,omitzero"` // descriptors that it may store, 0…64

	Job *Job `json:"job,omitzero"` // nil: a service that is to run always

	// Set by later versions; the state machine knows it already.
	Reload Signal `json:"reload,omitzero"` // 0: no reload
}

// A Pulse says how heartbeats are judged.
type Pulse struct {
	Limit     time.Duration `json:"limit"`              // longest silence, 10 ms at least
	Required  bool          `json:"required,omitzero"`  // no live pulse by the end of start_timeout is a hang
	Progress  time.Duration `json:"progress,omitzero"`  // longest time that a busy slot's number may stand still; 0: not judged
	LimitMax  time.Duration `json:"limit_max"`          // longest limit a slot may set for itself; default 10 × Limit
	ExtendMax time.Duration `json:"extend_max"`         // longest time a slot may beat in advance; default 10 × Limit
	PauseMax  time.Duration `json:"pause_max,omitzero"` // longest pause; 0: no end
	Lost      LostSlot      `json:"lost"`               // default mark
	Slots     int           `json:"slots"`              // 1…4096; default 31
}

// A LostSlot says what is done about a slot whose thread ended without leaving it.
type LostSlot string

// What is done about a lost slot.
const (
	LostMark    LostSlot = "mark"    // an event, and `stay pulse` shows it
	LostRestart LostSlot = "restart" // as if it were late
)

// A Check is a question that is put to a service again and again. One of HTTP, TCP and Exec is set.
type Check struct {
	HTTP     string        `json:"http,omitzero"` // URL: a status of 200 to 399 is good
	TCP      string        `json:"tcp,omitzero"`  // host:port: a connection is good
	Exec     []string      `json:"exec,omitzero"` // a command: exit code 0 is good
	Every    time.Duration `json:"every"`         // from one answer to the next question; default 10 s
	Timeout  time.Duration `json:"timeout"`       // default 2 s
	Failures int           `json:"failures"`      // in a row; default 3
	Then     CheckThen     `json:"then"`          // default restart
}

// A CheckThen says what is done when a check has failed too often.
type CheckThen string

// What is done when a check has failed too often.
const (
	ThenRestart CheckThen = "restart"
	ThenMark    CheckThen = "mark" // status says so, and nothing else
)

// A Var is one variable of a service's environment. From tells `stay show` which values may be shown: only those
// inherited from the daemon's own environment are no secrets.
type Var struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  Origin `json:"from"`
}

// An Origin says where a variable was set.
type Origin string

// The origins of a variable.
const (
	Inherited Origin = "inherit"
	FromFile  Origin = "env_file"
	FromKey   Origin = "env"
)

// Ready says how a started process becomes a ready one.
type Ready struct {
	When  ReadyWhen     `json:"when"`
	FD    int           `json:"fd,omitzero"`    // ReadyFD: the descriptor that gets a newline, 3…1023
	After time.Duration `json:"after,omitzero"` // ReadyAfter
}

// A ReadyWhen is a way of becoming ready.
type ReadyWhen string

// The ways of becoming ready.
const (
	ReadyExec   ReadyWhen = "exec"   // exec succeeded
	ReadyNotify ReadyWhen = "notify" // READY=1 on NOTIFY_SOCKET
	ReadyFD     ReadyWhen = "fd"     // a newline on descriptor FD
	ReadyAfter  ReadyWhen = "after"  // alive for After
)

// Stop says how a service is asked to end.
type Stop struct {
	Signal  Signal        `json:"signal"`  // default TERM
	Timeout time.Duration `json:"timeout"` // then SIGKILL to the whole tree; default 5 s
	To      StopTo        `json:"to"`      // default main
}

// A StopTo names the processes that get the stop signal.
type StopTo string

// Who gets the stop signal. What is left when the main process has gone gets it too, in each case.
const (
	StopMain  StopTo = "main"
	StopGroup StopTo = "group"
	StopTree  StopTo = "tree"
)

// Restart is the policy for a process that ended without being asked to.
type Restart struct {
	When     RestartWhen   `json:"when"`      // default always
	Delay    time.Duration `json:"delay"`     // while level < 2; default 0
	Step     time.Duration `json:"step"`      // default 100 ms
	MaxDelay time.Duration `json:"max_delay"` // default 30 s
	Factor   float64       `json:"factor"`    // ≥ 1; default 2
	Jitter   float64       `json:"jitter"`    // 0…1, share of the delay; default 0.1
	Stable   time.Duration `json:"stable"`    // an uptime that forgets everything; default 10 s
	GiveUp   int           `json:"give_up"`   // deaths in a row until Failed; 0 = never, the default
}

// A RestartWhen says which ends lead to a restart.
type RestartWhen string

// The ends that lead to a restart.
const (
	RestartAlways    RestartWhen = "always"
	RestartOnFailure RestartWhen = "on-failure"
	RestartNever     RestartWhen = "never"
)

// A Success is an exit code (Signal 0) or a signal that counts as a good end.
type Success struct {
	Code   int    `json:"code,omitzero"`
	Signal Signal `json:"signal,omitzero"`
}

// Limits are the resource limits that need no cgroup controller.
type Limits struct {
	Rlimits     []Rlimit `json:"rlimits,omitzero"`
	Nice        *int     `json:"nice,omitzero"`          // nil: as the daemon was started
	OOMScoreAdj *int     `json:"oom_score_adj,omitzero"` // nil: as the daemon was started
}

// An Rlimit is one limit of setrlimit(2); soft and hard are equal.
type Rlimit struct {
	Name  string `json:"name"`  // the key: "open_files", "core", …
	Value uint64 `json:"value"` // Unlimited is RLIM_INFINITY
}

// Unlimited is the value of an rlimit that is off.
const Unlimited = ^uint64(0)

// Sandbox is what the process gives up before it runs.
type Sandbox struct {
	NoNewPrivileges bool   `json:"no_new_privileges,omitzero"`
	Chroot          string `json:"chroot,omitzero"`
}

// Log says how output is kept. Its fields are always written in full: what is not there is as in newService.
type Log struct {
	File        string        `json:"file"`         // absolute path, "….log"; "" = in the log directory. FileOf has that of an instance
	MaxSize     int64         `json:"max_size"`     // bytes until rotation; default 10 MB; 0 = never
	RotateEvery time.Duration `json:"rotate_every"` // age of the file at which it is rotated; 0 = never
	Keep        int           `json:"keep"`         // old files kept; default 10
	MaxAge      time.Duration `json:"max_age"`      // age of its last line at which an old file is deleted; 0 = never
	Compress    bool          `json:"compress"`     // old files but the youngest are compressed; default true
	Timestamps  bool          `json:"timestamps"`   // default true
	Full        LogFull       `json:"full"`         // default wait
	Stderr      LogStderr     `json:"stderr"`       // default merge
	Syslog      bool          `json:"syslog"`       // the lines go to syslog too
}

// LogFull is what becomes of output that cannot be written.
type LogFull string

// What becomes of output that cannot be written.
const (
	FullWait LogFull = "wait" // it stays in the pipe, on which the service waits
	FullDrop LogFull = "drop" // it is lost, and counted
)

// LogStderr is where stderr goes.
type LogStderr string

// Where stderr goes.
const (
	StderrMerge LogStderr = "merge" // where stdout goes
	StderrSplit LogStderr = "split" // into a file of its own
)

// Hang says what to do with a process that hangs, before it is stopped.
type Hang struct {
	Dump     Signal        `json:"dump"`      // 0: none
	DumpWait time.Duration `json:"dump_wait"` // default 1 s
}

// A Signal is a Linux signal number. Its names are those of signal(7) without SIG.
type Signal int

// Service returns the service of that name, nil if there is none.
func (c *Config) Service(name string) *Service {
	lo, hi := 0, len(c.Services)
	for lo < hi {
		mid := (lo + hi) / 2
		if c.Services[mid].Name < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(c.Services) && c.Services[lo].Name == name {
		return c.Services[lo]
	}
	return nil
}
