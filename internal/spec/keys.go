package spec

import (
	"math"
	"time"
)

// newService returns a service with every default. A field that is not mentioned here has its zero value as default.
func newService() *Service {
	return &Service{
		Umask:        -1,
		Enabled:      true,
		Instances:    1,
		LostAfter:    10 * time.Second,
		Ready:        Ready{When: ReadyExec},
		StartTimeout: 60 * time.Second,
		Stop:         Stop{Signal: sigTERM, Timeout: 5 * time.Second, To: StopMain},
		Restart: Restart{When: RestartAlways, Step: 100 * time.Millisecond, MaxDelay: 30 * time.Second, Factor: 2,
			Jitter: 0.1, Stable: 10 * time.Second},
		Success: []Success{{Code: 0}},
		Log:     Log{MaxSize: 10e6, Keep: 10, Timestamps: true, Compress: true, Full: FullWait, Stderr: StderrMerge},
		Hang:    Hang{DumpWait: time.Second},
	}
}

type serviceKey = key[*draft]

// serviceKeys declares every key of a service, in the order of the documentation.
var serviceKeys = concat(startKeys, orderKeys, hangKeys, stopKeys, restartKeys, limitKeys(), sandboxKeys, logKeys, laterKeys)

// serviceTree is serviceKeys arranged by path.
var serviceTree = grow(serviceKeys)

