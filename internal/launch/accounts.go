package launch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// accounts resolves users and groups: from the files first, then by getent(1), which knows what the name service switch
// of the machine knows (LDAP, sssd, systemd). Package os/user would do without the shell of a user, and where it calls
// into libc nothing limits the time it takes.
type accounts struct {
	passwd, group string                                              // passwd(5), group(5)
	ask           func(database, key string) (line string, err error) // "" if there is none
}

// An account is one line of passwd(5).
type account struct {
	name, home, shell string
	uid, gid          int
}

// user finds an account by name or else by number. ok is false if there is none.
func (a accounts) user(key string) (found account, ok bool, err error) {
	line, err := a.line(a.passwd, "passwd", key)
	if line == "" || err != nil {
		return account{}, false, err
	}
	f := strings.Split(line, ":")
	uid, err1 := strconv.ParseUint(f[2], 10, 32)
	gid, err2 := strconv.ParseUint(field(f, 3), 10, 32)
	if err1 != nil || err2 != nil {
		return account{}, false, errors.New("its account has no number")
	}
	return account{name: f[0], uid: int(uid), gid: int(gid), home: field(f, 5), shell: field(f, 6)}, true, nil
}

// gid finds the number of a group by name or number; a number needs no entry.
func (a accounts) gid(key string) (gid int, ok bool, err error) {
	line, err := a.line(a.group, "group", key)
	if err != nil {
		return 0, false, err
	}
	if line != "" {
		n, err := strconv.ParseUint(strings.Split(line, ":")[2], 10, 32)
		return int(n), err == nil, err
	}
	if n, ok := number(key); ok {
		return n, true, nil
	}
	return 0, false, nil
}

// member returns the supplementary groups of a user, initgroups(3): its own group and those that list it.
func (a accounts) member(u account, local bool) ([]int, error) {
	groups := []int{u.gid}
	if !local {
		line, err := a.ask("initgroups", u.name)
		_, rest, _ := strings.Cut(line, " ") // after the name
		for word := range strings.FieldsSeq(rest) {
			if n, ok := number(word); ok && n != u.gid {
				groups = append(groups, n)
			}
		}
		return groups, err
	}
	err := scan(a.group, func(f []string) bool {
		for name := range strings.SplitSeq(field(f, 3), ",") {
			if n, ok := number(f[2]); ok && name == u.name && n != u.gid {
				groups = append(groups, n)
			}
		}
		return false
	})
	return groups, err
}

// inFile says whether the passwd file itself has the user.
func (a accounts) inFile(name string) bool {
	found := false
	_ = scan(a.passwd, func(f []string) bool { found = found || f[0] == name; return found })
	return found
}

// line returns the entry whose name, or else number, is key: from the file, else from the name service.
func (a accounts) line(file, database, key string) (string, error) {
	var byName, byNumber string
	err := scan(file, func(f []string) bool {
		if f[0] == key {
			byName = strings.Join(f, ":")
		} else if f[2] == key && byNumber == "" {
			byNumber = strings.Join(f, ":")
		}
		return byName != ""
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if byName == "" {
		byName = byNumber
	}
	if byName != "" {
		return byName, nil
	}
	line, err := a.ask(database, key)
	if len(strings.Split(line, ":")) < 3 {
		return "", err
	}
	return line, err
}

// scan calls each with the fields of every line that has three or more, until it returns true.
func scan(file string, each func(fields []string) bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // a group can have many members
	for lines.Scan() {
		if fields := strings.Split(lines.Text(), ":"); len(fields) >= 3 && fields[0] != "" && fields[0][0] != '#' {
			if each(fields) {
				return nil
			}
		}
	}
	return lines.Err()
}

func field(f []string, i int) string {
	if i < len(f) {
		return f[i]
	}
	return ""
}

// number reads an id. The greatest is no id: the kernel takes it for "leave as it is".
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n != 1<<32-1
}

// askLimit is how long a name service may take.
const askLimit = 5 * time.Second

// getent returns the first line that getent(1) prints. No such entry, and no such program, is an empty line.
func getent(database, key string) (string, error) {
	if key == "" || key[0] == '-' {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	for _, path := range []string{"/usr/bin/getent", "/bin/getent"} {
		cmd := exec.CommandContext(ctx, path, database, key)
		cmd.Env = []string{"LC_ALL=C"}
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if ctx.Err() != nil {
			return "", errors.New("the name service did not answer within " + askLimit.String())
		}
		var status *exec.ExitError
		if errors.As(err, &status) && status.ExitCode() > 0 { // 2: no such key; 1: no such database
			return "", nil
		}
		line, _, _ := bytes.Cut(out, []byte("\n"))
		return string(line), err
	}
	return "", nil
}
