package keeper

import "encoding/json"

// Version is the version of the wire. An engine of another version is not talked to.
const Version = 1

// A Kind is a kind of message.
type Kind string

// The messages. Orders come from the engine, facts from the keeper; Hello, Ping and List are asked by one side and
// answered by the other under the same name.
const (
	Hello Kind = "hello" // first message of each side: Version, and from the keeper About
	Ready Kind = "ready" // the engine has recovered and answers clients
	Ping  Kind = "ping"  // keeper asks, engine answers

	SpawnOrder Kind = "spawn"   // Unit Gen Op Record Spawn, with the Spawn.Pass descriptors that the service begins with
	SignalTo   Kind = "signal"  // Unit Gen Op Record Signal To Cont
	KillTree   Kind = "kill"    // Unit Gen Op Record
	Note       Kind = "note"    // Unit Op Record; Unit "" is the daemon's own record
	Main       Kind = "main"    // Unit Gen Pid: the main process moved
	Forget     Kind = "forget"  // Unit: the unit is no more; refused while a process of it lives
	Hold       Kind = "hold"    // Name (and Unit) with one descriptor; the same name replaces, unless it begins with Store: Gen then is a number of its own
	Fetch      Kind = "fetch"   // Name; answered by Held
	Drop       Kind = "drop"    // Name, Unit, Gen (0 = any)
	Adopt      Kind = "adopt"   // Unit Gen Op Record Pid Start At Name (the mark) with the descriptors in Names: of a keeper that has died
	List       Kind = "list"    // answered by a Row for each unit, then Listed
	Acted      Kind = "acted"   // the engine heard Asked
	Upgrade    Kind = "upgrade" // Name (its ID) with the new program; the engine's last word until Resume
	Shutdown   Kind = "shutdown"

	Row         Kind = "row"     // everything known of one unit, with its descriptors
	Listed      Kind = "listed"  // the last Row is out; Record is the daemon's own
	Held        Kind = "held"    // Name with its descriptor, or Missing
	Spawned     Kind = "spawned" // Unit Gen Pid At, with the descriptors in Names
	SpawnFailed Kind = "failed"  // Unit Gen Failure
	Exited      Kind = "exited"  // Unit Gen Pid Exit Empty
	TreeEmpty   Kind = "empty"   // Unit Gen
	MainMoved   Kind = "moved"   // Unit Gen Pid, or Missing: not a process of that tree
	Refusing    Kind = "refuses" // Unit Gen Members: who is there after SIGKILL
	Asked       Kind = "asked"   // Signal: HUP, INT or TERM came
	Leave       Kind = "leave"   // the program was changed: the engine of the one before ends
	Resume      Kind = "resume"  // About: the program was not changed, and why: the engine goes on
)

// A Message is one datagram of the wire: only the fields that its Kind names are set.
type Message struct {
	Kind    Kind            `json:"k"`
	Unit    string          `json:"u,omitzero"`
	Gen     uint64          `json:"g,omitzero"`
	Op      uint64          `json:"o,omitzero"`
	Seen    uint64          `json:"sn,omitzero"` // the end of this generation is in Record
	Record  json.RawMessage `json:"r,omitzero"`  // opaque to the keeper
	Spawn   *Spawn          `json:"sp,omitzero"`
	Signal  int             `json:"sg,omitzero"`
	To      string          `json:"to,omitzero"`   // "main", "group" or "tree"
	Cont    bool            `json:"cont,omitzero"` // SIGCONT after it, so that a stopped process hears it
	Pid     int             `json:"p,omitzero"`
	Start   uint64          `json:"pt,omitzero"` // start time of Pid, proc_pid_stat(5): with the pid it names a process for good
	At      int64           `json:"at,omitzero"` // CLOCK_MONOTONIC, ns
	Name    string          `json:"n,omitzero"`
	Names   []string        `json:"ns,omitzero"` // of the descriptors that come with the message, in order
	Missing bool            `json:"mi,omitzero"`
	Exit    *Exit           `json:"x,omitzero"`
	Empty   bool            `json:"e,omitzero"`
	Failure *Failure        `json:"f,omitzero"`
	Members []Member        `json:"m,omitzero"`
	State   State           `json:"st,omitzero"` // Row
	Version int             `json:"v,omitzero"`
	About   *About          `json:"ab,omitzero"`
}

// A State is what the keeper knows of a unit's process.
type State string

// The states of a row.
const (
	NoProcess State = ""
	InSpawn   State = "spawning"
	Alive     State = "alive"
	Ended     State = "ended"  // Exit is set
	NotBorn   State = "failed" // Failure is set
)

// A Spawn says how to make a process: Exec directly, or Stage through the exec stage.
type Spawn struct {
	Exec  *Exec           `json:"exec,omitzero"`
	Stage json.RawMessage `json:"stage,omitzero"` // the exec stage's plan, opaque to the keeper
	UID   int             `json:"uid"`            // owner of the pipes
	GID   int             `json:"gid"`
	Mark  string          `json:"mark,omitzero"`  // the environment entry that marks the tree
	Ready int             `json:"ready,omitzero"` // descriptor for readiness, above those that are passed; 0 = none
	Pass  int             `json:"pass,omitzero"`  // how many descriptors it begins with, from 3 on
}

// Exec is what execve(2) needs, and the directory.
type Exec struct {
	Path string   `json:"path"`
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
}

// Exit is how a main process ended.
type Exit struct {
	Status int   `json:"status"` // as wait4(2) gives it
	UserNS int64 `json:"user_ns,omitzero"`
	SysNS  int64 `json:"sys_ns,omitzero"`
	MaxRSS int64 `json:"max_rss,omitzero"` // bytes
	At     int64 `json:"at"`               // CLOCK_MONOTONIC, ns
}

// A Failure says at which stage a process did not come to be, and why. Its JSON is what the exec stage writes.
type Failure struct {
	Stage  string
	Errno  int
	Detail string
}

// A Member is one live process of a tree.
type Member struct {
	Pid   int    `json:"pid"`
	Comm  string `json:"comm"`
	State string `json:"state"`
	Wchan string `json:"wchan,omitzero"`
}

// About is what the keeper says of itself.
type About struct {
	Pid     int    `json:"pid"`
	Started int64  `json:"started"` // CLOCK_REALTIME, ns
	Engines int    `json:"engines"` // engines started so far, this one included
	Trees   string `json:"trees"`   // how trees are kept: cgroup2 or subreaper, and why
	Fresh   bool   `json:"fresh,omitzero"`

	Upgrade Upgraded `json:"upgrade,omitzero"` // the last one; of none its ID is ""
}

// Names of the descriptors that belong to one generation.
const (
	LogPipe   = "log"
	ReadyPipe = "ready"
)
