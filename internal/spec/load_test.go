package spec

import (
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDirs(t *testing.T) {
	system := Daemon{RuntimeDir: "/run/stay", StateDir: "/var/lib/stay", LogDir: "/var/log/stay"}
	for file, want := range map[string]Daemon{
		"/etc/stay/stay.toml":  system,
		"/etc/other.toml":      system,
		"/etcetera/stay.toml":  {RuntimeDir: "/etcetera/.stay", StateDir: "/etcetera/.stay/state", LogDir: "/etcetera/.stay/log"},
		"/home/me/x/Procfile":  {RuntimeDir: "/home/me/x/.stay", StateDir: "/home/me/x/.stay/state", LogDir: "/home/me/x/.stay/log"},
		"/stay.toml":           {RuntimeDir: "/.stay", StateDir: "/.stay/state", LogDir: "/.stay/log"},
		"/home/etc/stay.toml2": {RuntimeDir: "/home/etc/.stay", StateDir: "/home/etc/.stay/state", LogDir: "/home/etc/.stay/log"},
	} {
		if got := Dirs(file); !reflect.DeepEqual(got, want) {
			t.Errorf("Dirs(%q) = %+v, want %+v", file, got, want)
		}
	}
}

func ptr(n int) *int { return &n }

// TestLoadEverything spells out what a file that uses every key means.
func TestLoadEverything(t *testing.T) {
	text := readTestdata(t, "good.toml")
	c := files{"/srv/stay.toml": text}.load(t)
	want := Daemon{RuntimeDir: "/srv/run", StateDir: "/var/lib/other", LogDir: "/srv/.stay/log", ForkRate: Rate{100.0 / 60, 50},
		KillBrake: 7, OldTables: []OldTable{{0x5095, 0x5096, TableKill}, {20000, 0, TableShow}}}
	if !reflect.DeepEqual(c.Daemon, want) || c.File != "/srv/stay.toml" || !slices.Equal(c.Sources, []string{"/srv/stay.toml"}) {
		t.Errorf("daemon %+v of %q from %q", c.Daemon, c.File, c.Sources)
	}
	db, web, cache := c.Service("db"), c.Service("web"), c.Service("cache")
	if len(c.Services) != 3 || c.Services[0] != cache || c.Services[2] != web {
		t.Fatalf("%d services, or not sorted", len(c.Services))
	}
	equal(t, "db", db, &Service{
		Name: "db", Command: []string{"/usr/bin/db", "--data", "/srv/db data"}, Directory: "/srv/db", User: "70", Group: "db",
		Groups: []string{"disk", "12"}, Umask: 0o27, Enabled: true, Instances: 1, LostAfter: 10 * time.Second,
		Env: []Var{{"A", "service", FromKey}, {"B", "default", FromKey}, {"HOME", "/root", Inherited}, {"LANG", "C", Inherited},
			{"PATH", "/bin", Inherited}, {"SECRET", "x", Inherited}},
		Ready: Ready{When: ReadyFD, FD: 11}, StartTimeout: 2 * time.Minute,
		Stop: Stop{Signal: 2, Timeout: 20 * time.Second, To: StopGroup},
		Restart: Restart{When: RestartOnFailure, Delay: time.Second, Step: 200 * time.Millisecond, MaxDelay: time.Minute, Factor: 3,
			Jitter: 0, Stable: time.Hour, GiveUp: 5},
		Success: []Success{{Code: 0}, {Code: 3}, {Signal: 15}, {Signal: 1}},
		Limits: Limits{Nice: ptr(-5), OOMScoreAdj: ptr(-900),
			Rlimits: []Rlimit{{"address_space", 2 << 30}, {"core", Unlimited}, {"cpu_time", 2}, {"open_files", 65536}}},
		Sandbox: Sandbox{NoNewPrivileges: true, Chroot: "/srv/jail"},
		Log:     Log{File: "/srv/logs/db.log", MaxSize: 64 << 10, RotateEvery: 24 * time.Hour, MaxAge: 30 * 24 * time.Hour, Full: FullDrop, Stderr: StderrMerge},
		Pulse: &Pulse{Limit: 2 * time.Second, Required: true, Progress: 2 * time.Minute, LimitMax: 5 * time.Minute, PauseMax: time.Hour,
			Lost: LostRestart, Slots: 62},
		Checks: []Check{
			{HTTP: "http://[::1]:8080/healthz?a=%20", Every: 5 * time.Second, Timeout: time.Second, Failures: 1, Then: ThenMark},
			{TCP: "127.0.0.1:5432", Every: 10 * time.Second, Timeout: 2 * time.Second, Failures: 3, Then: ThenRestart},
		},
		Silence: 5 * time.Minute, Hang: Hang{Dump: 3, DumpWait: 3 * time.Second}, FDStore: 8,
	})
	equal(t, "web", web, &Service{
		Name: "web", Command: []string{"serve", "--title", "a b", `c "d"`, "--port", "80 80"}, Directory: "/srv/web", User: "www-data",
		Umask: -1, Enabled: false, Instances: 3, LostAfter: 24 * time.Hour, Needs: []string{"db"}, Wants: []string{"cache"},
		After: []string{"db", "cache"}, Env: []Var{{"A", "default", FromKey}, {"B", "default", FromKey}, {"LANG", "C", Inherited}},
		Ready: Ready{When: ReadyAfter, After: 90 * time.Second}, StartTimeout: time.Minute,
		Stop:    Stop{Signal: 15, Timeout: 20 * time.Second, To: StopMain},
		Restart: newService().Restart, Success: []Success{{}}, Limits: Limits{Rlimits: []Rlimit{{"core", 0}}}, Log: newService().Log,
		Pulse: &Pulse{Limit: 30 * time.Second, LimitMax: 5 * time.Minute, ExtendMax: 5 * time.Minute, Lost: LostMark, Slots: 31},
		Hang:  Hang{DumpWait: time.Second},
	})
	if !slices.Equal(cache.Command, []string{"/bin/sh", "-c", "cache | logger"}) || cache.Directory != "/srv" || cache.Stop.Signal != 1 {
		t.Errorf("cache is %+v", cache)
	}
	if len(cache.Checks) != 2 || !slices.Equal(cache.Checks[0].Exec, []string{"redis-cli", "-p", "63 79", "ping"}) ||
		cache.Checks[0].Every != time.Minute || !slices.Equal(cache.Checks[1].Exec, []string{"true"}) {
		t.Errorf("checks of cache are %+v", cache.Checks)
	}
}

func equal(t *testing.T, name string, got, want *Service) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			t.Errorf("%s.%s is %+v, want %+v", name, g.Type().Field(i).Name, a, b)
		}
	}
}

