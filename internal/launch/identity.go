package launch

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// identify fills in who runs the program. What is so already is left out of the plan, so that it may be Direct.
func (s *preparer) identify(r Request, p *Prepared) *Failure {
	if r.User == "" && r.Group == "" && len(r.Groups) == 0 {
		return nil
	}
	uid, gid := s.uid, s.gid
	var u account
	var f *Failure
	if r.User != "" {
		if u, f = s.account(r); f != nil {
			return f
		}
		uid, gid = u.uid, u.gid
	}
	if r.Group != "" {
		if gid, f = s.group(r.Group); f != nil {
			return f
		}
	}
	var groups []int
	if u.name != "" {
		u.gid = gid // as initgroups(3) is called: another group takes the place of the account's own
		p.Plan.Env = withAccount(r.Env, u)
		var err error
		if groups, err = s.accounts.member(u, s.accounts.inFile(u.name)); err != nil {
			return sentence(StageGroups, unix.EIO, "groups of user %q: %v", r.User, err)
		}
	}
	for _, name := range r.Groups {
		n, f := s.group(name)
		if f != nil {
			return f
		}
		groups = append(groups, n)
	}
	return s.become(r, p, uid, gid, groups)
}

// account finds the user. A number without an account will do, if the group is given too.
func (s *preparer) account(r Request) (account, *Failure) {
	u, ok, err := s.accounts.user(r.User)
	if err != nil {
		return u, sentence(StageUser, unix.EIO, "user %q: %v", r.User, err)
	}
	if ok {
		return u, nil
	}
	uid, isNumber := number(r.User)
	switch {
	case !isNumber:
		return u, sentence(StageUser, unix.ENOENT, "no such user %q", r.User)
	case r.Group == "":
		return u, sentence(StageUser, unix.ENOENT, "user %q has no account: give its group too", r.User)
	}
	return account{uid: uid, gid: -1}, nil
}

func (s *preparer) group(name string) (int, *Failure) {
	n, ok, err := s.accounts.gid(name)
	switch {
	case err != nil:
		return 0, sentence(StageGroup, unix.EIO, "group %q: %v", name, err)
	case !ok:
		return 0, sentence(StageGroup, unix.ENOENT, "no such group %q", name)
	}
	return n, nil
}

// become puts the change into the plan, if there is one and this process may make it.
func (s *preparer) become(r Request, p *Prepared, uid, gid int, groups []int) *Failure {
	have, err := s.groups()
	if err != nil {
		return at(StageGroups, "", unix.EIO)
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if s.uid != 0 {
		switch {
		case uid != s.uid:
			return sentence(StageUser, unix.EPERM, "only root can run a program as another user: start stayd as root, or remove user %q", r.User)
		case r.Group != "" && gid != s.gid:
			return sentence(StageGroup, unix.EPERM, "only root can run a program in another group: start stayd as root, or remove group %q", r.Group)
		}
		for _, name := range r.Groups {
			if n, f := s.group(name); f == nil && n != s.gid && !slices.Contains(have, n) {
				return sentence(StageGroup, unix.EPERM, "only root can add a group: start stayd as root, or remove %q from groups", name)
			}
		}
		return nil
	}
	p.UID, p.GID = uid, gid
	same := slices.Clone(have)
	slices.Sort(same)
	same = slices.Compact(same)
	if uid == s.uid && gid == s.gid && (len(groups) == 0 || slices.Equal(groups, same)) {
		return nil
	}
	p.Plan.UID, p.Plan.GID = &uid, &gid
	p.Plan.Groups = groups
	if groups == nil {
		p.Plan.Groups = []int{gid}
	}
	return nil
}

// withAccount adds what login(1) sets, where the operator has not.
func withAccount(env []string, u account) []string {
	shell := u.shell
	if shell == "" {
		shell = "/bin/sh" // passwd(5)
	}
	env = slices.Clone(env)
	for _, entry := range []string{"HOME=" + u.home, "USER=" + u.name, "LOGNAME=" + u.name, "SHELL=" + shell} {
		name := entry[:strings.IndexByte(entry, '=')+1]
		if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name) }) {
			env = append(env, entry)
		}
	}
	return env
}
