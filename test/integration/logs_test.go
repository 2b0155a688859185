package integration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"example.com/stay/api"
)

// TestLogsAreChosenAndMerged: what clients ask of logs, from the wire to the files and back.
func TestLogsAreChosenAndMerged(t *testing.T) {
	t.Parallel()
	say := `command = "sh -c 'echo one; echo two; echo three; exec sleep 1000'"`
	d := start(t, "[service.a]\n"+say+"\n[service.b]\n"+say+"\n")
	enough := errors.New("enough")
	n := 0
	err := d.client.Logs(context.Background(), api.LogQuery{N: -1, Follow: true}, func(api.LogLine) error {
		if n++; n == 6 {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Fatal(err)
	}
	ask := func(q api.LogQuery) (lines []api.LogLine, names string) {
		t.Helper()
		err := d.client.Logs(context.Background(), q, func(l api.LogLine) error {
			lines, names = append(lines, l), names+l.Name+" "+l.Text+"|"
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return lines, names
	}
	all, _ := ask(api.LogQuery{N: -1})
	if len(all) != 6 || !slices.IsSortedFunc(all, func(x, y api.LogLine) int { return x.Time.Compare(y.Time) }) {
		t.Errorf("lines are not merged by time: %v", all)
	}
	if lines, _ := ask(api.LogQuery{N: 1, Grep: "^t"}); len(lines) != 2 || lines[0].Text != "three" || lines[1].Text != "three" {
		t.Errorf("the last that match are %v", lines)
	}
	own, _ := ask(api.LogQuery{Targets: []string{"a"}, N: -1})
	if _, got := ask(api.LogQuery{Targets: []string{"a"}, After: map[string]string{"a": own[0].Pos}}); got != "a two|a three|" {
		t.Errorf("after the first line: %s", got)
	}
	if lines, _ := ask(api.LogQuery{N: -1, Until: own[0].Time, Targets: []string{"a"}}); len(lines) != 0 {
		t.Errorf("before the first line: %v", lines)
	}
	if err := d.client.Rotate(context.Background(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if _, got := ask(api.LogQuery{Targets: []string{"a"}, After: map[string]string{"a": own[0].Pos}}); got != "a two|a three|" {
		t.Errorf("after the first line, rotated: %s", got)
	}
	for _, q := range []api.LogQuery{{Grep: "("}, {After: map[string]string{"a": "x"}}} {
		err := d.client.Logs(context.Background(), q, func(api.LogLine) error { return nil })
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Code != "bad-request" || strings.Contains(err.Error(), "internal") {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
