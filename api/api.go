// Package api holds the types that travel between stay's daemon and its clients: HTTP/1.1 with JSON on one unix socket,
// paths under /v1. It is public, imports only the standard library, and grows only by new optional fields.
package api

import "time"

// Version is the version of stay that this module is. A build may set another: go build -ldflags "-X
// example.com/stay/api.Version=1.2.3". Nobody changes it in a program that runs.
var Version = "0.1.0"

// A State is what an operator is told of an instance; the engine's own phases are finer.
type State string

// The states of an instance.
const (
	Stopped  State = "stopped"  // not wanted, no process
	Waiting  State = "waiting"  // wanted, no process: a dependency or a restart delay is awaited; Why says which
	Starting State = "starting" // a process exists or is being made, not ready yet
	Running  State = "running"  // ready
	Stopping State = "stopping" // asked to end, or being killed
	Failed   State = "failed"   // given up, or ended badly with no restart wanted
	Done     State = "done"     // ended well by itself, and no restart wanted
)

// An Instance is one row of `stay status`.
type Instance struct {
	Name       string    `json:"name"` // "web.2"; instance 1 is "web"
	Service    string    `json:"service"`
	Number     int       `json:"number"`
	State      State     `json:"state"`
	Why        string    `json:"why"` // a short phrase: "waiting for db", "exit code 1, retry in 3.2s", "" when all is well
	Pid        int       `json:"pid"` // 0 if none
	Since      time.Time `json:"since"`
	UptimeMS   int64     `json:"uptime_ms"` // of the live process; 0 if none
	Restarts   int       `json:"restarts"`  // restarts by stay itself since the last reset
	Generation uint64    `json:"generation"`
	Status     string    `json:"status,omitzero"`   // last STATUS= text of the service
	Refusing   []Process `json:"refusing,omitzero"` // who is still there after SIGKILL
	Pulse      *Pulse    `json:"pulse"`
	Next       time.Time `json:"next,omitzero"`     // of a job: when it runs again by itself
	LastRun    *LastRun  `json:"last_run,omitzero"` // of a job; nil before the first
}

// A LastRun is what came of the last run of a job.
type LastRun struct {
	OK     bool      `json:"ok"`
	Result string    `json:"result"` // a phrase: "exit code 0 after 2.3s"
	Ended  time.Time `json:"ended"`
	TookMS int64     `json:"took_ms"`
}

// A Process names one process of a tree.
type Process struct {
	Pid   int    `json:"pid"`
	Comm  string `json:"comm"`
	State string `json:"state"`          // as in /proc/PID/stat: "D", "S", …
	Where string `json:"where,omitzero"` // wchan, where it could be read
}

// A Pulse is the worst heartbeat of an instance.
type Pulse struct {
	Name    string `json:"name"`
	AgeMS   int64  `json:"age_ms"`
	LimitMS int64  `json:"limit_ms"`
}

// A Service is what `stay show` prints: the effective settings by key, values of env hidden.
type Service struct {
	Name      string         `json:"name"`
	Instances []Instance     `json:"instances"`
	Settings  map[string]any `json:"settings"`
}

// A Verb is a command on services.
type Verb string

// The verbs.
const (
	Start   Verb = "start"
	Stop    Verb = "stop"
	Restart Verb = "restart"
	Reset   Verb = "reset"  // counters and delay back to zero, a given-up service tried again
	Signal  Verb = "signal" // send Command.Signal to the main process
	Wait    Verb = "wait"   // wait for Command.For
	Scale   Verb = "scale"  // have Command.Instances of a service, until the next apply
	Mute    Verb = "mute"   // act as if no beat came any more, until the instance was restarted for it: a drill
)

// A Command is the body of POST /v1/services/{target}/{verb}. Target is a service, an instance, "all" or a glob over both
// kinds of names.
type Command struct {
	Target string `json:"target"`
	Verb   Verb   `json:"verb"`
	Signal string `json:"signal,omitzero"`  // for Signal: "HUP", "SIGHUP" or "1"
	For    string `json:"for,omitzero"`     // for Wait: "running", "ready" or "stopped"
	NoWait bool   `json:"no_wait,omitzero"` // answer as soon as the command was taken
	Gen    uint64 `json:"gen,omitzero"`     // restart and stop: do nothing where the generation is above this one (repeatable)

	Instances int `json:"instances,omitzero"` // for Scale
}

