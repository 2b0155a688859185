package spec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	c := files{"/srv/stay.toml": readTestdata(t, "good.toml")}.load(t)
	got := c.Service("db").Settings()
	want := map[string]any{
		"command": []string{"/usr/bin/db", "--data", "/srv/db data"}, "directory": "/srv/db", "user": "70", "group": "db",
		"groups": []string{"disk", "12"}, "umask": "027", "enabled": true, "instances": 1, "lost_after": "10s", "ready": "fd:11",
		"start_timeout": "2m",
		"env":           map[string]any{"A": Hidden, "B": Hidden, "HOME": "/root", "LANG": "C", "PATH": "/bin", "SECRET": "x"},
		"stop":          map[string]any{"signal": "INT", "timeout": "20s", "to": "group"},
		"restart": map[string]any{"when": "on-failure", "delay": "1s", "step": "200ms", "max_delay": "1m", "factor": 3.0, "jitter": 0.0,
			"stable": "1h", "give_up": 5},
		"success": []any{0, 3, "TERM", "HUP"},
		"limits": map[string]any{"nice": -5, "oom_score_adj": -900, "open_files": 65536, "address_space": "2GiB", "cpu_time": "2s",
			"core": "unlimited"},
		"sandbox": map[string]any{"no_new_privileges": true, "chroot": "/srv/jail"},
		"log": map[string]any{"max_size": "64KiB", "keep": 0, "timestamps": false,
			"rotate_every": "1d", "max_age": "30d", "compress": false, "full": "drop", "stderr": "merge", "syslog": false, "file": "/srv/logs/db.log"},
		"pulse": map[string]any{"limit": "2s", "required": true, "progress": "2m", "limit_max": "5m", "extend_max": "0s", "pause_max": "1h",
			"lost": "restart", "slots": 62},
		"check": []any{
			map[string]any{"http": "http://[::1]:8080/healthz?a=%20", "every": "5s", "timeout": "1s", "failures": 1, "then": "mark"},
			map[string]any{"tcp": "127.0.0.1:5432", "every": "10s", "timeout": "2s", "failures": 3, "then": "restart"},
		},
		"silence": "5m", "hang": map[string]any{"dump": "QUIT", "dump_wait": "3s"}, "fd_store": 8,
	}
	for k := range want {
		if !reflect.DeepEqual(got[k], want[k]) {
			t.Errorf("%s is %#v, want %#v", k, got[k], want[k])
		}
	}
	if len(got) != len(want) {
		t.Errorf("settings %v, want %v", got, want)
	}
	if text := fmt.Sprint(got); strings.Contains(text, "default") || strings.Contains(text, "service") {
		t.Errorf("a value of env is shown: %s", text)
	}
}

// TestExamples: the example of every key is right, and what is shown of it can be read again.
func TestExamples(t *testing.T) {
	for _, k := range serviceKeys {
		if k.Later || k.Path == "command" {
			continue
		}
		fs := files{"/srv/.env": "A=1"}
		load := func(value string) *Service {
			if strings.HasPrefix(k.Path, "pulse.") && k.Path != "pulse.limit" {
				value += "\npulse.limit = \"1m\"" // without it there is no pulse
			}
			fs["/srv/stay.toml"] = "[service.x]\ncommand = \"x\"\n" + k.Path + " = " + value +
				"\n[service.db]\ncommand = \"x\"\n[service.cache]\ncommand = \"x\"\n[service.net]\ncommand = \"x\""
			c, errs := Load("/srv/stay.toml", fs.source())
			if errs != nil {
				t.Errorf("%s = %s: %v", k.Path, value, errs)
				return newService()
			}
			return c.Service("x")
		}
		s := load(k.example)
		if k.secret || k.get == nil {
			continue
		}
		shown := literal(k.get(s))
		if again := load(shown); !reflect.DeepEqual(again, s) {
			t.Errorf("%s = %s is shown as %s", k.Path, k.example, shown)
		}
	}
}

func TestKeys(t *testing.T) {
	keys := Keys()
	seen := map[string]Key{}
	for _, k := range keys {
		if _, twice := seen[k.Path]; twice {
			t.Errorf("%s is declared twice", k.Path)
		}
		seen[k.Path] = k
		if k.Doc == "" || !strings.HasSuffix(k.Doc, ".") || !k.Later && k.Type == "" {
			t.Errorf("%s is not documented: %+v", k.Path, k)
		}
	}
	for path, def := range map[string]string{
		"service.*.stop.timeout": `"5s"`, "service.*.stop.signal": `"TERM"`, "service.*.restart.factor": "2", "service.*.success": "[0]",
		"service.*.instances": "1", "service.*.needs": "", "service.*.command": "", "service.*.log.max_size": `"10MB"`,
		"stay.kill_brake": "", "stay.old_tables[].action": `"kill"`, "service.*.check[].every": `"10s"`, "service.*.pulse.slots": "31",
		"service.*.hang.dump_wait": `"1s"`, "service.*.fd_store": "0", "service.*.silence": "",
		"service.*.env_inherit": `["PATH", "HOME", "LANG", "TZ"]`, "stay.fork_rate": `"200/s"`, "service.*.limits.core": "", "defaults": "",
		"job.*.every": "", "job.*.overlap": `"skip"`, "job.*.catch_up": "false",
	} {
		if k, ok := seen[path]; !ok || k.Default != def || k.Later {
			t.Errorf("%s is %+v, want the default %q", path, k, def)
		}
	}
	for _, path := range []string{"service.*.reload", "stay.pid_file", "service.*.stop.command", "service.*.limits.memory"} {
		if !seen[path].Later {
			t.Errorf("%s is not refused", path)
		}
	}
}

func TestLiteral(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, ""}, {"a\"b", `"a\"b"`}, {true, "true"}, {-5, "-5"}, {0.1, "0.1"}, {[]string(nil), ""}, {[]string{}, "[]"},
		{[]string{"a", "b"}, `["a", "b"]`}, {[]any{0, "TERM"}, `[0, "TERM"]`},
		{[]any{table{{"a", 1}, {"b", []string{"c"}}}, table{{"a", "x"}}}, `[{ a = 1, b = ["c"] }, { a = "x" }]`},
	} {
		if got := literal(c.v); got != c.want {
			t.Errorf("literal(%#v) = %s, want %s", c.v, got, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a type that cannot be written is written")
		}
	}()
	literal(struct{}{})
}

func TestWithArticle(t *testing.T) {
	for typ, want := range map[string]string{"duration": "a duration", "integer": "an integer", `"a" or "b"`: `"a" or "b"`, "": ""} {
		if got := withArticle(typ); got != want {
			t.Errorf("withArticle(%q) = %q, want %q", typ, got, want)
		}
	}
}
