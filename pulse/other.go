//go:build !linux

package pulse

import "errors"

// This file is what other systems have instead of linux.go: nothing. stay runs on Linux; programs that it runs may be built
// and tried out elsewhere.

func openPage(string) (*page, error) {
	return nil, errors.New("pulses exist on Linux only")
}

type lockFile struct{}

func (lockFile) lock(int) bool { return true }
func (lockFile) unlock(int)    {}

func now() int64    { return 0 }
func threadID() int { return 0 }