func TestForkRate(t *testing.T) {
	for value, want := range map[string]Rate{
		`"50/s"`: {50, 1000}, `""`: {0, 1000}, `"0/s"`: {0, 1000}, `{ rate = "5/s" }`: {5, 1000}, `{ burst = 7 }`: {200, 7}, `{}`: {200, 1000},
	} {
		c := files{"/srv/stay.toml": "[stay]\nfork_rate = " + value}.load(t)
		if c.Daemon.ForkRate != want {
			t.Errorf("fork_rate = %s is %+v, want %+v", value, c.Daemon.ForkRate, want)
		}
	}
	if c := (files{"/srv/stay.toml": ""}).load(t); c.Daemon.ForkRate != (Rate{200, 1000}) || len(c.Services) != 0 {
		t.Errorf("an empty file is %+v", c)
	}
}

func TestInclude(t *testing.T) {
	fs := files{
		"/srv/stay.toml":     "[stay]\ninclude = [\"conf.d/*.toml\", \"/srv/conf.d/b.toml\", \"other/x.toml\", \"none/*\"]\n[defaults]\nuser = \"u\"\n[service.web]\ncommand = \"x\"\nneeds = [\"b\"]",
		"/srv/conf.d/b.toml": "[service.b]\ncommand = \"x\"\ndirectory = \"d\"",
		"/srv/conf.d/a.toml": "[service.a]\ncommand = \"x\"",
		"/srv/other/x.toml":  "# nothing",
		"/srv/other/y.toml":  "broken",
	}
	c := fs.load(t)
	if want := []string{"/srv/stay.toml", "/srv/conf.d/a.toml", "/srv/conf.d/b.toml", "/srv/other/x.toml"}; !slices.Equal(c.Sources, want) {
		t.Errorf("sources %q, want %q", c.Sources, want)
	}
	a, b := c.Service("a"), c.Service("b")
	if a.Directory != "/srv/conf.d" || b.Directory != "/srv/conf.d/d" || a.User != "u" || len(c.Services) != 3 {
		t.Errorf("directories %q and %q, user %q", a.Directory, b.Directory, a.User)
	}
}

