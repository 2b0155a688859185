package evidence

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"example.com/stay/api"
)

// nearLimit is from which share of a limit on it is worth a line.
const nearLimit = .8

// files sees the open files of a process.
func (t *taker) files(s *api.Seen) {
	dir := procFile(s.Pid, "fd")
	f, err := os.Open(dir)
	if err != nil {
		s.Open = -1
		t.miss("open files", err)
		return
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	t.miss("open files", err)
	s.Open = len(names)
	for _, n := range names[:min(len(names), maxFiles)] {
		target, err := os.Readlink(dir + "/" + n)
		if err != nil {
			continue // closed meanwhile
		}
		s.Files = append(s.Files, n+" "+t.describe(s.Pid, target))
	}
	t.limits(s)
}

// describe says what a descriptor is: of a socket, who talks to whom.
func (t *taker) describe(pid int, target string) string {
	inode, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return printable(target)
	}
	if t.sockets == nil {
		t.sockets = map[string]string{}
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
			t.readSockets(procFile(pid, "net/"+name), name)
		}
	}
	if text, known := t.sockets[strings.TrimSuffix(inode, "]")]; known {
		return text
	}
	return printable(target)
}

// maxSockets bounds how many lines are read of a table of sockets.
const maxSockets = 20000

// readSockets reads one table of sockets.
func (t *taker) readSockets(file, protocol string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 0; n < maxSockets && t.ctx.Err() == nil && lines.Scan(); n++ {
		inode, text := socketOf(protocol, lines.Text())
		if inode != "" {
			t.sockets[inode] = text
		}
	}
}

// tcpStates are the states of proc_net(5), by their number.
var tcpStates = []string{"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"}

// socketOf reads one line of a table of sockets.
func socketOf(protocol, line string) (inode, text string) {
	f := strings.Fields(line)
	if protocol == "unix" {
		if len(f) < 7 || !isNumber(f[6]) {
			return "", ""
		}
		text = "unix"
		if len(f) > 7 {
			text += " " + printable(f[7])
		}
		return f[6], text
	}
	if len(f) < 10 || !isNumber(f[9]) {
		return "", ""
	}
	text = protocol + " " + addressOf(f[1])
	if !strings.HasSuffix(f[2], ":0000") {
		text += " to " + addressOf(f[2])
	}
	if n, err := strconv.ParseUint(f[3], 16, 8); err == nil && strings.HasPrefix(protocol, "tcp") && int(n) < len(tcpStates) {
		text += " " + tcpStates[n]
	}
	return f[9], text
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// addressOf reads an address: words of four bytes in the machine's order, in hex, then the port.
func addressOf(s string) string {
	words, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(words)
	if err != nil || len(raw)%4 != 0 {
		return "?"
	}
	for i := 0; i < len(raw); i += 4 { // all our machines are little-endian
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	ip, ok := netip.AddrFromSlice(raw)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return "?"
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)).String()
}

// limits notes a limit on open files that is nearly reached.
func (t *taker) limits(s *api.Seen) {
	data, err := readSmall(procFile(s.Pid, "limits"))
	t.miss("limits", err)
	for line := range strings.Lines(data) {
		rest, ok := strings.CutPrefix(line, "Max open files")
		if !ok {
			continue
		}
		f := strings.Fields(rest)
		if len(f) == 0 {
			continue
		}
		if soft, err := strconv.Atoi(f[0]); err == nil && float64(s.Open) >= nearLimit*float64(soft) {
			s.Limits = append(s.Limits, fmt.Sprintf("open files: %d of %d", s.Open, soft))
		}
	}
}
