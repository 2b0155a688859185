// Package capture copies what services write into files: one goroutine and one descriptor per stream, one file per name
// with its rotated predecessors, and readers that follow without polling. It decides nothing about services.
//
// Files of the name "web" are web.log, which is written, and web.log.1 (the youngest) … web.log.N; each of them can be
// compressed (web.log.2.zst, or web.log.2.gz from somebody else), which is the same to readers and rotation. A time-stamped line is
// RFC 3339 in UTC with microseconds, one space, the text; the time is when stay read the line. A raw line is the text.
//
// What it promises:
//
//   - What is in a pipe is written, in order, and nothing twice, as long as the process lives: it is copied by tee(2), and
//     leaves the pipe when it is in the file. If a file cannot be written (full disk, input error, a file that is not
//     ours to write), what was written of a piece is taken back, and its stream tries again after 100 ms growing to 5 s,
//     without a buffer meanwhile. The service then waits on its own pipe. Streams of other names do not notice.
//   - With Policy.Drop the service waits for a second at most. Then its pipe is emptied, also while a write hangs, whole lines
//     are thrown away, and when the file can be written again a line says how many they were, and from when to when. What is
//     not said yet is in the mark: a kill does not hide it.
//   - A process that is killed leaves to the next one, in Options.Legacy, how far each log has come. A piece that is
//     still in the pipe is taken back out of the file. So each byte is written once, and an unfinished line goes on. Where that is lost too, the last piece may be there in part, or twice.
//   - Bytes are kept as they are, NUL and invalid UTF-8 too, with one exception: a line whose text is longer than 64 KiB is
//     cut by a newline and goes on in a next line that starts with Mark. The same is done to the unfinished line of one
//     generation when another generation of the same name writes, so that no line holds output of two processes.
//   - An unfinished line is written when it comes and is continued by the next chunk.
//   - Rotation never splits a line. No file is larger than Policy.MaxSize, unless a single line is, or a rename fails: that is
//     reported, and writing goes on in the file there is.
//   - Old files but the youngest are compressed (Policy.Compress) and deleted by age (Policy.MaxAge) without writers noticing. At any
//     moment, and after a kill at any moment, a file is there whole in at least one form, and is read once. Of a
//     damaged file readers get what can be read and a Line that says so, with memory for one window of 8 MiB whatever it asks for.
//   - A file that others moved away, removed or truncated is noticed within a second, or with the next chunk.
//   - A file is opened below its directory's descriptor without following links, and only a regular file with one link is
//     written or read. A directory of its own (Policy.File) is opened without following links either, and refused to root where
//     anybody else can put files into it.
//   - A stream knows when output came last, and for how long a file keeps it from reading more.
//   - An idle stream has its goroutine and its pipe, no buffer and no open file. However many streams there are, 32 of them at
//     most use their files at the same time, so a slow disk does not cost a thread for each.
//
// Who owns what: a Stream's goroutine owns the pipe. The streams of one name share a sink; whoever has its turn owns the
// open file and everything about writing. What readers need is published under a lock that is a leaf: it is never held
// across I/O, a send or a call. A follower reads the files itself, at its own pace; writers only wake it, so a slow
// reader costs no memory and stops nobody. Old files change their names under sink.names: whoever rotates and the tidier,
// which is one goroutine for all names while there is work, take turns at it for a few system calls each. If the files it still had to read are deleted by rotation it gets a Line that
// says so.
package capture

// Mark starts a line that continues one that was cut.
const Mark = "… "

// maxLine is the length of text, in bytes, beyond which a line is cut.
const maxLine = 64 << 10

// chunkSize is what one read of a pipe takes at most: a default pipe full (pipe(7)).
const chunkSize = 64 << 10

// pageSize holds a formatted chunk of lines of 29 bytes and more, so that one chunk is one write(2); chunks of shorter
// lines take more. It must hold a longest line with its stamp.
const pageSize = 128 << 10