func TestIncludeErrors(t *testing.T) {
	fs := files{
		"/srv/stay.toml": "[stay]\ninclude = [\"*.inc\", \"gone.toml\", \"[\"]\n[service.web]\ncommand = \"x\"\nneeds = [\"nobody\"]",
		"/srv/1.inc":     "[stay]\nruntime_dir = 5\n[defaults]\n[service.web]\ncommand = \"x\"",
		"/srv/2.inc":     "[service.a]\ncommand = ",
		"/srv/3.inc":     "[service.a]\ncommand = 5",
	}
	_, errs := Load("/srv/stay.toml", fs.source())
	wantErrors(t, errs,
		`/srv/1.inc:1:2: table "stay": not allowed in an included file`+"\n  move it to /srv/stay.toml",
		`/srv/1.inc:3:2: table "defaults": not allowed`,
		`/srv/1.inc:4:10: service "web": already defined at /srv/stay.toml:3:10`,
		`/srv/2.inc:2:10: syntax: `,
		`/srv/3.inc:1:10: service "a": already defined at /srv/2.inc:1:10`,
		`/srv/3.inc:2:11: key "command": expected`,
		`/srv/stay.toml:2:21: include "/srv/gone.toml": no such file`,
		`/srv/stay.toml:2:34: include "/srv/[": `)
}

func TestSystemInclude(t *testing.T) {
	fs := files{"/etc/stay/stay.toml": "", "/etc/stay/conf.d/a.toml": "[service.a]\ncommand = \"x\"", "/etc/other.toml": ""}
	if c := fs.loadFile(t, "/etc/stay/stay.toml"); len(c.Services) != 1 {
		t.Errorf("%d services, conf.d was not read", len(c.Services))
	}
	if c := fs.loadFile(t, "/etc/other.toml"); len(c.Services) != 0 {
		t.Error("another file under /etc includes conf.d")
	}
	fs["/etc/stay/stay.toml"] = "[stay]\ninclude = []"
	if c := fs.loadFile(t, "/etc/stay/stay.toml"); len(c.Services) != 0 {
		t.Error("include = [] does not switch conf.d off")
	}
}

func TestUnreadable(t *testing.T) {
	_, errs := Load("/srv/none.toml", files{}.source())
	wantErrors(t, errs, "/srv/none.toml: read: file does not exist")
	if errs[0].Line != 0 || errs[0].File != "/srv/none.toml" {
		t.Errorf("%#v", errs[0])
	}
	_, errs = Load("stay.toml", files{}.source())
	wantErrors(t, errs, "stay.toml: the path of the configuration is not absolute")

	src := files{"/srv/stay.toml": "[stay]\ninclude = [\"x.toml\"]"}.source()
	src.Glob = func(string) ([]string, error) { return []string{"/srv/x.toml"}, nil }
	read := src.ReadFile
	src.ReadFile = func(name string) ([]byte, error) {
		if name == "/srv/x.toml" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("permission denied")}
		}
		return read(name)
	}
	_, errs = Load("/srv/stay.toml", src)
	wantErrors(t, errs, `/srv/stay.toml:2:12: read "/srv/x.toml": permission denied`)
}

