package keeper

import "strings"

// Store begins the names of descriptors that a service has stored: several may have one name, the generation of each is a
// number that tells them apart.
const Store = "store:"

// maxStored is how many descriptors one service may store.
const maxStored = 64

// stored says whether a descriptor was stored by the service.
func (f file) stored() bool { return strings.HasPrefix(f.name, Store) }

// count is how many descriptors of a unit are of that kind.
func (r *row) count(of func(file) bool) int {
	n := 0
	for _, f := range r.files {
		if of(f) {
			n++
		}
	}
	return n
}

// store keeps one more descriptor. It returns false if there are too many, of this service or of all.
func (r *row) store(name string, number uint64, fd int) bool {
	if scarce(fd, 2) || r.count(file.stored) >= maxStored {
		return false
	}
	r.files = append(r.files, file{name: name, gen: number, fd: fd})
	return true
}

// passAll has a service begin with descriptors, from 3 on. They come with the order.
func (j *forkJob) passAll() {
	for _, fd := range j.pass {
		j.attr.Files = append(j.attr.Files, uintptr(fd))
	}
}
