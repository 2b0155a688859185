package clients

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"example.com/stay/pulse"
)

// asGo makes this test binary a driver: package pulse as one more language, for claims among others.
const asGo = "STAY_TEST_GO_DRIVER"

var golang = &language{name: "go", command: func() ([]string, error) {
	self, err := os.Executable()
	return []string{"/usr/bin/env", asGo + "=1", self}, err
}}

func init() {
	if os.Getenv(asGo) == "" {
		return
	}
	runtime.LockOSThread() // to the main thread, whose id is the process's
	pulses := map[string]*pulse.Pulse{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		word := strings.SplitN(lines.Text(), " ", 4)
		fmt.Println(obey(pulses, word[0], word[1], word[2:]))
	}
	os.Exit(0)
}

func obey(pulses map[string]*pulse.Pulse, order, key string, rest []string) string {
	p := pulses[key]
	switch order {
	case "start":
		p = pulse.StartThread(rest[1], 0)
		pulses[key] = p
		if p.Err() != nil {
			return "no " + p.Err().Error()
		}
		return "ok " + strconv.Itoa(os.Getpid())
	case "beat":
		p.Beat()
	case "close":
		p.Close()
	default:
		return "unknown"
	}
	return "ok"
}
