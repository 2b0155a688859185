package launch

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// headSize is how much of a file execve(2) looks at for a #! line (BINPRM_BUF_SIZE), and enough for an ELF header.
const headSize = 256

// maxInterp bounds the path of an ELF interpreter (PATH_MAX, which the kernel checks too).
const maxInterp = 4096

var errImage = errors.New("not understood")

// interpreterOf returns the path of what the kernel runs for, or maps beside, the program in fd: the first word of its #!
// line, or its ELF interpreter. It is "" if there is none (a static program, or no program at all).
func interpreterOf(fd int) (string, error) {
	var head [headSize]byte
	n, err := unix.Pread(fd, head[:], 0)
	if err != nil {
		return "", err
	}
	switch h := head[:n]; {
	case bytes.HasPrefix(h, []byte("#!")):
		return scriptInterpreter(h), nil
	case bytes.HasPrefix(h, []byte("\x7fELF")):
		return elfInterpreter(fd, h)
	}
	return "", nil
}

// scriptInterpreter takes the first word of a #! line, execve(2): blanks before it are skipped, blank and line end end it.
func scriptInterpreter(head []byte) string {
	line, _, _ := bytes.Cut(head[2:], []byte("\n"))
	line = bytes.TrimLeft(line, " \t")
	if i := bytes.IndexAny(line, " \t\x00"); i >= 0 {
		line = line[:i]
	}
	return string(line)
}

// elfInterpreter follows the program headers to PT_INTERP, elf(5). Nothing in the file is believed: each offset is
// checked by the read that uses it.
func elfInterpreter(fd int, head []byte) (string, error) {
	const ptInterp = 3
	if len(head) < 64 {
		return "", errImage
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 { // EI_DATA
		order = binary.BigEndian
	}
	wide := head[4] == 2 // EI_CLASS
	phoff, entSize, count := int64(order.Uint32(head[28:])), int(order.Uint16(head[42:])), int(order.Uint16(head[44:]))
	least := 32
	if wide {
		phoff, entSize, count = int64(order.Uint64(head[32:])), int(order.Uint16(head[54:])), int(order.Uint16(head[56:]))
		least = 56
	}
	if phoff < 0 || entSize < least || entSize*count > 64<<10 { // the kernel takes 64 KiB of them at most
		return "", errImage
	}
	table := make([]byte, entSize*count)
	if n, err := unix.Pread(fd, table, phoff); err != nil || n < len(table) {
		return "", errImage
	}
	for ; len(table) >= entSize && entSize > 0; table = table[entSize:] {
		if order.Uint32(table) != ptInterp {
			continue
		}
		off, size := int64(order.Uint32(table[4:])), uint64(order.Uint32(table[16:]))
		if wide {
			off, size = int64(order.Uint64(table[8:])), order.Uint64(table[32:])
		}
		if off < 0 || size < 2 || size > maxInterp {
			return "", errImage
		}
		path := make([]byte, size)
		if n, err := unix.Pread(fd, path, off); err != nil || n < len(path) {
			return "", errImage
		}
		path, _, _ = bytes.Cut(path, []byte{0})
		return string(path), nil
	}
	return "", nil
}
