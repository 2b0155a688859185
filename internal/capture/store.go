package capture

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Options say where logs are kept.
type Options struct {
	// Dir is the absolute path of the log directory, made with mode 0750 if there is none.
	Dir string
	// Now gives the time of lines; nil is time.Now.
	Now func() time.Time
	// Report is called when keeping the log of name starts to fail, and with nil when it works again, once per change. It is
	// called on the stream's goroutine, which waits for it. nil is nobody.
	Report func(name string, problem error)
	// Legacy is what NewLegacy made: where a store leaves to the next one of this directory how far it has come. It stays
	// the caller's, and only one store at a time may use it. nil: a store that is killed leaves nothing, and a chunk of
	// what it wrote last may be there in part, or twice.
	Legacy []*os.File
	// Ended is called when a stream's pipe is at its end and everything is written. It may block.
	Ended func(name string, gen uint64)
}

// Policy says how the output of one name is kept.
type Policy struct {
	MaxSize     int64         // bytes a file may have before it is rotated; 0 = any number
	RotateEvery time.Duration // its age at which it is; 0 = any age
	Keep        int           // rotated files kept; 0 = a full file is deleted
	MaxAge      time.Duration // of its last line, at which a rotated file is deleted; 0 = any age
	Compress    bool          // rotated files are compressed, but for the youngest
	Timestamps  bool          // each line starts with its time
	File        string        // absolute path of the written file, "….log"; "" = NAME.log in the log directory
	Drop        bool          // what cannot be written is dropped and counted; else it waits in the pipe
}

// A Store is the log directory and all that is written to it. Its methods may be called from many goroutines.
type Store struct {
	now    func() time.Time
	report func(name string, problem error)
	ended  func(name string, gen uint64)
	dir    *dir
	marks  *table
	pipes  *scratches
	files  chan struct{} // a token for each stream that uses its file
	tidier *tidier
	closed chan struct{}

	// Replaced by tests.
	at       func(stage)
	write    func(fd int, p []byte) (int, error)
	pace     time.Duration // how many times as long as it works the tidier rests
	look     time.Duration // how often a stream with an open file looks whether it still needs it
	patience time.Duration // before output is dropped, where it may be
	retryMin time.Duration
	retryMax time.Duration

	mu        sync.Mutex // leaf
	sinks     map[string]*sink
	followers map[*follower]bool
	homes     map[string]*dir // by path
	users     int             // holds on sinks
	done      bool
}

// maxWriters is how many streams use their files at once. Each takes a thread while the disk is slow, and threads are
// never given back; who writes to another file of the same disk would wait for it all the same.
const maxWriters = 32

// Open opens the log directory.
func Open(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(string, error) {}
	}
	if o.Ended == nil {
		o.Ended = func(string, uint64) {}
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make log directory %q: %w; set log_dir to a place that can be written", o.Dir, cause(err))
	}
	d, err := openDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open log directory %q: %w; set log_dir to a directory that can be written", o.Dir, err)
	}
	if err := d.safe(); err != nil {
		d.close()
		return nil, err
	}
	marks, pipes, err := inheritance(o.Legacy, o.Now().UnixMicro())
	if err != nil {
		d.close()
		return nil, err
	}
	s := &Store{
		now: o.Now, report: o.Report, ended: o.Ended, dir: d, marks: marks, pipes: pipes, files: make(chan struct{}, maxWriters), closed: make(chan struct{}),
		at: func(stage) {}, write: syscall.Write, pace: 4, look: time.Second, patience: time.Second, retryMin: 100 * time.Millisecond, retryMax: 5 * time.Second,
		sinks: map[string]*sink{}, followers: map[*follower]bool{}, homes: map[string]*dir{},
	}
	s.tidier = newTidier(s)
	return s, nil
}

// Stream takes over pipe, the nonblocking read end of the output of generation gen of name, and copies it until its end.
// p holds for the name from now on. Two generations of one name may write at once.
func (s *Store) Stream(name string, gen uint64, pipe *os.File, p Policy) *Stream {
	st := &Stream{store: s, gen: gen, pipe: pipe, ended: make(chan struct{})}
	sk, err := s.hold(name)
	if err != nil {
		s.report(name, err)
		pipe.Close()
		close(st.ended)
		go s.ended(name, gen)
		return st
	}
	st.sink = sk
	sk.setPolicy(p)
	at := sk.place()
	s.tell(func(f *follower) { f.started(sk, at) })
	go st.run()
	return st
}

// Changed tells followers that the names they asked for may be others now.
func (s *Store) Changed() { s.tell((*follower).change) }

// Close ends the followers, after what is written by now, and refuses new streams. It waits for nothing: streams end with
// their pipes, and the directory's descriptor goes with the last of them.
func (s *Store) Close() {
	s.mu.Lock()
	first, idle := !s.done, s.users == 0
	s.done = true
	s.mu.Unlock()
	if !first {
		return
	}
	close(s.closed)
	s.tidier.close()
	if idle {
		s.end()
	}
}

// end gives back what the store holds, when nobody needs it any more.
func (s *Store) end() {
	s.dir.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.homes {
		d.close()
	}
	s.pipes.close()
	s.marks.close()
}

// tell calls say for each follower there is.
func (s *Store) tell(say func(*follower)) {
	s.mu.Lock()
	all := make([]*follower, 0, len(s.followers))
	for f := range s.followers {
		all = append(all, f)
	}
	s.mu.Unlock()
	for _, f := range all {
		say(f)
	}
}

// hold returns the sink of name, which stays the same for everybody until each holder called release.
func (s *Store) hold(name string) (*sink, error) {
	if !validName(name) {
		return nil, fmt.Errorf("internal error: log of %q: no name of a service", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return nil, fmt.Errorf("internal error: log of %q: the logs are closed already", name)
	}
	s.users++
	sk := s.sinks[name]
	if sk == nil {
		s.mu.Unlock()
		made := newSink(s, name)
		s.mu.Lock()
		if sk = s.sinks[name]; sk == nil {
			sk, s.sinks[name] = made, made
			sk.mark = s.marks.claim(name)
			sk.inherit()
		}
	}
	sk.holders++
	return sk, nil
}

// release takes back one hold.
func (s *Store) release(sk *sink) {
	s.mu.Lock()
	sk.holders--
	s.users--
	if sk.holders == 0 && !sk.troubled.Load() { // else a problem would be reported again, and never its end
		delete(s.sinks, sk.name)
		s.marks.release(sk.mark, sk.heir == nil && sk.end.lost.bytes == 0) // else the next one needs it
	}
	last := s.done && s.users == 0
	s.mu.Unlock()
	if last {
		s.end()
	}
}
