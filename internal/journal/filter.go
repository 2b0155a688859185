package journal

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"example.com/stay/api"
)

// A Filter is an api.EventFilter that is checked once.
type Filter struct{ f api.EventFilter }

// NewFilter returns f ready for use; an error that names a target that is no pattern.
func NewFilter(f api.EventFilter) (*Filter, error) {
	for _, t := range f.Targets {
		if _, err := path.Match(t, ""); err != nil {
			return nil, fmt.Errorf("the pattern %q is no pattern", t)
		}
	}
	return &Filter{f}, nil
}

// Match says whether an event is chosen. Gaps always are: nobody knows what is missing.
func (f *Filter) Match(a api.Event) bool {
	switch {
	case a.Seq <= f.f.Since:
		return false
	case a.Kind == api.KindGap:
		return true
	case !f.f.From.IsZero() && a.Time.Before(f.f.From):
		return false
	case f.f.Kinds == nil && api.Bookkeeping(a.Kind), f.f.Kinds != nil && !slices.Contains(f.f.Kinds, a.Kind):
		return false
	}
	if f.f.Targets == nil {
		return true
	}
	return slices.ContainsFunc(f.f.Targets, func(t string) bool {
		return t == "" || t == "all" || a.Name != "" && IsTarget(t, a.Name) || a.Name == "" && a.Target != "" && (a.Target == "all" || IsTarget(t, a.Target))
	})
}

// Before says whether all that is chosen comes after a, as far as a can tell: whoever reads backwards may begin here.
func (f *Filter) Before(a api.Event) bool {
	if !f.f.From.IsZero() {
		return a.Time.Before(f.f.From) && (f.f.Since == 0 || a.Seq <= f.f.Since+1)
	}
	return f.f.Since != 0 && a.Seq <= f.f.Since+1
}

// IsTarget says whether target, a service, an instance or a pattern over both, means the instance of that name.
func IsTarget(target, name string) bool {
	service, _, _ := strings.Cut(name, ".")
	byName, _ := path.Match(target, name)
	byService, _ := path.Match(target, service)
	return byName || byService || target == name+".1" && service == name
}
