package launch

// A Plan is what the exec stage does, as data. It travels as JSON through a descriptor, never through argv or the
// environment: those can be read in /proc, and a plan carries secrets.
type Plan struct {
	Path        string   `json:"path"`                    // of the program, absolute; inside Chroot if that is set
	Argv        []string `json:"argv"`                    // argv[0] included
	Env         []string `json:"env"`                     // NAME=VALUE
	Dir         string   `json:"dir"`                     // absolute, inside Chroot; "" is "/" with Chroot, else the one it is in
	UID         *int     `json:"uid,omitempty"`           // nil: as it is
	GID         *int     `json:"gid,omitempty"`           // nil: as it is
	Groups      []int    `json:"groups"`                  // supplementary; nil: as they are, but none if UID is set
	Umask       *int     `json:"umask,omitempty"`         // nil: as it is
	Rlimits     []Rlimit `json:"rlimits,omitempty"`       //
	Nice        *int     `json:"nice,omitempty"`          // −20…19; nil: as it is
	OOMScoreAdj *int     `json:"oom_score_adj,omitempty"` // −1000…1000; nil: as it is
	Chroot      string   `json:"chroot,omitempty"`        // "": none
	NoNewPrivs  bool     `json:"no_new_privs,omitempty"`  // prctl(2), PR_SET_NO_NEW_PRIVS
	ListenPID   bool     `json:"listen_pid,omitempty"`    // LISTEN_PID=<own pid> is added to Env, sd_listen_fds(3)
}

// An Rlimit sets soft and hard limit of one resource to the same value.
type Rlimit struct {
	Resource int    `json:"resource"` // RLIMIT_… of setrlimit(2)
	Value    uint64 `json:"value"`    // ^uint64(0) is RLIM_INFINITY
}
