package capture

import "sync"

// The kinds of trouble.
const (
	illWrite = iota // a line cannot be written
	illRotate
	illPack
	illKinds
)

// An OldFiles is a problem with old files only: lines are written.
type OldFiles struct{ Err error }

func (o *OldFiles) Error() string { return o.Err.Error() }

// Unwrap returns the cause.
func (o *OldFiles) Unwrap() error { return o.Err }

// A health is which troubles a sink has.
type health struct {
	mu  sync.Mutex // held while a change is reported, so that reports come in order
	ill [illKinds]bool
}

// trouble takes note of a problem, or of its absence, and reports each change once.
func (k *sink) trouble(kind int, err error) {
	h := &k.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ill[kind] == (err != nil) {
		return
	}
	h.ill[kind] = err != nil
	bad := h.ill != [illKinds]bool{}
	if bad && err == nil {
		return // another kind is still there
	}
	k.troubled.Store(bad)
	if err != nil && kind != illWrite {
		err = &OldFiles{err}
	}
	k.store.report(k.name, err)
}
