package spec

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A keyChange is a line in a file and what Diff says when it appears.
type keyChange struct {
	key    string
	action Action
	keys   string // joined by blanks; "" is the part of key before " =", "-" is none
}

// differences are changes of keys and what follows from each.
var differences = []keyChange{
	{`command = "y"`, ActionRestart, ""},
	{`directory = "/d"`, ActionRestart, ""},
	{`user = "u"`, ActionRestart, ""},
	{`group = "g"`, ActionRestart, ""},
	{`groups = ["g"]`, ActionRestart, ""},
	{`groups = []`, ActionRestart, ""}, // none, where the default is those of the user
	{`umask = "077"`, ActionRestart, ""},
	{`env.A = "1"`, ActionRestart, "env"},
	{`env_file = ["x.env"]`, ActionRestart, ""},
	{`env_inherit = ["SECRET"]`, ActionRestart, ""},
	{`ready = "notify"`, ActionRestart, ""},
	{`limits.nice = 1`, ActionRestart, ""},
	{`limits.oom_score_adj = 0`, ActionRestart, ""},
	{`limits.open_files = 5`, ActionRestart, ""},
	{`limits.cpu_time = "1m"`, ActionRestart, ""},
	{`sandbox.no_new_privileges = true`, ActionRestart, ""},
	{`sandbox.chroot = "/j"`, ActionRestart, ""},
	{`pulse = "1m"`, ActionRestart, "pulse.limit pulse.required pulse.limit_max pulse.extend_max pulse.lost pulse.slots"},
	{`fd_store = 3`, ActionRestart, ""},
	{`check = [{ tcp = "db:1" }]`, ActionChange, ""},
	{`silence = "1m"`, ActionChange, ""},
	{`hang.dump = "ABRT"`, ActionChange, ""},
	{`hang.dump_wait = "2s"`, ActionChange, ""},
	{`silence = ""`, ActionSame, "-"},
	{`pulse = ""`, ActionSame, "-"},
	{`check = []`, ActionSame, "-"},
	{`enabled = false`, ActionChange, ""},
	{`instances = 2`, ActionChange, ""},
	{`needs = ["db"]`, ActionChange, ""},
	{`wants = ["db"]`, ActionChange, ""},
	{`after = ["db"]`, ActionChange, ""},
	{`lost_after = "1s"`, ActionChange, ""},
	{`start_timeout = "1s"`, ActionChange, ""},
	{`stop.signal = "INT"`, ActionChange, ""},
	{`stop.timeout = "1s"`, ActionChange, ""},
	{`stop.to = "tree"`, ActionChange, ""},
	{`restart.when = "never"`, ActionChange, ""},
	{`restart.delay = "1s"`, ActionChange, ""},
	{`restart.step = "1s"`, ActionChange, ""},
	{`restart.max_delay = "1s"`, ActionChange, ""},
	{`restart.factor = 1.5`, ActionChange, ""},
	{`restart.jitter = 0`, ActionChange, ""},
	{`restart.stable = "1s"`, ActionChange, ""},
	{`restart.give_up = 3`, ActionChange, ""},
	{`success = [0, 1]`, ActionChange, ""},
	{`log.max_size = 5`, ActionChange, ""},
	{`log.keep = 5`, ActionChange, ""},
	{`log.timestamps = false`, ActionChange, ""},
	{`log.file = "/srv/logs/web.log"`, ActionChange, ""},
	{`log.rotate_every = "1d"`, ActionChange, ""},
	{`log.max_age = "30d"`, ActionChange, ""},
	{`log.compress = false`, ActionChange, ""},
	{`log.full = "drop"`, ActionChange, ""},
	{`log = { compress = true, full = "wait", rotate_every = "", max_age = "0s" }`, ActionSame, "-"},
	{`log.stderr = "merge"`, ActionSame, "-"},
	{`log.syslog = false`, ActionSame, "-"},
	{`enabled = true`, ActionSame, "-"},
	{`stop = { timeout = "5000ms" }`, ActionSame, "-"},
	{`env_inherit = ["PATH", "HOME", "LANG"]`, ActionSame, "-"},
	{"directory = \"/d\"\nstop.to = \"tree\"", ActionRestart, "directory stop.to"},
}

// TestDiffKeys changes one key at a time and checks what follows.
func TestDiffKeys(t *testing.T) {
	const other = "[service.db]\ncommand = \"x\"\n"
	for _, c := range differences {
		t.Run(c.key, func(t *testing.T) {
			fs := files{"/srv/x.env": "A=1", "/srv/stay.toml": other + "[service.x]\ncommand = \"x\""}
			old := fs.load(t)
			fs["/srv/stay.toml"] = other + "[service.x]\n" + c.key
			if !strings.HasPrefix(c.key, "command") {
				fs["/srv/stay.toml"] += "\ncommand = \"x\""
			}
			if c.keys == "" {
				c.keys, _, _ = strings.Cut(c.key, " =")
			} else if c.keys == "-" {
				c.keys = ""
			}
			want := Change{Service: "x", Action: c.action, Keys: strings.Fields(c.keys)}
			for range 2 { // there and back
				new := fs.load(t)
				got := Diff(old, new)
				if len(got) != 2 || got[0].Action != ActionSame || got[1].Action != want.Action || !slices.Equal(got[1].Keys, want.Keys) {
					t.Errorf("Diff = %+v, want %+v", got, want)
				}
				if same := old.Service("x").Hash() == new.Service("x").Hash(); same != (c.action != ActionRestart) {
					t.Errorf("hash is the same: %v", same)
				}
				old, fs["/srv/stay.toml"] = new, other+"[service.x]\ncommand = \"x\""
			}
		})
	}
}

