package explain

import (
	"strconv"
	"strings"

	"example.com/stay/api"
)

// hint says what to do about an end, or what it means, where that is not plain; "" where it is.
func hint(a *api.Incident) string {
	switch a.Cause {
	case api.CauseExit:
		return exitHint(a)
	case api.CauseSignal:
		return signalHint(a)
	case api.CauseOOM:
		return "Give it less to do, or the machine more memory. Whom the kernel kills first, limits.oom_score_adj can say."
	case api.CauseStartTimeout:
		return "Either it hangs while it starts, or start_timeout is too short, or it never says that it is ready: see `ready`."
	case api.CauseRunTimeout:
		return "Either it hangs, or timeout is too short for what there was to do."
	case api.CauseExec:
		return execHint(a)
	case api.CauseOperator, api.CauseChanged, api.CauseDependency:
		if a.Escalated {
			return "The stop signal was not enough within stop.timeout: SIGKILL ended it."
		}
	case api.CauseKeeper:
		return "Somebody or the kernel killed the keeper; the daemon's log says when."
	}
	return ""
}

// exitHint explains the codes that shells give for ends that are not their own (POSIX.1-2017, 2.8.2 of the shell language).
func exitHint(a *api.Incident) string {
	switch {
	case a.Code == 126:
		return "A shell says 126 when it found a program that it could not execute."
	case a.Code == 127:
		return "A shell says 127 when it did not find a program."
	case a.Code > 128 && a.Code <= 128+64:
		if name := signals[a.Code-128]; name != "" {
			return "A shell says 128 + " + strconv.Itoa(a.Code-128) + " when SIG" + name + " ended its command."
		}
	}
	return ""
}

// signals are those of Linux on all machines that Go runs on but MIPS (signal(7)), as far as programs end of them.
var signals = map[int]string{1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 11: "SEGV",
	13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 25: "XFSZ", 31: "SYS"}

func signalHint(a *api.Incident) string {
	switch {
	case a.Core:
		return "Where the core is, /proc/sys/kernel/core_pattern says; with systemd's, `coredumpctl info " + strconv.Itoa(a.Pid) + "` shows it."
	case crashed(a):
		return "For a core next time: limits.core = \"unlimited\"."
	case a.Signal == "KILL":
		return "Somebody sent that (kill, `stay signal`, `stay drill`), or the kernel did: at limits.cpu_time, or for want of memory where stay could not see it."
	}
	return ""
}

// execHints tell what to look at, by stage, where no process came to be.
var execHints = map[string]string{
	"lookup": "Give the program's whole path, or put its directory into PATH by env.", "user": "See `user` in the file, and getent passwd.",
	"group": "See `group` and `groups` in the file, and getent group.", "groups": "Only root may change groups.",
	"chdir": "See `directory` in the file.", "chroot": "Only root may change the root directory.",
	"rlimit": "See `limits` in the file: what is above the hard limit only root may have.",
	"uid":    "Only root may start a service as another user.", "gid": "Only root may start a service as another group.",
	"nice": "A lower value than stayd's own needs CAP_SYS_NICE.", "oom_score_adj": "A lower value than stayd's own needs CAP_SYS_RESOURCE.",
}

// execErrors are the hints for the stage exec, by errno.
var execErrors = map[string]string{
	"ENOENT":  "There is no such file, or no such interpreter as its first line names.",
	"EACCES":  "It must be executable for the user of the service (ls -l), and so must every directory above it; its file system must not be mounted noexec.",
	"ENOEXEC": "It is no program: a script needs a first line that begins with #!, a binary must be one for this machine.",
	"E2BIG":   "Arguments and environment together are too long for the kernel.",
	"ETXTBSY": "Somebody is writing to the file: it is tried again.",
	"EAGAIN":  "The user has too many processes (limits.processes, ulimit -u), or the cgroup has (pids.max).",
	"ENOMEM":  "The machine has not enough memory for another process.",
}

func execHint(a *api.Incident) string {
	stage, _, _ := strings.Cut(a.Stage, " ")
	if stage == "chdir" && a.Errno == "EACCES" {
		return "The user of the service must be allowed to enter every directory on the way to it."
	}
	if (stage == "user" || stage == "lookup") && (a.Errno == "EPERM" || a.Errno == "EACCES") {
		return "" // the message says what to do
	}
	if stage == "lookup" && strings.Contains(a.Message, `program "/`) {
		return "There is no such file, or no directory on the way to it."
	}
	if text := execErrors[a.Errno]; text != "" && (stage == "exec" || a.Errno == "EAGAIN" || a.Errno == "ENOMEM") {
		return text
	}
	return execHints[stage]
}
