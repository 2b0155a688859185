package oldtable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"example.com/stay/sysv"
)

// A prover finds out whose process an entry is about.
type prover struct {
	key    sysv.Key
	memory sysv.Memory
	owner  func(pid int) (string, uint64, bool) // nil: nobody owns any
	wall   func() time.Time
}

// grain is how much later than its entry a process may seem to have started: start times come in hundredths of a second, the
// time in an entry in whole ones.
const grain = time.Second + tick

// identify looks at the process with the pid of an entry for the first time.
func (v *prover) identify(e Entry) Identity {
	p, err := hold(e.Pid)
	if err != nil {
		return unknown(err)
	}
	defer p.release()
	st, err := statOf(e.Pid)
	if err != nil {
		return unknown(err)
	}
	who := Identity{Start: st.start}
	if started := startedAt(st.start, sinceBoot(), v.wall()); started.After(time.Unix(e.Atime, 0).Add(grain)) {
		who.Why = fmt.Sprintf("process %d is not the one that made the entry: it started later", e.Pid)
		return who
	}
	return v.complete(p, who)
}

// again looks at a process that was identified before: it must be the same.
func (v *prover) again(p *process, was Identity) Identity {
	st, err := statOf(p.pid)
	if err != nil {
		return unknown(err)
	}
	if st.start != was.Start {
		return Identity{Start: st.start, Why: fmt.Sprintf("the process of the entry has ended, and process %d is another", p.pid)}
	}
	return v.complete(p, Identity{Start: st.start})
}

// complete adds all that does not depend on start times.
func (v *prover) complete(p *process, who Identity) Identity {
	if p.pid == os.Getpid() {
		who.Why = "stay itself is not touched"
		return who
	}
	has, err := attached(p.pid, v.key, v.memory)
	switch {
	case err != nil:
		return unknown(err)
	case !has:
		who.Why = fmt.Sprintf("process %d does not have the table attached for writing", p.pid)
	case p.ended():
		return unknown(errGone)
	case v.owner != nil:
		if name, gen, ok := v.owner(p.pid); ok {
			who.Owner, who.Gen = name, gen
		}
	}
	return who
}

// unknown is the identity of a process that could not be looked at.
func unknown(err error) Identity {
	switch {
	case errors.Is(err, errGone), errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return Identity{Why: "its process has gone"}
	case errors.Is(err, fs.ErrPermission):
		return Identity{Why: "its process may not be looked at: stay lacks the right"}
	}
	return Identity{Why: err.Error(), Again: true}
}
