package spec

import (
	"net"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLoad: whatever stands in the files, Load returns a configuration that survives freezing and can be compared, or
// errors with valid places.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"good.toml", "unknown.toml", "types.toml", "values.toml", "later.toml", "hang.toml", "names.toml", "commands.toml", "twice.toml"} {
		f.Add([]byte(readTestdata(f, name)), []byte("A=1"))
	}
	f.Add([]byte("[stay]\ninclude = [\"*\"]\n[service.x]\ncommand = \"x\"\nenv_file = [\"x.env\"]"), []byte("A='1\n2' #\nexport B=\"\\n\""))
	f.Add([]byte("[[service]]\n[service.x.y]"), []byte("\x00"))
	f.Add([]byte("a: b\nweb: c"), []byte{})
	f.Fuzz(func(t *testing.T, text, second []byte) {
		fs := files{"/srv/stay.toml": string(text), "/srv/x.env": string(second), "/srv/Procfile": string(text), "/srv/conf.toml": string(second)}
		for _, file := range []string{"/srv/stay.toml", "/srv/Procfile"} {
			c, errs := Load(file, fs.source())
			if (c == nil) == (errs == nil) {
				t.Fatalf("a configuration and errors, or neither: %v", errs)
			}
			for _, e := range errs {
				checkPlace(t, fs, e)
			}
			if c != nil {
				checkConfig(t, c)
			}
		}
	})
}

// FuzzAddresses: what is accepted can be used by those who connect.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1:80/x?y=%20", "https://[::1]:8080/", "http://[fe80::1%25eth0]/", "a.b:80", "[::1]:1", "http://a/ä"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkURL(text) == nil && utf8.ValidString(text) {
			u, err := url.Parse(text)
			if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
				t.Errorf("%q is accepted: %v, %v", text, u, err)
			}
		}
		if checkHostPort(text) == nil {
			host, port, err := net.SplitHostPort(text)
			if err != nil || host == "" || port == "" {
				t.Errorf("%q is accepted: %q, %q, %v", text, host, port, err)
			}
		}
	})
}

// checkPlace fails if an error points to nowhere.
func checkPlace(t *testing.T, fs files, e Error) {
	t.Helper()
	text, ok := fs[e.File]
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	if !ok || e.Message == "" || strings.Contains(e.Message, "\n") || strings.Contains(e.Hint, "\n") {
		t.Fatalf("error %#v", e)
	}
	if e.Line == 0 && e.Column == 0 && strings.HasPrefix(e.Message, "read") {
		return
	}
	if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+1 {
		t.Fatalf("error %#v is outside of its file", e)
	}
}

// checkConfig fails if something that was accepted breaks a promise of the types.
func checkConfig(t *testing.T, c *Config) {
	t.Helper()
	if again := roundTrip(t, c); !reflect.DeepEqual(c, again) {
		t.Fatalf("decoded %+v, want %+v", again, c)
	}
	for _, change := range Diff(c, c) {
		if change.Action != ActionSame {
			t.Fatalf("a configuration differs from itself: %+v", change)
		}
	}
	for _, s := range c.Services {
		if len(s.Command) == 0 || s.Command[0] == "" || s.Instances < 1 || s.Directory == "" || s.Directory[0] != '/' || s.Stop.Timeout < 0 ||
			s.StartTimeout < 0 || s.LostAfter < 0 || s.Stop.Signal < 1 || !(s.Restart.Factor >= 1) || s.Log.MaxSize < 0 {
			t.Fatalf("service %+v", s)
		}
		if p := s.Pulse; p != nil && (p.Limit < leastSpan || p.LimitMax < p.Limit || p.ExtendMax < 0 || p.Slots < 1 || p.Slots > 4096 || p.Lost == "") {
			t.Fatalf("pulse %+v", p)
		}
		for _, k := range s.Checks {
			kinds := 0
			for _, has := range []bool{k.HTTP != "", k.TCP != "", len(k.Exec) > 0} {
				if has {
					kinds++
				}
			}
			if kinds != 1 || k.Every < leastSpan || k.Timeout <= 0 || k.Failures < 1 || k.Then == "" || strings.Contains(k.Name(), "\n") {
				t.Fatalf("check %+v", k)
			}
		}
		if s.Restart.Delay > s.Restart.MaxDelay || s.FDStore < 0 || s.FDStore > 64 {
			t.Fatalf("service %+v", s)
		}
		s.Settings()
	}
}
