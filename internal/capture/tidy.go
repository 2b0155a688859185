package capture

import (
	"slices"
	"sync"
	"time"
)

// How often old files are looked at, besides after each rotation. One that MaxAge is to delete goes at most sweepSlack
// of it, or sweepLeast, too late.
const (
	sweepFirst = time.Minute // after a policy is known
	sweepLeast = time.Minute
	sweepMost  = time.Hour
	sweepSlack = 10 // a tenth
)

// A tidier deletes and compresses old files: one goroutine for all names, as long as there is work, and one timer while
// there are old files that get older.
type tidier struct {
	store *Store

	mu      sync.Mutex        // leaf; guards what follows
	names   map[string]Policy // that may have old files to look after
	queue   []string          // of names, each once
	running bool
	timer   *time.Timer
	next    time.Time // when the timer is due; zero: it does not run
	closed  bool
}

func newTidier(s *Store) *tidier { return &tidier{store: s, names: map[string]Policy{}} }

// ask has the old files of a name looked at now.
func (t *tidier) ask(name string, how Policy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.note(name, how) {
		t.enqueue(name)
		t.wait(t.pause())
	}
}

// know has them looked at some time.
func (t *tidier) know(name string, how Policy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.note(name, how) {
		t.wait(min(sweepFirst, t.pause()))
	}
}

// note remembers a policy, and says whether it needs tidying. The caller holds mu, as for what follows.
func (t *tidier) note(name string, how Policy) bool {
	if t.closed || !how.Compress && how.MaxAge <= 0 {
		delete(t.names, name)
		return false
	}
	t.names[name] = how
	return true
}

func (t *tidier) enqueue(name string) {
	if !slices.Contains(t.queue, name) {
		t.queue = append(t.queue, name)
	}
	if !t.running {
		t.running = true
		go t.run()
	}
}

// wait has the timer be due in d at the latest.
func (t *tidier) wait(d time.Duration) {
	next := time.Now().Add(d)
	if !t.next.IsZero() && !next.Before(t.next) {
		return
	}
	t.next = next
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.sweep)
		return
	}
	t.timer.Reset(d)
}

// sweep asks for all names.
func (t *tidier) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = time.Time{}
	if t.closed || len(t.names) == 0 {
		return
	}
	t.queue = t.queue[:0]
	for name := range t.names {
		t.queue = append(t.queue, name)
	}
	if !t.running {
		t.running = true
		go t.run()
	}
	t.wait(t.pause())
}

// pause is the time between two sweeps.
func (t *tidier) pause() time.Duration {
	next := sweepMost
	for _, how := range t.names {
		if how.MaxAge > 0 {
			next = max(min(next, how.MaxAge/sweepSlack), sweepLeast)
		}
	}
	return next
}

// run works until nothing is left to do.
func (t *tidier) run() {
	p := &packer{store: t.store}
	for {
		t.mu.Lock()
		if len(t.queue) == 0 || t.closed {
			t.running, t.queue = false, nil
			t.mu.Unlock()
			return
		}
		name := t.queue[0]
		t.queue = t.queue[1:]
		how, known := t.names[name]
		t.mu.Unlock()
		if known && !t.tidy(p, name, how) {
			t.forget(name, how)
		}
	}
}

// forget drops a name of which nothing is left to look after, unless a rotation has asked for it meanwhile.
func (t *tidier) forget(name string, how Policy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names[name] == how && !slices.Contains(t.queue, name) {
		delete(t.names, name)
	}
}

// tidy deletes and compresses what is due of one name, and says whether there will be something again without a rotation.
func (t *tidier) tidy(p *packer, name string, how Policy) (again bool) {
	k, err := t.store.hold(name)
	if err != nil {
		return false // closed
	}
	defer t.store.release(k)
	if how.MaxAge > 0 {
		again = k.expire(how.MaxAge)
	}
	if how.Compress {
		err = p.packAll(k)
	}
	k.trouble(illPack, err)
	return again || err != nil
}

// expire deletes old files whose last line is older than age, and says whether there are others.
func (k *sink) expire(age time.Duration) (others bool) {
	k.names.Lock()
	defer k.names.Unlock()
	d := k.home.dir
	all := d.oldFiles(k.home.name)
	for i := len(all) - 1; i >= 0; i-- {
		st, err := d.stat(fileName(k.home.name, all[i].index) + forms[all[i].forms.number()])
		if err == nil && k.store.now().Sub(time.Unix(st.Mtim.Sec, st.Mtim.Nsec)) < age {
			return true // those before it are younger
		}
		d.drop(k.home.name, all[i].index, ^formSet(0))
	}
	return false
}

// close ends the timer; the goroutine ends soon after Store.closed is.
func (t *tidier) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// An oldFile is what stands at a number.
type oldFile struct {
	index int
	forms formSet
}

// oldFiles returns the old files of a name, youngest first, over holes that kills leave.
func (d *dir) oldFiles(name string) (all []oldFile) {
	for i, holes := 1, 0; holes <= holesAllowed; i++ {
		if set := d.formsAt(name, i); set != 0 {
			all = append(all, oldFile{i, set})
			holes = 0
		} else {
			holes++
		}
	}
	return all
}
