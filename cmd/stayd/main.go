// Command stayd is the daemon of stay, in its roles: the keeper, which is the parent of every service; the engine, which
// the keeper starts and which decides; and the exec stage, which becomes a service. People use the command stay.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"example.com/stay/api"
	"example.com/stay/internal/launch"
)

const usage = `usage: stayd keeper [--file FILE] [--only NAME,…] [--foreground] [--transient --dir DIR]
       stayd check [--json] [-f FILE]
       stayd logs --dir LOGDIR [-n N] [NAME…]
       stayd incidents --dir DIR [--target NAME] [--since TIME] [-n N] | --id ID
       stayd events --dir DIR [--since NUMBER] [--from TIME] [--kind KIND] [NAME…]
       stayd version

stayd is the daemon; "stay" is what people use: stay up, stay status, stay --help.
`

func main() {
	args := os.Args[1:]
	role := ""
	if len(args) > 0 {
		role, args = args[0], args[1:]
	}
	os.Exit(run(role, args))
}

func run(role string, args []string) int {
	switch role {
	case "exec":
		return launch.Main(args)
	case "keeper":
		return keeperMain(args)
	case "engine":
		return engineMain(args)
	case "check":
		return checkMain(args)
	case "logs":
		return logsMain(args)
	case "incidents":
		return incidentsMain(args)
	case "events":
		return eventsMain(args)
	case "check-upgrade":
		return checkUpgradeMain()
	case "version", "--version":
		fmt.Println(api.Version)
		return 0
	}
	fmt.Fprint(os.Stderr, usage)
	return 2
}

// setName names the process for ps and top, which would show a descriptor's number: stayd runs from its own open file.
func setName(name string) {
	b := append([]byte(name), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
}

// startOver is when everything that belongs to a start has happened: garbage of it is given back to the system then.
const startOver = 3 * time.Second

// giveBack returns what only the start needed. Go would do it too, over minutes.
func giveBack() { time.AfterFunc(startOver, debug.FreeOSMemory) }

// refuse prints one line that says what is wrong, and one with what to do.
func refuse(err error, hint string) int {
	fmt.Fprintf(os.Stderr, "stay: %v\n", err)
	if hint != "" {
		fmt.Fprintf(os.Stderr, "  %s\n", hint)
	}
	return 1
}
