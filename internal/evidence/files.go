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

// files sees the open files of a process: first those that its threads are waiting for.
func (t *taker) files(s *api.Seen) {
	dir := procFile(s.Pid, "fd")
	f, err := os.Open(dir)
	if err != nil {
		t.miss("open files", err)
		return
	}
	defer f.Close()
	names, open := t.list(f)
	for _, fd := range t.waited[s.Pid] {
		names = append([]string{strconv.Itoa(fd)}, names...)
	}
	said := map[string]bool{}
	for _, n := range names {
		if len(s.Files) == maxFiles || t.ctx.Err() != nil {
			break
		}
		if said[n] {
			continue
		}
		said[n] = true
		target, err := os.Readlink(dir + "/" + n)
		if err != nil {
			t.miss("open files", err) // but not if it was closed meanwhile
			continue
		}
		s.Files = append(s.Files, n+" "+t.describe(s.Pid, target))
	}
	s.Open = open
	s.Limits = t.limits(s.Pid, open)
}

// list returns the first names of a directory, and how many there are.
func (t *taker) list(f *os.File) (first []string, count int) {
	for t.ctx.Err() == nil {
		names, err := f.Readdirnames(1024)
		count += len(names)
		if first == nil {
			first = names[:min(len(names), maxFiles)]
		}
		if err != nil || len(names) == 0 {
			break
		}
	}
	return first, count
}

// describe says what a descriptor is: of a socket, who talks to whom.
func (t *taker) describe(pid int, target string) string {
	inode, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return printable(target)
	}
	network, err := os.Readlink(procFile(pid, "ns/net"))
	if err != nil {
		network = "unknown"
	}
	if t.sockets[network] == nil {
		t.sockets[network] = map[string]string{}
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
			t.readSockets(t.sockets[network], procFile(pid, "net/"+name), name)
		}
	}
	if text, known := t.sockets[network][strings.TrimSuffix(inode, "]")]; known {
		return text
	}
	return printable(target)
}

// maxSockets bounds how many lines are read of a table of sockets.
const maxSockets = 20000

// readSockets reads one table of sockets.
func (t *taker) readSockets(into map[string]string, file, protocol string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 0; n < maxSockets && t.ctx.Err() == nil && lines.Scan(); n++ {
		inode, text := socketOf(protocol, lines.Text())
		if inode != "" {
			into[inode] = text
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
	if out, in, ok := strings.Cut(f[4], ":"); ok {
		text += queued(", %d bytes to send", out)
		if strings.HasSuffix(text, "LISTEN") {
			text += queued(", %d to accept", in)
		} else {
			text += queued(", %d bytes to read", in)
		}
	}
	return f[9], text
}

// queued says how much waits in a queue of a socket, a number in hex; nothing if it is empty.
func queued(format, length string) string {
	n, err := strconv.ParseUint(length, 16, 32)
	if err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
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
