package spec

import (
	"fmt"
	"slices"
)

// Scaled returns c with n instances of a service. The error says why there cannot be as many.
func Scaled(c *Config, service string, n int) (*Config, error) {
	s := c.Service(service)
	switch {
	case s == nil || s.Leaving:
		return nil, fmt.Errorf("there is no service %q", service)
	case s.Job != nil:
		return nil, fmt.Errorf("%q is a job, which has one instance", service)
	case n < 1 || n > maxInstances:
		return nil, fmt.Errorf("%d instances of %q: allowed are 1 to %d", n, service, maxInstances)
	}
	scaled, out := *s, *c
	scaled.Instances = n
	out.Services = slices.Clone(c.Services)
	out.Services[slices.Index(out.Services, s)] = &scaled
	return &out, nil
}