// TestDiffCoversKeys: every key that this version takes is among the differences, so that nobody adds one without saying
// what a change of it means. One rlimit stands for all.
func TestDiffCoversKeys(t *testing.T) {
	base := newService()
	covered := func(path string) bool {
		return slices.ContainsFunc(slices.Concat(differences, pulseDifferences), func(d keyChange) bool {
			return strings.HasPrefix(d.key, path+" ") || d.keys == path
		})
	}
	for _, k := range serviceKeys {
		switch {
		case k.Later:
			if k.set != nil || k.get != nil || k.starts {
				t.Errorf("%s is refused, and has functions", k.Path)
			}
		case k.set == nil || k.example == "" || k.Type == "" || k.Doc == "":
			t.Errorf("%s is not declared completely: %+v", k.Path, k.Key)
		case k.get == nil && k.Path != "shell" && k.Path != "pulse": // which is pulse.limit
			t.Errorf("%s cannot be shown or compared", k.Path)
		case k.get != nil && !covered(k.Path) && !(strings.HasPrefix(k.Path, "limits.") && k.starts):
			t.Errorf("nothing says what a change of %s means", k.Path)
		case k.get != nil:
			literal(k.get(base)) // knows the type, or panics
		}
	}
}

// pulseDifferences are changes of a pulse that there is.
var pulseDifferences = []keyChange{
	{`pulse.limit = "2m"`, ActionChange, "pulse.limit pulse.limit_max pulse.extend_max"},
	{`pulse.required = true`, ActionRestart, ""},
	{`pulse.progress = "1m"`, ActionChange, ""},
	{`pulse.limit_max = "1h"`, ActionChange, ""},
	{`pulse.extend_max = "1h"`, ActionChange, ""},
	{`pulse.pause_max = "1h"`, ActionChange, ""},
	{`pulse.lost = "restart"`, ActionChange, ""},
	{`pulse.slots = 32`, ActionRestart, ""},
	{`pulse.limit_max = "10m"`, ActionSame, "-"},
}

func TestDiffPulse(t *testing.T) {
	const with = "[defaults]\npulse.limit = \"1m\"\n[service.x]\ncommand = \"x\"\n"
	for _, c := range pulseDifferences {
		old, new := files{"/srv/stay.toml": with}.load(t), files{"/srv/stay.toml": with + c.key}.load(t)
		if c.keys == "" {
			c.keys, _, _ = strings.Cut(c.key, " =")
		} else if c.keys == "-" {
			c.keys = ""
		}
		for _, got := range [][]Change{Diff(old, new), Diff(new, old)} {
			if got[0].Action != c.action || strings.Join(got[0].Keys, " ") != c.keys {
				t.Errorf("%s: Diff = %+v, want %s %s", c.key, got, c.action, c.keys)
			}
		}
	}
}

func TestDiffServices(t *testing.T) {
	load := func(names string) *Config {
		var b strings.Builder
		for name := range strings.FieldsSeq(names) {
			b.WriteString("[service." + name + "]\ncommand = \"x\"\n")
		}
		return files{"/srv/stay.toml": b.String()}.load(t)
	}
	for _, c := range []struct {
		old, new *Config
		want     []Change
	}{
		{nil, load(""), nil},
		{nil, load("a b"), []Change{{"a", ActionAdd, nil}, {"b", ActionAdd, nil}}},
		{load("a c"), load("b c"), []Change{{"a", ActionRemove, nil}, {"b", ActionAdd, nil}, {"c", ActionSame, nil}}},
		{load("a"), load(""), []Change{{"a", ActionRemove, nil}}},
	} {
		if got := Diff(c.old, c.new); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Diff = %+v, want %+v", got, c.want)
		}
	}
}

func TestDiffTransient(t *testing.T) {
	s, errs := NewTransient(Transient{Name: "a", Command: []string{"x"}, Directory: "/srv", Environ: files{}.source().Environ})
	if errs != nil {
		t.Fatal(errs)
	}
	leaving := *s
	leaving.Name, leaving.Transient, leaving.Leaving = "b", false, true
	old := &Config{Services: []*Service{s, &leaving}}
	if got := Diff(old, &Config{}); len(got) != 0 {
		t.Errorf("Diff = %+v: what stands in no file cannot be removed from it", got)
	}
	new := files{"/srv/stay.toml": "[service.a]\ncommand = \"x\"\n[service.b]\ncommand = \"x\""}.load(t)
	want := []Change{{"a", ActionChange, nil}, {"b", ActionChange, nil}}
	if got := Diff(old, new); !reflect.DeepEqual(got, want) {
		t.Errorf("Diff = %+v, want %+v", got, want)
	}
}

// TestHashStable: the hash stands in records that outlive a version of stay; if it changes, an upgrade restarts
// everything.
func TestHashStable(t *testing.T) {
	c := files{"/srv/stay.toml": readTestdata(t, "good.toml")}.load(t)
	for name, want := range map[string]string{"cache": "7435048e373f63fe", "db": "c3cb69a8a026b4c8", "web": "451c5b18312f2e64"} {
		if got := c.Service(name).Hash(); got != want {
			t.Errorf("hash of %q is %s, want %s", name, got, want)
		}
	}
}

// TestHashOrigin: the same variable from another key is the same to the process.
func TestHashOrigin(t *testing.T) {
	fs := files{"/srv/x.env": "A=1", "/srv/stay.toml": "[service.x]\ncommand = \"x\"\nenv_file = [\"x.env\"]"}
	a := fs.load(t)
	fs["/srv/stay.toml"] = "[service.x]\ncommand = \"x\"\nenv = { A = \"1\" }"
	got := Diff(a, fs.load(t))
	want := []Change{{"x", ActionChange, []string{"env", "env_file"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Diff = %+v, want %+v", got, want)
	}
}
