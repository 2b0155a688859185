package spec

import (
	"strings"
	"testing"
)

func TestScaled(t *testing.T) {
	web := &Service{Name: "web", Instances: 2}
	c := &Config{Services: []*Service{{Name: "db", Instances: 1}, {Name: "job", Instances: 1, Job: &Job{}}, {Name: "old", Leaving: true}, web}}
	got, err := Scaled(c, "web", 5)
	if err != nil {
		t.Fatal(err)
	}
	if got.Service("web").Instances != 5 || got.Service("db") != c.Service("db") || web.Instances != 2 || c.Service("web") != web {
		t.Errorf("scaled: %+v; before: %+v", got.Service("web"), web)
	}
	for _, tt := range []struct {
		name string
		n    int
		want string
	}{
		{"web", 0, "allowed are 1 to"}, {"web", maxInstances + 1, "allowed are 1 to"}, {"nix", 1, "there is no service"}, {"old", 1, "there is no service"},
		{"job", 2, "is a job"},
	} {
		if _, err := Scaled(c, tt.name, tt.n); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s=%d: %v, want %q", tt.name, tt.n, err, tt.want)
		}
	}
}
