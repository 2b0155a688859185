package launch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestGetent(t *testing.T) {
	if _, err := os.Stat("/usr/bin/getent"); err != nil {
		t.Skip("needs getent: " + err.Error())
	}
	tests := []struct{ database, key, prefix string }{
		{"passwd", "root", "root:"},
		{"passwd", "0", "root:"},
		{"group", "0", "root:"},
		{"initgroups", "root", "root"},
		{"passwd", "no-such-user-at-all", ""},
		{"passwd", "-s", ""}, // an option
		{"passwd", "", ""},   // all
		{"no-such-database", "root", ""},
	}
	for _, test := range tests {
		line, err := getent(test.database, test.key)
		if err != nil || !strings.HasPrefix(line, test.prefix) || (line == "") != (test.prefix == "") {
			t.Errorf("getent %s %q = %q, %v; want %q…", test.database, test.key, line, err, test.prefix)
		}
		if strings.Contains(line, "\n") {
			t.Errorf("getent %s %q gave more than a line", test.database, test.key)
		}
	}
}

func TestAccountsWithoutFiles(t *testing.T) {
	a := accounts{passwd: "/no/such", group: "/no/such", ask: func(database, key string) (string, error) {
		return map[string]string{"passwd anna": "anna:x:7:8::/h:/s", "group web": "web:x:9:", "passwd odd": "odd:x"}[database+" "+key], nil
	}}
	if u, ok, err := a.user("anna"); err != nil || !ok || u != (account{"anna", "/h", "/s", 7, 8}) {
		t.Errorf("user %+v, %v, %v", u, ok, err)
	}
	if _, ok, err := a.user("odd"); ok || err != nil {
		t.Errorf("a line that is too short: %v, %v", ok, err)
	}
	if n, ok, err := a.gid("web"); err != nil || !ok || n != 9 {
		t.Errorf("group %d, %v, %v", n, ok, err)
	}
	if n, ok, err := a.gid("4712"); err != nil || !ok || n != 4712 {
		t.Errorf("number of a group %d, %v, %v", n, ok, err)
	}
}

func TestAccountsLongLines(t *testing.T) {
	group := filepath.Join(t.TempDir(), "group")
	members := strings.Repeat("somebody,", 20_000)
	if err := os.WriteFile(group, []byte("big:x:5:"+members+"anna\nlast:x:6:anna"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := accounts{passwd: "/no/such", group: group, ask: getent}
	got, err := a.member(account{name: "anna", gid: 4}, true)
	if err != nil || !slices.Equal(got, []int{4, 5, 6}) {
		t.Errorf("groups %v, %v; want 4 5 6", got, err)
	}
}

func TestNumber(t *testing.T) {
	for s, want := range map[string]int{"0": 0, "65534": 65534, "4294967294": 4294967294} {
		if n, ok := number(s); !ok || n != want {
			t.Errorf("number(%q) = %d, %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "-1", "4294967295", "4294967296", "1x", " 1", "+1"} {
		if n, ok := number(s); ok {
			t.Errorf("number(%q) = %d, want none", s, n)
		}
	}
}

func TestFailureReads(t *testing.T) {
	tests := []struct {
		f    Failure
		want string
	}{
		{Failure{StageChdir, int(unix.ENOENT), "/no/such"}, `chdir "/no/such": no such file or directory`},
		{Failure{StageNoNewPrivs, int(unix.EINVAL), ""}, `no_new_privs: invalid argument`},
		{Failure{StageNice, int(unix.EACCES), "-5"}, `nice "-5": permission denied (a negative value needs CAP_SYS_NICE)`},
		{Failure{"rlimit core", int(unix.EPERM), "unlimited"},
			`rlimit core "unlimited": operation not permitted (above the hard limit: lower the value or start stayd with a higher one)`},
		{Failure{StageExec, int(unix.ENOENT), "/a: interpreter /b"}, `exec "/a": interpreter "/b": no such file or directory`},
		{Failure{StageExec, int(unix.EAGAIN), "/a"}, `exec "/a": resource temporarily unavailable`},
		{Failure{StageUser, int(unix.ENOENT), `no such user "x"`}, `no such user "x"`},
	}
	for _, test := range tests {
		if got := test.f.Error(); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

func TestLimitsInOrder(t *testing.T) {
	limits := []Rlimit{{unix.RLIMIT_AS, 1}, {unix.RLIMIT_CORE, 2}, {unix.RLIMIT_DATA, 3}, {unix.RLIMIT_NPROC, 4}, {unix.RLIMIT_NOFILE, 5}}
	want := []int{unix.RLIMIT_CORE, unix.RLIMIT_NOFILE, unix.RLIMIT_NPROC, unix.RLIMIT_DATA, unix.RLIMIT_AS}
	var got []int
	for _, l := range inOrder(limits) {
		got = append(got, l.Resource)
	}
	if !slices.Equal(got, want) || limits[0].Resource != unix.RLIMIT_AS {
		t.Errorf("order %v, want %v; given %v", got, want, limits)
	}
	up, down := raised([]Rlimit{{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_NOFILE, 1 << 40}})
	if len(up) != 1 || up[0].Resource != unix.RLIMIT_NOFILE || len(down) != 1 || down[0].Resource != unix.RLIMIT_CORE {
		t.Errorf("raised %v, lowered %v", up, down)
	}
}