// TestDefaults: [defaults] merges by sub-key, lists are replaced, and an error in it is told once.
func TestDefaults(t *testing.T) {
	c := files{"/srv/stay.toml": `
[defaults]
stop = { signal = "INT", timeout = "1s" }
limits = { open_files = 10, core = 5 }
groups = ["a"]
after = ["a"]
shell = true
[service.a]
command = "x | y"
after = []
stop.timeout = "2s"
limits.open_files = 20
[service.b]
command = "x"
groups = ["b"]
shell = false
`}.load(t)
	a, b := c.Service("a"), c.Service("b")
	if a.Stop != (Stop{2, 2 * time.Second, StopMain}) || b.Stop != (Stop{2, time.Second, StopMain}) {
		t.Errorf("stop %+v and %+v", a.Stop, b.Stop)
	}
	if !slices.Equal(a.Limits.Rlimits, []Rlimit{{"core", 5}, {"open_files", 20}}) || b.Limits.Rlimits[1].Value != 10 {
		t.Errorf("limits %+v and %+v", a.Limits, b.Limits)
	}
	if !slices.Equal(a.Groups, []string{"a"}) || !slices.Equal(b.Groups, []string{"b"}) || a.After != nil || !slices.Equal(b.After, []string{"a"}) {
		t.Errorf("groups %q and %q, after %q and %q", a.Groups, b.Groups, a.After, b.After)
	}
	if a.Command[0] != "/bin/sh" || b.Command[0] != "x" {
		t.Errorf("commands %q and %q", a.Command, b.Command)
	}
}

// TestDefaultsErrors: what is wrong in [defaults] is told once, however many services use it.
func TestDefaultsErrors(t *testing.T) {
	_, errs := Load("/srv/stay.toml", files{"/srv/stay.toml": `
[defaults]
user = 1.5
needs = ["nobody"]
[service.a]
command = "x"
[service.b]
command = "x"
`}.source())
	wantErrors(t, errs, `3:8: key "user": expected`, `4:10: key "needs": there is no service "nobody"`)
}

func TestReadyForms(t *testing.T) {
	for text, want := range map[string]Ready{
		"exec": {When: ReadyExec}, "notify": {When: ReadyNotify}, "fd:3": {When: ReadyFD, FD: 3}, "fd:1023": {When: ReadyFD, FD: 1023},
		"after:2s": {When: ReadyAfter, After: 2 * time.Second}, "after:0": {When: ReadyAfter},
	} {
		s := one(t, "ready = \""+text+"\"")
		if s.Ready != want {
			t.Errorf("ready = %q is %+v, want %+v", text, s.Ready, want)
		}
		again := one(t, "ready = "+literal(readyOf(s)))
		if again.Ready != want {
			t.Errorf("ready = %q is written %v", text, readyOf(s))
		}
	}
}

func TestInstancesByCPU(t *testing.T) {
	for cpus, want := range map[int]int{-1: 1, 0: 1, 1: 1, 64: 64, 20000: maxInstances} {
		src := files{"/srv/stay.toml": "[service.x]\ncommand = \"x\"\ninstances = \"cpu\""}.source()
		src.CPUs = cpus
		c, errs := Load("/srv/stay.toml", src)
		if errs != nil || c.Services[0].Instances != want {
			t.Errorf("%d processors: %v, %v, want %d instances", cpus, c, errs, want)
		}
	}
}

// TestErrorsSorted: errors come in the order of the lines, not of the checks.
func TestErrorsSorted(t *testing.T) {
	_, errs := Load("/srv/stay.toml", files{"/srv/stay.toml": "[service.b]\nx1 = 1\n[service.a]\nx2 = 2\n[stay]\nx3 = 3"}.source())
	if !slices.IsSortedFunc(errs, func(a, b Error) int { return a.Line - b.Line }) || len(errs) != 5 {
		t.Errorf("%d errors:\n%v", len(errs), errs)
	}
	if n := strings.Count(errs.Error(), "\n") + 1; n < len(errs) {
		t.Errorf("%d lines for %d errors", n, len(errs))
	}
}

