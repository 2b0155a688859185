package integration

import (
	"path/filepath"
	"testing"

	"example.com/stay/api"
)

// TestSilence: a service that talks is left alone, whoever dies beside it; one that falls silent is restarted, and the
// incident says so.
func TestSilence(t *testing.T) {
	t.Parallel()
	d := prepare(t, "")
	quiet := filepath.Join(d.dir, "quiet")
	d.write("[service.web]\ncommand = [\"sh\", \"-c\", \"while [ ! -e quiet ]; do echo beat; sleep 0.05; done; rm quiet; exec sleep 1000\"]\nsilence = \"1s\"\n")
	d.up()
	i := d.running("web", 0)
	talks := func() {
		t.Helper()
		n := len(d.lines("web"))
		d.wait("40 more lines", func() error { // two seconds of talk: more than the limit
			if len(d.lines("web")) < n+40 {
				return errNotYet
			}
			return nil
		})
	}
	talks()
	d.killEngine()
	talks()
	if now := d.one("web"); now.Pid != i.Pid {
		t.Errorf("it talks, and was restarted: %+v, it was %+v", now, i)
	}
	file(t, quiet, "", 0o644)
	a := d.incident("web", 0)
	if a.Cause != api.CauseHang || a.Verdict == nil || a.Verdict.Kind != "silence" || a.Verdict.LimitMS != 1000 || a.Verdict.SilentMS < 1000 {
		t.Errorf("incident %+v, verdict %+v", a, a.Verdict)
	}
	d.running("web", i.Generation)
	talks()
}
