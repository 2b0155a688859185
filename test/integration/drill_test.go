package integration

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/stay/api"
	"example.com/stay/internal/drill"
	"example.com/stay/internal/explain"
)

// TestDrill: each way to break a service is found and recovered from, and measured; what is told of it afterwards are plain
// sentences, also when the daemon has gone.
func TestDrill(t *testing.T) {
	t.Parallel()
	d := start(t, "[stay]\nkill_brake = \"off\"\n"+beating("web", "2 20ms", `pulse = "300ms"
stop = { timeout = "200ms" }
instances = 2`))
	d.running("web", 0)
	d.running("web.2", 0)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var rounds []drill.Round
	o := drill.Options{Target: "web", Kinds: []drill.Kind{drill.Kill, drill.Hang, drill.Mute}, Times: 2, Timeout: patience}
	if err := drill.Run(ctx, d.client, o, func(r drill.Round) { rounds = append(rounds, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rounds) != 6 {
		t.Fatalf("rounds %+v", rounds)
	}
	for i, r := range rounds {
		if r.Problem != "" || r.Found <= 0 || r.Back <= 0 || r.Instance != []string{"web", "web.2"}[i%2] || r.Kind != o.Kinds[i/2] {
			t.Errorf("round %+v", r)
		}
		if r.Kind == drill.Kill && r.Found > r.Back {
			t.Errorf("found after it was back: %+v", r)
		}
	}
	web := d.one("web")
	d.pulses("web.1", 2)
	d.signal(web, syscall.SIGUSR1) // a loop of it blocks for good
	a := d.incident("web.1", web.Generation-1)
	checkSentences(t, a)
	if err := d.client.Shutdown(ctx, false); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	out, err := exec.Command(filepath.Join(binaries, "stayd"), "incidents", "--dir", filepath.Join(d.dir, ".stay", "state", "incidents"), "--id", a.ID).Output()
	var kept []api.Incident
	if err != nil || json.Unmarshal(out, &kept) != nil || len(kept) != 1 {
		t.Fatalf("%v %s", err, out)
	}
	checkSentences(t, kept[0])
}

// checkSentences holds what is said of a hang of the role pulses against what happened.
func checkSentences(t *testing.T, a api.Incident) {
	t.Helper()
	text := strings.Join(explain.Sentences(&a, time.Now()), "\n")
	for _, part := range []string{"web was killed ", ": its pulse `indexer` was silent for ", " (limit 300 ms).\n", "It was last at `merging segment 41`. ",
		"1 other pulse was fine.\n", "Restarted ", " after it was gone; "} {
		if !strings.Contains(text, part) {
			t.Errorf("without %q: %s", part, text)
		}
	}
}
