package arch

// A layer is a group of packages with the same rights.
type layer struct {
	name     string
	packages []string // folders; a * stands for one name
	may      []string // layers that it may import from; not even its own unless named
	pure     bool     // see impure and clocks
	why      string
}

// layers are all packages of the module. A package belongs to one of them.
var layers = []layer{
	{name: "wire types", packages: []string{"api"},
		why: "other people's programs import api: it brings nothing along"},
	{name: "client", packages: []string{"client"}, may: []string{"wire types"},
		why: "other people's programs import client: what the daemon is made of must not reach them"},
	{name: "policy", packages: []string{"internal/spec", "internal/graph", "internal/unit", "internal/backoff", "internal/judge", "internal/schedule"}, may: []string{"policy"}, pure: true,
		why: "a policy decides from values alone, so that every decision can be tested and made again by the next engine"},
	{name: "writer", packages: []string{"pulse", "sysv"},
		why: "other people's programs import them: they bring nothing along"},
	{name: "observer", packages: []string{"internal/evidence", "internal/incident"}, may: []string{"wire types"},
		why: "what they see or keep is what clients get, as it is; besides they are mechanisms like others"},
	{name: "mechanism", packages: []string{"internal/keeper", "internal/launch", "internal/proctree", "internal/notify", "internal/capture",
		"internal/page", "internal/probe", "internal/syslog"},
		why: "a mechanism wraps one facility of the system and decides nothing: it knows neither policies nor other mechanisms"},
	{name: "table", packages: []string{"internal/oldtable"}, may: []string{"writer"},
		why: "a mechanism like others, about the one facility that the public package sysv wraps"},
	{name: "engine", packages: []string{"internal/engine"}, may: []string{"policy", "mechanism", "table", "observer", "journal", "writer", "wire types"},
		why: "the engine puts policies and mechanisms together, and knows nothing of how people reach it"},
	{name: "control", packages: []string{"internal/control"}, may: []string{"wire types"},
		why: "control translates between HTTP and an interface of its own, so it can be tested without an engine"},
	{name: "explanation", packages: []string{"internal/explain"}, may: []string{"wire types"}, pure: true,
		why: "the same incident gives the same words, whoever asks and wherever it was kept"},
	{name: "journal", packages: []string{"internal/journal", "internal/slo"}, may: []string{"wire types"}, pure: true,
		why: "the same lines give the same events and figures, in the daemon, without one, and on another machine"},
	{name: "face", packages: []string{"internal/cli", "internal/drill"}, may: []string{"wire types", "client", "writer", "explanation", "journal", "face"},
		why: "a face sees what every other client sees: what the API cannot do, no face can do behind its back"},
	{name: "command", packages: []string{"cmd/*"},
		may: []string{"wire types", "client", "writer", "policy", "mechanism", "table", "observer", "journal", "engine", "control", "face"},
		why: "wiring happens here and nowhere else"},
	{name: "example", packages: []string{"examples/*", "examples/*/*"}, may: []string{"writer"},
		why: "an example needs nothing of stay's but its commands and public packages"},
	{name: "trial", packages: []string{"test/chaos"}, may: []string{"wire types", "client", "writer"},
		why: "what tries stay from outside knows no more of it than everybody: the API, the commands, and what /proc shows"},
	{name: "rules", packages: []string{"internal/arch"},
		why: "the rules depend on nothing they are about"},
}

// A library is a module from outside, or a package of the standard library, that only some may import.
type library struct {
	path string
	by   []string // layers or folders
	why  string
}

// libraries are all modules from outside, and the packages of the standard library that not everybody may import.
var libraries = []library{
	{"github.com/pelletier/go-toml/v2", []string{"internal/spec"},
		"nobody else reads raw configuration"},
	{"github.com/netresearch/go-cron", []string{"internal/schedule"},
		"times of a cron line are one policy's"},
	{"github.com/klauspost/compress", []string{"internal/capture"},
		"old log files are compressed where they are rotated and read"},
	{"golang.org/x/sys", []string{"mechanism", "table", "observer", "engine", "control", "face", "command", "trial"},
		"system calls; policies make none, and public packages bring no dependency along"},
	{"github.com/spf13/cobra", []string{"face"},
		"arguments of the command stay; stayd starts in few milliseconds and has flags enough"},
	{"golang.org/x/term", []string{"face"},
		"terminals are where people are"},
	{"net/http", []string{"client", "control", "face", "example", "internal/probe"},
		"HTTP is how clients talk to the daemon; beyond control it has no network but the checks that a file asks for"},
	{"testing", nil,
		"it belongs into tests: it registers flags in whatever imports it"},
}

// A closure is what a command must not be made of, over any number of imports.
type closure struct {
	root  string
	never []string // layers, folders or libraries
	why   string
}

var closures = []closure{
	{"cmd/stayd", []string{"client", "face", "github.com/spf13/cobra"},
		"the daemon is small, starts in few milliseconds, and is nobody's client"},
}

// impure are the packages of the standard library that no policy imports, subpackages included.
var impure = map[string]string{
	"C":           "a policy is Go alone",
	"context":     "a policy neither waits nor is cancelled",
	"crypto/rand": "the same input has to give the same decision",
	"log":         "a policy returns what is to be said",
	"math/rand":   "the same input has to give the same decision",
	"net":         "a policy does no input or output",
	"os":          "a policy does no input or output",
	"os/exec":     "a policy starts nothing",
	"runtime":     "a decision does not depend on the machine",
	"sync":        "a policy has one goroutine, its caller's",
	"syscall":     "a policy does no input or output",
	"unsafe":      "a policy handles values",
}

// effects are the functions that no policy uses, of packages that it may import.
var effects = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Timer", "Ticker",
		"Local", "LoadLocation"},
	"fmt":           {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"path/filepath": {"Abs", "EvalSymlinks", "Glob", "Walk", "WalkDir"},
}