func TestProcfile(t *testing.T) {
	fs := files{
		"/app/Procfile":    "# x\nweb: bin/web -p $PORT | tee x\n\nworker-1:bin/work\r\n",
		"/app/x.procfile":  "a: b",
		"/app/.env":        "PORT=80\nA=\"x y\"",
		"/other/Procfile":  "web: 'unbalanced is up to the shell",
		"/other/stay.toml": "",
	}
	c := fs.loadFile(t, "/app/Procfile")
	web, worker := c.Service("web"), c.Service("worker-1")
	if web == nil || worker == nil || len(c.Services) != 2 {
		t.Fatalf("services %v", c.Services)
	}
	if !slices.Equal(web.Command, []string{"/bin/sh", "-c", "bin/web -p $PORT | tee x"}) || web.Directory != "/app" || worker.Command[2] != "bin/work" {
		t.Errorf("web %q in %q, worker %q", web.Command, web.Directory, worker.Command)
	}
	if want := []string{"A=x y", "HOME=/root", "LANG=C", "PATH=/bin", "PORT=80"}; !slices.Equal(env(web), want) {
		t.Errorf("environment %q, want %q", env(web), want)
	}
	if !slices.Equal(c.Sources, []string{"/app/Procfile", "/app/.env"}) || c.Daemon.RuntimeDir != "/app/.stay" {
		t.Errorf("sources %q, daemon %+v", c.Sources, c.Daemon)
	}
	if c := fs.loadFile(t, "/app/x.procfile"); c.Service("a") == nil {
		t.Error("x.procfile is not read as a Procfile")
	}
	if c := fs.loadFile(t, "/other/Procfile"); c.Service("web") == nil {
		t.Error("a Procfile without .env is not read")
	}
}

// TestUTF8: a Config travels as JSON, so nothing else gets into it.
func TestUTF8(t *testing.T) {
	const file = "/srv/stay.toml"
	for _, c := range []struct {
		name string
		fs   files
		want string
	}{
		{"toml", files{file: "# ä\n# \xe4\n[service.x]"}, "/srv/stay.toml:2:3: the file is not UTF-8"},
		{"env file", files{file: "[service.x]\ncommand = \"x\"\nenv_file = [\"e\"]", "/srv/e": "A=1\nB=\xff"}, "/srv/e:2:3: the file is not UTF-8"},
		{"included", files{file: "[stay]\ninclude = [\"conf.d/*\"]", "/srv/conf.d/\xff": ""}, `stay.toml:2:12: include "/srv/conf.d/\xff": the name`},
	} {
		_, errs := Load(file, c.fs.source())
		wantErrors(t, errs, c.want)
	}
	_, errs := Load("/srv/\xff/stay.toml", files{}.source())
	wantErrors(t, errs, "not UTF-8")
	_, errs = Load("/srv/Procfile", files{"/srv/Procfile": "web: x \xff"}.source())
	wantErrors(t, errs, "/srv/Procfile:1:8: the file is not UTF-8")
	_, errs = NewTransient(Transient{Command: []string{"x", "\xff"}, Env: []string{"A=\xff", "\xff=1"}})
	wantErrors(t, errs, `key "env.A": the string is not UTF-8`, "cannot be the name", `key "command": the string is not UTF-8`)

	src := files{file: "[service.x]\ncommand = \"x\"\nenv_inherit = true"}.source()
	src.Environ = []string{"A=1", "B=\xff", "\xff=1"}
	conf, errs := Load(file, src)
	if errs != nil || !slices.Equal(env(conf.Services[0]), []string{"A=1"}) {
		t.Errorf("inherited %v, %v", conf, errs)
	}
	bom := files{file: "\ufeff[service.x]\ncommand = \"x\"\nenv_file = [\"e\"]\nenv_inherit = []", "/srv/e": "\ufeffA=1"}
	if got := env(bom.load(t).Services[0]); !slices.Equal(got, []string{"A=1"}) {
		t.Errorf("with byte order marks: %q", got)
	}
}
