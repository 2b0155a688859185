package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"example.com/stay/api"
)

// TestNothingIsLeft sees to it that the check for leftovers sees something while a daemon lives.
func TestNothingIsLeft(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"`)
	web := d.running("web", 0)
	found := d.processes()
	if !contains(found, web.Pid) || !contains(found, d.keeper.Process.Pid) {
		t.Errorf("processes finds %v, not the service %d and the keeper %d", found, web.Pid, d.keeper.Process.Pid)
	}
	if d.left() == nil {
		t.Error("nothing is left, it says, of a daemon that lives")
	}
}

func contains(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

func TestKilledServiceComesBack(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"`)
	web := d.running("web", 0)
	for range 5 {
		if err := syscall.Kill(web.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		web = d.running("web", web.Generation)
	}
	if web.Restarts != 5 || web.Generation != 6 {
		t.Errorf("after 5 deaths: %+v", web)
	}
}

// TestStopTakesTheWholeTree is the promise of the tree: a grandchild in a session of its own, twice over, that ignores
// SIGTERM, is gone when stop returns.
func TestStopTakesTheWholeTree(t *testing.T) {
	d := start(t, `[service.web]
command = "setsid setsid sh -c 'trap \"\" TERM; echo $$ >grandchild; while :; do sleep 1000; done' & sleep 1000"
shell = true
stop = { timeout = "300ms" }`)
	d.running("web", 0)
	var grandchild int
	d.wait("the grandchild", func() error {
		data, err := os.ReadFile(d.dir + "/grandchild")
		if err != nil {
			return err
		}
		grandchild, err = parsePid(data)
		return err
	})
	if !alive(grandchild) {
		t.Fatalf("the grandchild %d is not there", grandchild)
	}
	d.do(api.Stop, "web")
	if alive(grandchild) {
		t.Errorf("stop has returned and %d is alive", grandchild)
	}
}

func TestEngineDeathTouchesNobody(t *testing.T) {
	d := start(t, `[service.web]
command = "sleep 1000"
instances = 3
[service.crash]
command = "sh -c 'echo here; exit 3'"`)
	d.running("web.3", 0)
	d.until("crash", "waiting after some deaths", func(i api.Instance) bool { return i.State == api.Waiting && i.Restarts >= 3 })
	before := d.status("web")
	restarts := d.one("crash").Restarts
	for range 5 {
		d.killEngine()
	}
	for i, now := range d.status("web") {
		if now.Pid != before[i].Pid || now.Generation != before[i].Generation || now.State != api.Running {
			t.Errorf("%s was %+v, is %+v", now.Name, before[i], now)
		}
	}
	if now := d.one("crash").Restarts; now < restarts || now > restarts+5 {
		t.Errorf("restarts went from %d to %d over five engines", restarts, now)
	}
	if !strings.Contains(d.output("crash"), "here") {
		t.Errorf("its output is %q", d.output("crash"))
	}
}
