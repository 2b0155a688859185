package notify

import "time"

// maxQueued is more datagrams than the kernel keeps for one socket (net.unix.max_dgram_qlen: 10, where systemd runs 512):
// who sends faster than it is read cannot put off for ever that a socket counts as drained.
const maxQueued = 1024

// Drained calls then when every datagram that is in the socket now has been through emit: the fact that what was sent
// before something else happened has been heard. It does not wait, and then, which is called from the goroutine of Run or
// one of its own, should not either. When the socket is closed or broken nothing more will be heard, and then is called
// too.
func (r *Receiver) Drained(then func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		go then()
		return
	}
	r.asked = append(r.asked, then)
	_ = r.f.SetReadDeadline(time.Unix(1, 0)) // wakes Run; an error is the close, and ends Run
}

// take returns those who asked since the last time.
func (r *Receiver) take() []func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

// end tells those who asked that nothing will be heard any more.
func (r *Receiver) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	for _, then := range r.take() {
		then()
	}
}

// A drain is those who wait until the socket was found empty, or so many datagrams that none of theirs can be left.
type drain struct {
	then []func()
	left int // datagrams; 0: nobody waits
}

// passed counts one datagram.
func (d *drain) passed() {
	if d.left > 0 {
		if d.left--; d.left == 0 {
			d.done()
		}
	}
}

// done tells all who wait.
func (d *drain) done() {
	for _, then := range d.then {
		then()
	}
	*d = drain{}
}
