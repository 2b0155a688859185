package launch

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// elf makes the least that elfInterpreter looks at: a header and two program headers, the second PT_INTERP.
func elf(wide bool, order binary.ByteOrder, interp string) []byte {
	b := make([]byte, 64+2*56, 1024)
	copy(b, "\x7fELF")
	b[4], b[5] = 1, 1
	if order == binary.BigEndian {
		b[5] = 2
	}
	at := uint32(len(b))
	b = append(b, interp...)
	b = append(b, 0)
	if wide {
		b[4] = 2
		order.PutUint64(b[32:], 64)
		order.PutUint16(b[54:], 56)
		order.PutUint16(b[56:], 2)
		p := b[64+56:]
		order.PutUint32(p, 3)
		order.PutUint64(p[8:], uint64(at))
		order.PutUint64(p[32:], uint64(len(interp)+1))
		return b
	}
	order.PutUint32(b[28:], 64)
	order.PutUint16(b[42:], 32)
	order.PutUint16(b[44:], 2)
	p := b[64+32:]
	order.PutUint32(p, 3)
	order.PutUint32(p[4:], at)
	order.PutUint32(p[16:], uint32(len(interp)+1))
	return b
}

// with changes a copy of an image at one place.
func with(image []byte, at int, bytes ...byte) []byte {
	c := append([]byte(nil), image...)
	copy(c[at:], bytes)
	return c
}

func TestInterpreterOf(t *testing.T) {
	good := elf(true, binary.LittleEndian, "/lib/ld.so")
	tests := []struct {
		name  string
		image []byte
		want  string
		bad   bool
	}{
		{"empty", nil, "", false},
		{"text", []byte("echo"), "", false},
		{"script", []byte("#!/bin/sh\necho"), "/bin/sh", false},
		{"argument", []byte("#!/usr/bin/env python3 -u\n"), "/usr/bin/env", false},
		{"blanks", []byte("#! \t /bin/sh\t-e\n"), "/bin/sh", false},
		{"no line end", []byte("#!/bin/sh"), "/bin/sh", false},
		{"nothing after it", []byte("#!\n/bin/sh\n"), "", false},
		{"long line", []byte("#!/" + strings.Repeat("x", 1000)), "/" + strings.Repeat("x", headSize-3), false},
		{"64 bit", good, "/lib/ld.so", false},
		{"64 bit, other end", elf(true, binary.BigEndian, "/lib/ld.so"), "/lib/ld.so", false},
		{"32 bit", elf(false, binary.LittleEndian, "/lib/ld32.so"), "/lib/ld32.so", false},
		{"32 bit, other end", elf(false, binary.BigEndian, "/lib/ld32.so"), "/lib/ld32.so", false},
		{"static", with(good, 64+56, 1), "", false},
		{"no headers", with(good, 56, 0, 0), "", false},
		{"cut header", good[:40], "", true},
		{"cut table", good[:100], "", true},
		{"cut path", good[:len(good)-3], "", true},
		{"table outside", with(good, 32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "", true},
		{"table before the file", with(good, 32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "", true},
		{"small entries", with(good, 54, 1, 0), "", true},
		{"no entries", with(good, 54, 0, 0), "", true},
		{"huge table", with(good, 56, 0xff, 0xff), "", true},
		{"huge path", with(good, 64+56+32, 0, 0, 1), "", true},
		{"no path", with(good, 64+56+32, 0), "", true},
		{"path outside", with(good, 64+56+8, 0xff, 0xff), "", true},
	}
	path := filepath.Join(t.TempDir(), "image")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, test.image, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := interpreterOf(int(f.Fd()))
			if (err != nil) != test.bad || got != test.want {
				t.Errorf("got %q, %v; want %q, error %v", got, err, test.want, test.bad)
			}
		})
	}
}

func TestInterpreterOfShell(t *testing.T) {
	f, err := os.Open("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := interpreterOf(int(f.Fd()))
	if err != nil || got != "" && !filepath.IsAbs(got) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := interpreterOf(-1); err == nil {
		t.Error("no file, no error")
	}
}

func FuzzInterpreterOf(f *testing.F) {
	f.Add(elf(true, binary.LittleEndian, "/lib/ld.so"))
	f.Add(elf(false, binary.BigEndian, "/lib/ld.so"))
	f.Add([]byte("#!/bin/sh\n"))
	path := filepath.Join(f.TempDir(), "image")
	f.Fuzz(func(t *testing.T, image []byte) {
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		got, err := interpreterOf(int(file.Fd()))
		if err == nil && got != "" && !bytes.Contains(image, []byte(got)) {
			t.Errorf("%q is not in the image", got)
		}
	})
}
