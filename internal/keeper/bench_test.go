package keeper

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
)

// BenchmarkSpawnExit is an order, its Spawned and its Exited, through a real keeper, of /bin/true.
func BenchmarkSpawnExit(b *testing.B) {
	r := start(b, config{})
	e := r.ready()
	s := e.shell("")
	s.Exec.Path, s.Exec.Argv, s.Exec.Env = "/bin/true", []string{"true"}, s.Exec.Env[:1]
	gen := uint64(0)
	for b.Loop() {
		gen++
		e.order(&Message{Kind: SpawnOrder, Unit: "web", Gen: gen, Spawn: s})
		CloseAll(e.want(Spawned, "web").fds)
		e.want(Exited, "web")
		e.send(&Message{Kind: Drop, Unit: "web", Name: LogPipe})
	}
}

// BenchmarkForkExecWait is the same program without anything around it: what BenchmarkSpawnExit is measured by.
func BenchmarkForkExecWait(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Dir: "/", Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}}
	for b.Loop() {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, attr)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func benchMessage() *Message {
	record, _ := json.Marshal(map[string]any{"service": "web", "number": 1, "unit": map[string]any{"phase": 4, "gen": 7, "pid": 12345,
		"since": int64(123456789012345), "restarts": 6}, "spec": strings.Repeat("0123456789abcdef", 4)})
	return &Message{Kind: SpawnOrder, Unit: "web.12", Gen: 7, Op: 42, Seen: 6, Record: record, Spawn: &Spawn{UID: 33, GID: 33,
		Mark: "STAY_TREE=0123456789ab/web.12/7", Exec: &Exec{Path: "/usr/bin/web", Argv: []string{"web", "--port", "8080"}, Dir: "/srv",
			Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/var/www", "LANG=C.UTF-8", "STAY_SERVICE=web", "STAY_INSTANCE=web.12"}}}}
}

// BenchmarkMessage is what both processes pay for one order.
func BenchmarkMessage(b *testing.B) {
	m := benchMessage()
	data, err := json.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := json.Marshal(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, _, err := decode(data, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("socket", func(b *testing.B) {
		one, other := pair(b)
		for b.Loop() {
			if err := one.Send(m); err != nil {
				b.Fatal(err)
			}
			if _, _, err := other.Receive(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
