package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/incident"
)

// TestIncidents: what a daemon left can be read when it has gone.
func TestIncidents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "incidents")
	store, err := incident.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	ids := map[string]string{}
	for i, name := range []string{"db", "web", "web.2"} {
		a := &api.Incident{Name: name, Generation: uint64(i + 1), Time: at.Add(time.Duration(i) * time.Minute)}
		if err := store.Write(a); err != nil {
			t.Fatal(err)
		}
		ids[name] = a.ID
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"web.2", "web", "db"}},
		{[]string{"-n", "1"}, []string{"web.2"}},
		{[]string{"--target", "web"}, []string{"web.2", "web"}},
		{[]string{"--target", "web.1"}, []string{"web"}},
		{[]string{"--target", "web.2"}, []string{"web.2"}},
		{[]string{"--target", "[dw]*b"}, []string{"web.2", "web", "db"}},
		{[]string{"--target", "web", "-n", "1"}, []string{"web.2"}},
		{[]string{"--target", "nix"}, []string{}},
		{[]string{"--since", at.Add(30 * time.Second).Format(time.RFC3339Nano)}, []string{"web.2", "web"}},
		{[]string{"--id", ids["web"]}, []string{"web"}},
		{[]string{"--id", "../" + ids["web"]}, []string{}},
	} {
		out, err := stayd(t, append([]string{"incidents", "--dir", dir}, c.args...)...).Output()
		var list []api.Incident
		if err != nil || json.Unmarshal(out, &list) != nil || !slices.Equal(names(list), c.want) {
			t.Errorf("%q: %v %s; want %q", c.args, err, out, c.want)
		}
	}
	out, err := stayd(t, "incidents", "--dir", dir, "--since", "soon").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), `stay: --since "soon" is no time`) {
		t.Errorf("--since soon: %v %s", err, out)
	}
}

func names(list []api.Incident) []string {
	names := []string{}
	for _, a := range list {
		names = append(names, a.Name)
	}
	return names
}

// stayd is a command of this program in its own right.
func stayd(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = append([]string{"stayd"}, args...)
	return cmd
}