// A Result answers a command: every instance it was about, and those that did not get where they should.
type Result struct {
	Instances []Instance `json:"instances"`
	Failures  []Failure  `json:"failures,omitzero"`
}

// A Failure is one instance that did not get where a command should have brought it.
type Failure struct {
	Name    string   `json:"name"`
	Message string   `json:"message"`      // "exit code 1 after 12ms"
	Log     []string `json:"log,omitzero"` // its last lines of output
}

// A Run is the body of POST /v1/run: a transient service.
type Run struct {
	Name         string   `json:"name,omitzero"` // default: from the command
	Command      []string `json:"command"`
	Directory    string   `json:"directory"`
	User         string   `json:"user,omitzero"`
	Restart      string   `json:"restart,omitzero"`       // always, on-failure, never
	Ready        string   `json:"ready,omitzero"`         // as the key ready
	StartTimeout string   `json:"start_timeout,omitzero"` // as the key start_timeout
	StopTimeout  string   `json:"stop_timeout,omitzero"`  // as the key stop.timeout
	Pulse        string   `json:"pulse,omitzero"`         // as the key pulse: a limit
	Every        string   `json:"every,omitzero"`         // as the key every of a job: it runs again and again
	Env          []string `json:"env,omitzero"`           // NAME=VALUE, on top of what env_inherit gives
	NoWait       bool     `json:"no_wait,omitzero"`
}

// A LogLine is one line of output. A line may end without its newline where the process ended there.
type LogLine struct {
	Name string    `json:"name"` // the instance
	Time time.Time `json:"time,omitzero"`
	Text string    `json:"text"`
	Pos  string    `json:"pos,omitempty"` // where it ends in the log, for LogQuery.After; "" in lines that are stay's own
}

// A LogQuery chooses lines of output. The zero value chooses none: N is 0.
type LogQuery struct {
	Targets []string          // services, instances, globs; nil: all
	N       int               // the last so many of those that fit, of each instance; negative: all
	Follow  bool              // go on with each new one
	Since   time.Time         // not older; zero: no matter. A line without a time has that of the one before it
	Until   time.Time         // older than this; zero: no matter
	Grep    string            // the text matches this, a regular expression of RE2; "": no matter
	After   map[string]string // Pos by instance: all lines after it, whatever N says
}

// A Change is one line of what an apply did.
type Change struct {
	Service string   `json:"service"`
	Action  string   `json:"action"` // "start", "stop", "restart", "change", "none"
	Keys    []string `json:"keys,omitzero"`
}

// Daemon is what GET /v1/version answers.
type Daemon struct {
	Version    string    `json:"version"`
	KeeperPid  int       `json:"keeper_pid"`
	EnginePid  int       `json:"engine_pid"`
	Started    time.Time `json:"started"` // the keeper's start
	Engines    int       `json:"engines"` // engines started so far, 1 if none ever died
	File       string    `json:"file"`
	RuntimeDir string    `json:"runtime_dir"`
	LogDir     string    `json:"log_dir"`
	Mode       string    `json:"mode"`  // "running", "going down"
	Event      uint64    `json:"event"` // number of the last event

	Upgrade *Upgrade `json:"upgrade,omitzero"` // the last one; nil if there was none
}

// An Upgrade is a change from one version of stay to another while services run.
type Upgrade struct {
	ID    string    `json:"id"`
	From  string    `json:"from"`
	To    string    `json:"to"`
	At    time.Time `json:"at"`
	Over  bool      `json:"over"`            // it is known what came of it
	GapMS float64   `json:"gap_ms,omitzero"` // for how long no engine was there
	Went  int       `json:"went,omitzero"`   // processes that went on
	Error string    `json:"error,omitzero"`  // why everything goes on as before; "" if it was done
}

// A NewProgram is what POST /v1/upgrade takes.
type NewProgram struct {
	Path string `json:"path"` // of the new stayd, absolute
}

// An Error is how the daemon refuses: {"error": {…}} with a matching HTTP status.
type Error struct {
	Code    string `json:"code"`          // "not-found", "refused", "bad-request", "conflict", "forbidden", "internal", "going-down"
	Message string `json:"message"`       // one line
	Hint    string `json:"hint,omitzero"` // the command that would work
}

// Error returns the message and, after it, the hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "\n  " + e.Hint
}
