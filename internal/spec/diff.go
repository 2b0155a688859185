package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"slices"
	"strings"
)

// An Action is what has to be done with a service when one configuration takes the place of another.
type Action string

// The actions.
const (
	ActionAdd     Action = "add"     // it is new
	ActionRemove  Action = "remove"  // it is gone
	ActionRestart Action = "restart" // its processes were started with something else
	ActionChange  Action = "change"  // something differs, and applies to the processes there are
	ActionSame    Action = "same"    // nothing differs
)

// A Change is what becomes of one service.
type Change struct {
	Service string
	Action  Action
	Keys    []string // paths of the keys that differ, in the order of Keys; for restart and change
}

// Diff returns a change for every service of old and new, sorted by name. Old may be nil. Transient services of old stand
// in no file, and leaving ones are on their way out already: both are left out unless new defines one of that name.
func Diff(old, new *Config) []Change {
	var changes []Change
	if old == nil {
		old = &Config{}
	}
	for _, s := range old.Services {
		if new.Service(s.Name) == nil && !s.Transient && !s.Leaving {
			changes = append(changes, Change{Service: s.Name, Action: ActionRemove})
		}
	}
	for _, s := range new.Services {
		changes = append(changes, compare(old.Service(s.Name), s))
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Service, b.Service) })
	return changes
}

// compare says what has to be done to make old into new; old may be nil.
func compare(old, new *Service) Change {
	c := Change{Service: new.Name, Action: ActionSame}
	if old == nil {
		c.Action = ActionAdd
		return c
	}
	keys := keysOf(new)
	for i := range keys {
		k := &keys[i]
		if k.get != nil && literal(k.get(old)) != literal(k.get(new)) {
			c.Keys = append(c.Keys, k.Path)
		}
	}
	switch {
	case old.Hash() != new.Hash(), (old.Job == nil) != (new.Job == nil):
		c.Action = ActionRestart
	case len(c.Keys) > 0 || old.Transient != new.Transient || old.Leaving != new.Leaving:
		c.Action = ActionChange
	}
	return c
}

// Hash identifies everything a process of the service is started with: two services of the same name and hash need no
// restart to become one another. It stays the same across versions of stay that know more keys, because a key that has
// its default does not count.
func (s *Service) Hash() string {
	h := sha256.New()
	for i := range serviceKeys {
		k := &serviceKeys[i]
		if !k.starts {
			continue
		}
		if v := literal(k.get(s)); v != unsetLiterals[i] {
			record(h, k.Path, v)
		}
	}
	for _, v := range s.Env { // whatever key it comes from
		record(h, "env", v.Name, v.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// record adds strings to a hash so that no two lists of strings look alike.
func record(h hash.Hash, parts ...string) {
	for _, p := range parts {
		io.WriteString(h, p)
		h.Write([]byte{0})
	}
	h.Write([]byte{0})
}

// unsetLiterals are the defaults of serviceKeys, by index.
var unsetLiterals = func() []string {
	list, unset := make([]string, len(serviceKeys)), newService()
	for i, k := range serviceKeys {
		if k.get != nil {
			list[i] = literal(k.get(unset))
		}
	}
	return list
}()
