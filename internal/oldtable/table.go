package oldtable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"example.com/stay/sysv"
)

// lockWait is how long the lock of a table is waited for.
const lockWait = 200 * time.Millisecond

// A Table is a table that is attached, for reading only.
type Table struct {
	key     sysv.Key
	lockKey sysv.Key // Private: there is no lock
	memory  sysv.Memory
	mapping *sysv.Mapping
	held    bool // the lock was not to be had the last time, so it is not waited for
	trouble string
}

// Open attaches the table with key shm; sem is the key of the semaphore around it, 0 if there is none. fs.ErrNotExist:
// nobody has made it yet.
func Open(shm, sem sysv.Key) (*Table, error) {
	m, err := sysv.OpenMemory(shm)
	if err != nil {
		return nil, err
	}
	x, err := m.AttachReadOnly()
	if err != nil {
		return nil, err
	}
	return &Table{key: shm, lockKey: sem, memory: m, mapping: x}, nil
}

// Close detaches the table.
func (t *Table) Close() error { return t.mapping.Detach() }

// Size is how many entries have room in the table.
func (t *Table) Size() int { return min(len(t.mapping.Bytes())/EntrySize, mostEntries) }

// Current says whether the key still names this table.
func (t *Table) Current() bool {
	m, err := sysv.OpenMemory(t.key)
	return err == nil && m == t.memory
}

// Trouble is why the last Read or Clear did without the lock, "" if it had it or there is none.
func (t *Table) Trouble() string { return t.trouble }

// Read copies all entries that are not free.
func (t *Table) Read(ctx context.Context) []Entry {
	copied := make([]byte, t.Size()*EntrySize)
	unlock := t.lock(ctx)
	copy(copied, t.mapping.Bytes())
	unlock()
	return decode(copied)
}

// Again reads one entry once more, without the lock: an entry that is just being written has changed. It says whether pid
// and time are what they were.
func (t *Table) Again(e Entry) bool {
	var raw [EntrySize]byte
	copy(raw[:], t.mapping.Bytes()[e.Index*EntrySize:])
	return e.same(raw[:])
}

// Clear makes an entry free, unless somebody has taken or renewed it since, or still says no. It says whether it did.
func (t *Table) Clear(ctx context.Context, e Entry, still func() bool) (bool, error) {
	x, err := t.memory.Attach()
	if err != nil {
		return false, fmt.Errorf("clear entry %d: %w", e.Index, err)
	}
	defer x.Detach()
	if len(x.Bytes()) < (e.Index+1)*EntrySize {
		return false, fmt.Errorf("clear entry %d: there is none", e.Index)
	}
	raw := x.Bytes()[e.Index*EntrySize:][:EntrySize]
	defer t.lock(ctx)()
	if !e.same(raw) || !still() {
		return false, nil
	}
	clear(raw)
	return true, nil
}

// lock takes the lock, waiting a moment if the one before got it too, and returns what gives it back. Without the lock the
// caller goes on: whoever has it may be dead.
func (t *Table) lock(ctx context.Context) func() {
	t.trouble = ""
	if t.lockKey == sysv.Private {
		return func() {}
	}
	s, err := sysv.OpenSemaphore(t.lockKey)
	if err == nil {
		err = t.take(ctx, s)
	}
	switch {
	case err == nil:
		return func() { _ = s.V(1) } // it was removed: then there is nothing to give back
	case errors.Is(err, fs.ErrNotExist):
		t.trouble = fmt.Sprintf("there is no semaphore %s", t.lockKey)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errHeld):
		t.held = true
		t.trouble = fmt.Sprintf("semaphore %s is not given back: whoever took it may have died without SEM_UNDO", t.lockKey)
	default:
		t.trouble = err.Error()
	}
	return func() {}
}

var errHeld = errors.New("held")

func (t *Table) take(ctx context.Context, s sysv.Semaphore) error {
	ok, err := s.TryP(1)
	if err != nil || ok {
		t.held = false
		return err
	}
	if t.held {
		return errHeld
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	return s.P(ctx, 1)
}