func concat(lists ...[]serviceKey) []serviceKey {
	var all []serviceKey
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// startKeys say what is run, and as whom.
var startKeys = []serviceKey{
	{
		Key: Key{Path: "command", Type: "string or a list of strings",
			Doc: "The program and its arguments. A string is split like a shell does, but no shell runs and nothing is expanded."},
		example: `"prog --flag"`,
		also:    []string{"cmd", "exec", "run", "start", "program", "entrypoint", "exec_start"},
		starts:  true,
		set:     (*draft).setCommand,
		get:     func(s *Service) any { return s.Command },
	},
	{
		Key:     Key{Path: "shell", Type: "boolean", Default: "false", Doc: "Run the command, a string, by /bin/sh -c."},
		example: "true",
		set:     func(d *draft, v slot) { assign(&d.shell, v.boolean) },
	},
	{
		Key: Key{Path: "directory", Type: "path",
			Doc: "Working directory; a relative one is relative to the file. Default: the directory of the file."},
		example: `"/srv/app"`,
		also:    []string{"cwd", "dir", "workdir", "working_dir", "working_directory", "chdir"},
		starts:  true,
		set:     func(d *draft, v slot) { assign(&d.Directory, v.path) },
		get:     func(s *Service) any { return unlessZero(s.Directory) },
	},
	accountKey("user", "User to run as, name or number; needs a daemon run by root. Default: the daemon's.", `"www-data"`,
		func(s *Service) *string { return &s.User }).known("uid"),
	accountKey("group", "Group to run as. Default: that of the user.", `"www-data"`,
		func(s *Service) *string { return &s.Group }).known("gid"),
	{
		Key:     Key{Path: "groups", Type: "list of strings", Doc: "Supplementary groups. Default: those of the user."},
		example: `["audio"]`,
		starts:  true,
		set:     func(d *draft, v slot) { assign(&d.Groups, v.accounts) },
		get:     func(s *Service) any { return s.Groups },
	},
	{
		Key:     Key{Path: "umask", Type: "string of octal digits", Doc: "File mode mask. Default: as the daemon was started."},
		example: `"022"`,
		starts:  true,
		set:     (*draft).setUmask,
		get:     umaskOf,
	},
	{
		Key:     Key{Path: "env", Type: "table of strings", Doc: "Environment variables; they win over env_file and env_inherit."},
		example: `{ NAME = "value" }`,
		also:    []string{"environment", "vars"},
		secret:  true,
		set:     (*draft).setEnv,
		get:     varsFrom(FromKey),
	},
	{
		Key: Key{Path: "env_file", Type: "list of strings",
			Doc: "Files of NAME=VALUE lines, relative to the file; one whose name has a - before it may be missing."},
		example: `[".env"]`,
		also:    []string{"environment_file", "dotenv"},
		secret:  true,
		set:     (*draft).setEnvFile,
		get:     varsFrom(FromFile),
	},
	{
		Key: Key{Path: "env_inherit", Type: "list of strings, true or false", Default: literal(inheritedByDefault),
			Doc: "Variables taken from the daemon's own environment, if they are UTF-8; true: all, false: none."},
		example: `["PATH", "HOME"]`,
		also:    []string{"pass_env", "passenv"},
		secret:  true,
		set:     (*draft).setInherit,
		get:     varsFrom(Inherited),
	},
}

// orderKeys say when it runs, beside what, and when it is ready.
var orderKeys = []serviceKey{
	{
		Key:     Key{Path: "enabled", Type: "boolean", Doc: "Whether up starts it."},
		example: "true",
		also:    []string{"autostart", "disabled"},
		set:     (*draft).setEnabled,
		get:     func(s *Service) any { return s.Enabled },
	},
	{
		Key:     Key{Path: "instances", Type: `integer or "cpu"`, Doc: `How many copies run, 1 to 10000; "cpu": one for each processor.`},
		example: "4",
		also:    []string{"numprocs", "replicas", "scale", "workers", "count"},
		set:     (*draft).setInstances,
		get:     func(s *Service) any { return s.Instances },
	},
	namesKey("needs", "Services of which every instance must be ready before it starts, and without which it cannot run.",
		`["db"]`, func(s *Service) *[]string { return &s.Needs }).known("requires", "depends_on", "depends", "dependencies"),
	namesKey("wants", "Services that are started with it, but whose failure does not matter to it.", `["cache"]`,
		func(s *Service) *[]string { return &s.Wants }),
	namesKey("after", "Services it starts after, where they start at all.", `["net"]`,
		func(s *Service) *[]string { return &s.After }),
	durationKey("lost_after", "A service it needs counts as lost when it had no ready instance for this long.", `"10s"`,
		func(s *Service) *time.Duration { return &s.LostAfter }),
	{
		Key: Key{Path: "ready", Type: `"exec", "notify", "fd:N" or "after:DURATION"`,
			Doc: "When it is ready: at once, by sd_notify, by a newline on descriptor N, or when it has lived that long."},
		example: `"notify"`,
		also:    []string{"type"},
		starts:  true,
		set:     (*draft).setReady,
		get:     readyOf,
	},
	durationKey("start_timeout", "A process that is not ready by then is killed and started again; 0s: no limit.", `"60s"`,
		func(s *Service) *time.Duration { return &s.StartTimeout }).known("startsecs"),
}

// stopKeys say how it is asked to end.
var stopKeys = []serviceKey{
	{
		Key:     Key{Path: "stop.signal", Type: "signal", Doc: "The signal that asks it to end."},
		example: `"TERM"`,
		also:    []string{"stop_signal", "stopsignal", "kill_signal"},
		set:     func(d *draft, v slot) { assign(&d.Stop.Signal, v.signal) },
		get:     func(s *Service) any { return s.Stop.Signal.String() },
	},
	durationKey("stop.timeout", "When it is over, everything that is left gets SIGKILL.", `"5s"`,
		func(s *Service) *time.Duration { return &s.Stop.Timeout },
	).known("stop_timeout", "stopwaitsecs", "kill_timeout", "stop_grace_period"),
	choiceKey("stop.to", "Who gets the signal: the main process, its process group, or all processes of the service.",
		[]StopTo{StopMain, StopGroup, StopTree}, func(s *Service) *StopTo { return &s.Stop.To }),
	laterKey("stop.command", "A command that asks it to end, instead of a signal."),
}

// restartKeys say what follows when it ended by itself.
var restartKeys = []serviceKey{
	choiceKey("restart.when", "Which ends lead to a restart.", []RestartWhen{RestartAlways, RestartOnFailure, RestartNever},
		func(s *Service) *RestartWhen { return &s.Restart.When }).known("autorestart"),
	{
		Key:     Key{Path: "restart.delay", Type: "duration", Doc: "The wait before a restart that is not one of a series; max_delay at most."},
		example: `"1s"`,
		also:    []string{"restart_delay", "restart_sec"},
		set: func(d *draft, v slot) {
			d.delay = &v
			assign(&d.Restart.Delay, v.duration)
		},
		get: func(s *Service) any { return formatDuration(s.Restart.Delay) },
	},
	durationKey("restart.step", "The first wait in a series of deaths.", `"100ms"`,
		func(s *Service) *time.Duration { return &s.Restart.Step }),
	durationKey("restart.max_delay", "The longest wait in a series.", `"30s"`,
		func(s *Service) *time.Duration { return &s.Restart.MaxDelay }),
	numberKey("restart.factor", "How much longer each wait of a series is than the one before, at least 1.", 1, 1000, "2.0",
		func(s *Service) *float64 { return &s.Restart.Factor }),
	numberKey("restart.jitter", "The share of a wait that differs from instance to instance, 0 to 1.", 0, 1, "0.1",
		func(s *Service) *float64 { return &s.Restart.Jitter }),
	durationKey("restart.stable", "An uptime after which earlier deaths are forgotten.", `"10s"`,
		func(s *Service) *time.Duration { return &s.Restart.Stable }),
	integerKey("restart.give_up", "Deaths in a row after which it is left alone; 0: never.", 0, math.MaxInt32, "5",
		func(s *Service) *int { return &s.Restart.GiveUp }).known("startretries", "start_limit_burst"),
	{
		Key:     Key{Path: "success", Type: "list of exit codes and signals", Doc: "Ends that count as good."},
		example: `[0, "TERM"]`,
		also:    []string{"exitcodes", "success_exit_status"},
		set:     (*draft).setSuccess,
		get:     successOf,
	},
}

// sandboxKeys say what it gives up before it runs.
var sandboxKeys = []serviceKey{
	{
		Key: Key{Path: "sandbox.no_new_privileges", Type: "boolean",
			Doc: "No program it runs gains privileges (set-user-ID, file capabilities)."},
		example: "true",
		starts:  true,
		set:     func(d *draft, v slot) { assign(&d.Sandbox.NoNewPrivileges, v.boolean) },
		get:     func(s *Service) any { return s.Sandbox.NoNewPrivileges },
	},
	{
		Key:     Key{Path: "sandbox.chroot", Type: "absolute path", Doc: "Its root directory; needs a daemon run by root."},
		example: `"/srv/jail"`,
		starts:  true,
		set:     (*draft).setChroot,
		get:     func(s *Service) any { return unlessZero(s.Sandbox.Chroot) },
	},
	laterKey("sandbox.capabilities", "The capabilities it keeps."),
	laterKey("sandbox.read", "The only paths it can read."),
	laterKey("sandbox.write", "The only paths it can write."),
}

// logKeys say how its output is kept.
var logKeys = []serviceKey{
	{
		Key: Key{Path: "log.file", Type: "path",
			Doc: `Where the log is written: a name that ends in .log; instance 2 has ".2" before that. Default: NAME.log in log_dir.`},
		example: `"/srv/logs/web.log"`,
		also:    []string{"logfile", "stdout_logfile"},
		set:     (*draft).setLogFile,
		get:     func(s *Service) any { return unlessZero(s.Log.File) },
	},
	{
		Key:     Key{Path: "log.max_size", Type: "size", Doc: "The log file is rotated when it has grown to this; 0: never."},
		example: `"10MB"`,
		also:    []string{"logfile_maxbytes", "stdout_logfile_maxbytes"},
		set:     func(d *draft, v slot) { assign(&d.Log.MaxSize, v.size) },
		get:     func(s *Service) any { return formatSize(s.Log.MaxSize) },
	},
	integerKey("log.keep", "How many old log files are kept.", 0, 10000, "10",
		func(s *Service) *int { return &s.Log.Keep }).known("logfile_backups", "stdout_logfile_backups"),
	{
		Key:     Key{Path: "log.timestamps", Type: "boolean", Doc: "Each line begins with the time at which it was read."},
		example: "true",
		set:     func(d *draft, v slot) { assign(&d.Log.Timestamps, v.boolean) },
		get:     func(s *Service) any { return s.Log.Timestamps },
	},
	{
		Key: Key{Path: "log.rotate_every", Type: "duration",
			Doc: `The log file is rotated with the first line that comes when it is this old; "": only by size.`},
		example: `"1d"`,
		also:    []string{"rotate", "rotate_age"},
		set:     func(d *draft, v slot) { assign(&d.Log.RotateEvery, v.optionalSpan) },
		get:     func(s *Service) any { return shownSpan(s.Log.RotateEvery) },
	},
	{
		Key: Key{Path: "log.max_age", Type: "duration",
			Doc: `Old log files are deleted when their last line is this old; "": only keep counts.`},
		example: `"30d"`,
		set:     func(d *draft, v slot) { assign(&d.Log.MaxAge, v.optionalSpan) },
		get:     func(s *Service) any { return shownSpan(s.Log.MaxAge) },
	},
	{
		Key:     Key{Path: "log.compress", Type: "boolean", Doc: "Old log files are compressed (zstd), all but the youngest."},
		example: "true",
		set:     func(d *draft, v slot) { assign(&d.Log.Compress, v.boolean) },
		get:     func(s *Service) any { return s.Log.Compress },
	},
	choiceKey("log.full", "When the log cannot be written (disk full): wait, and the service waits on its pipe, or drop lines and count them.",
		[]LogFull{FullWait, FullDrop}, func(s *Service) *LogFull { return &s.Log.Full }),
	{
		Key: Key{Path: "log.stderr", Type: `"merge" or "split"`,
			Doc: "Whether stderr goes into the same file; split is not in this version."},
		example: `"merge"`,
		set: func(d *draft, v slot) {
			if v.node.kind == stringKind && v.node.text == string(StderrSplit) {
				v.later(v.node.text)
				return
			}
			assign(&d.Log.Stderr, func() (LogStderr, bool) { return choice(v, StderrMerge) })
		},
		get: func(s *Service) any { return string(s.Log.Stderr) },
	},
	{
		Key:     Key{Path: "log.syslog", Type: "boolean", Doc: "Whether the lines go to the system's log too (RFC 5424 on /dev/log)."},
		example: "true",
		set:     func(d *draft, v slot) { assign(&d.Log.Syslog, v.boolean) },
		get:     func(s *Service) any { return s.Log.Syslog },
	},
}

// laterKeys are the keys and tables that this version refuses.
var laterKeys = []serviceKey{
	laterKey("reload", "How it reads its own configuration again."),
	laterKey("overlap", "Whether old and new may run side by side."),
	laterKey("max_age", "It is replaced when it has run this long."),
	laterKey("max_age_jitter", "Spreads max_age."),
	laterKey("on", "Commands run at a death, a hang, or when it is given up."),
	laterKey("listen", "Sockets that are opened for it."),
	laterKey("accept", "How connections are given to it."),
}
