/*
 * stay_pulse.h: a heartbeat for programs that run under stay, in C11 or C++11 and later, as one header. Linux.
 *
 *     #include "stay_pulse.h"
 *
 *     stay_pulse *pulse = stay_pulse_start("acceptor", 0);
 *     for (;;) {
 *         stay_pulse_beat(pulse);
 *         work();
 *     }
 *
 * stay gives a service a page of shared memory (STAY_PULSE names it) with slots in it. A pulse is one slot, and a beat is two
 * stores into it: no system call, no lock, no allocation. If the beats stop for longer than the limit, stay restarts the
 * service and says which pulse stopped, and at what.
 *
 * Promises:
 *   - Not under stay, or with a page that is not one of version 1, or with every slot taken, stay_pulse_start returns NULL, and
 *     every function does nothing with NULL. A program needs no case of its own for that; stay_pulse_why tells the reason.
 *   - No other slot is ever written. Writers in other languages may share the page: see "Claiming" below.
 *   - A forked child has no pulse, however it was forked: a beat in it does nothing and cannot beat for its parent. It may start
 *     pulses of its own. (The handles lie in memory that the kernel wipes at fork, so no handler needs to run for that.)
 *   - Nothing here blocks, changes errno, or uses malloc. A thread may be cancelled in stay_pulse_start, but not while it holds
 *     something.
 *
 * Who owns what: a pulse belongs to one thread, which alone calls functions with it; one thread, one slot. It does not have to be
 * the thread that started it, but that one's id is in the slot, so that stay can look at it when the pulse is late.
 * stay_pulse_start and stay_pulse_close may be called by any number of threads at once; neither from a signal handler.
 * The other functions may be, if the handler runs in the thread that owns the pulse.
 *
 * A thread that will end calls stay_pulse_close first. One that ends without it is reported as lost.
 *
 * Do not beat from a timer or a thread made for it: that says that the timer lives. Beat where the work is done.
 *
 * Claiming: a slot is taken by compare-and-swap of its state from 0 to 1, under a write lock (fcntl, not waiting) on the four
 * bytes of the state. The lock is for writers without compare-and-swap, which hold it while they look and store. Slots are
 * tried from 1 upwards, 0 last: 0 is for writers that can only write a file, and languages without compare-and-swap come from
 * the other end. The layout is docs/reference/pulse-page.md.
 *
 * A page that somebody truncates raises SIGBUS in the next beat, as with every shared mapping. Only stay and the service's
 * own user can do that.
 *
 * With -std=c11 (not gnu11) this header comes before those of the system, or _DEFAULT_SOURCE is defined.
 */
#ifndef STAY_PULSE_H
#define STAY_PULSE_H 1

#if !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#if !defined(MAP_ANONYMOUS) || !defined(O_CLOEXEC) || !defined(SYS_gettid)
#error "stay_pulse.h: include it before the headers of the system, or compile with -D_DEFAULT_SOURCE or -std=gnu11"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A stay_pulse is one heartbeat. NULL is one that does nothing. */
typedef struct stay_pulse stay_pulse;

/*
 * stay_pulse_start claims a slot for the calling thread. name says which loop this is, up to 24 bytes of UTF-8 (more are cut at
 * a character). limit_ns is the longest silence in ns; 0 means the one configured for the service. The first beat is made.
 */
static inline stay_pulse *stay_pulse_start(const char *name, uint64_t limit_ns);

/* stay_pulse_start_task is stay_pulse_start for what is no thread: a coroutine, or a loop that moves between threads. */
static inline stay_pulse *stay_pulse_start_task(const char *name, uint64_t limit_ns);

/* stay_pulse_why says why the last stay_pulse_start of this process returned NULL: a phrase, "" if it did not. */
static inline const char *stay_pulse_why(void);

/* stay_pulse_beat says: this loop is alive. A few ns; its clock is some ms coarse. */
static inline void stay_pulse_beat(stay_pulse *p);

/*
 * stay_pulse_progress stores a number that grows when real work is done, and says busy. It is judged where the service's file
 * asks for it: a busy loop that beats while its number stands still is stuck. If the pulse was idle or paused this is a beat,
 * else it is not.
 */
static inline void stay_pulse_progress(stay_pulse *p, uint64_t n);

/* stay_pulse_note says what is being done now, up to 64 bytes of UTF-8; stay shows it. NULL clears it. It is no beat. */
static inline void stay_pulse_note(stay_pulse *p, const char *text);

/* stay_pulse_idle beats and says that there is nothing to do: beats are still expected, progress is not. */
static inline void stay_pulse_idle(stay_pulse *p);

/* stay_pulse_busy beats and ends idle. */
static inline void stay_pulse_busy(stay_pulse *p);

/* stay_pulse_pause says that no beat comes until stay_pulse_resume, e.g. before a read that may wait for ever. It is no beat. */
static inline void stay_pulse_pause(stay_pulse *p);

/* stay_pulse_resume beats and ends a pause. */
static inline void stay_pulse_resume(stay_pulse *p);

/*
 * stay_pulse_extend beats ns in advance: the limit counts from then. stay grants no more than the service's extend_max. The
 * next beat ends it.
 */
static inline void stay_pulse_extend(stay_pulse *p, uint64_t ns);

/* stay_pulse_close gives the slot back. The pulse must not be used by anybody afterwards, as after free. */
static inline void stay_pulse_close(stay_pulse *p);

/* ------------------------------------------------- what it is made of ------------------------------------------------- */

enum {
	STAY_PULSE_FREE_ = 0,
	STAY_PULSE_CLAIMED_ = 1,
	STAY_PULSE_BUSY_ = 2,
	STAY_PULSE_PAUSED_ = 3,
	STAY_PULSE_IDLE_ = 4
};

enum {
	STAY_PULSE_SLOT_SIZE_ = 128, /* of the header, too */
	STAY_PULSE_STATE_AT_ = 24,
	STAY_PULSE_MAX_SLOTS_ = 4096, /* as many as a service's file may ask for */
	STAY_PULSE_WIPE_ = 18         /* MADV_WIPEONFORK, which old headers lack */
};

struct stay_pulse_header_ {
	char magic[8];
	uint16_t version, header_size, slot_size, slot_count;
	uint64_t generation, default_limit_ns, created_ns, flags;
	char zero[80];
};

struct stay_pulse_slot_ {
	uint64_t beat_ns, count, limit_ns;
	uint32_t state, tid;
	uint64_t progress;
	uint64_t name[3];
	uint64_t note[8];
};

typedef char stay_pulse_header_has_128_bytes_[sizeof(struct stay_pulse_header_) == 128 ? 1 : -1];
typedef char stay_pulse_slot_has_128_bytes_[sizeof(struct stay_pulse_slot_) == 128 ? 1 : -1];

/* The handle of slot i is number i of the root's. In a forked child it is wiped, so its slot is NULL. */
struct stay_pulse {
	struct stay_pulse_slot_ *slot;
};

/* The root is all that this process knows of its page. It lies in memory that is zero in a forked child: there it begins anew. */
struct stay_pulse_root_ {
	uint32_t lock;
	uint32_t slots;             /* 0: no page yet */
	struct stay_pulse_slot_ *first;
	int fd;                     /* for locks; whoever closes all descriptors may have closed it: see dev and ino */
	dev_t dev;
	ino_t ino;
	const char *why;
	stay_pulse handles[STAY_PULSE_MAX_SLOTS_];
};

/* One root for all files of a program that include this header. */
extern struct stay_pulse_root_ *stay_pulse_root_pointer_;
__attribute__((weak)) struct stay_pulse_root_ *stay_pulse_root_pointer_;

/* stay_pulse_root_get_ makes the root on first use. NULL: out of memory, or a kernel before 4.14. */
static inline struct stay_pulse_root_ *stay_pulse_root_get_(void)
{
	struct stay_pulse_root_ *root = __atomic_load_n(&stay_pulse_root_pointer_, __ATOMIC_ACQUIRE), *other = NULL;
	size_t size = sizeof(struct stay_pulse_root_);
	void *memory;

	if (root != NULL)
		return root;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	if (madvise(memory, size, STAY_PULSE_WIPE_) != 0) {
		munmap(memory, size);
		return NULL;
	}
	root = (struct stay_pulse_root_ *)memory;
	if (__atomic_compare_exchange_n(&stay_pulse_root_pointer_, &other, root, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return root;
	munmap(memory, size);
	return other;
}

/* The lock is held for some system calls that do not wait. Whoever waits sleeps, so that no priority can keep the holder out. */
static inline void stay_pulse_lock_(struct stay_pulse_root_ *root)
{
	struct timespec moment;
	int saved = errno;

	while (__atomic_exchange_n(&root->lock, 1, __ATOMIC_ACQUIRE) != 0) {
		moment.tv_sec = 0;
		moment.tv_nsec = 50000;
		nanosleep(&moment, NULL);
	}
	errno = saved;
}

static inline void stay_pulse_unlock_(struct stay_pulse_root_ *root)
{
	__atomic_store_n(&root->lock, 0, __ATOMIC_RELEASE);
}

/* stay_pulse_open_ opens what STAY_PULSE names: a path, or fd:N, which is copied. -1, and *why says what is wrong with it. */
static inline int stay_pulse_open_(const char **why)
{
	const char *place = getenv("STAY_PULSE");
	char *end = NULL;
	long number;
	int fd;

	if (place == NULL || place[0] == '\0') {
		*why = "STAY_PULSE is not set: this program does not run under stay, or without a pulse";
		return -1;
	}
	if (strncmp(place, "fd:", 3) != 0) {
		/* Not open(2), which is a cancellation point. */
		fd = (int)syscall(SYS_openat, AT_FDCWD, place, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		*why = "the page that STAY_PULSE names cannot be opened";
		return fd;
	}
	*why = "the descriptor that STAY_PULSE names is not open";
	if (place[3] < '0' || place[3] > '9')
		return -1;
	number = strtol(place + 3, &end, 10);
	if (*end != '\0' || number > INT_MAX)
		return -1;
	return fcntl((int)number, F_DUPFD_CLOEXEC, 3);
}

/* stay_pulse_check_ says what is wrong with a header, given the size of its file. NULL: nothing. */
static inline const char *stay_pulse_check_(const struct stay_pulse_header_ *h, uint64_t size)
{
	if (memcmp(h->magic, "STAYPULS", 8) != 0)
		return "what STAY_PULSE names is no pulse page";
	if (h->version != 1)
		return "the pulse page has a version that this header does not know";
	if (h->header_size != STAY_PULSE_SLOT_SIZE_ || h->slot_size != STAY_PULSE_SLOT_SIZE_ || h->slot_count == 0)
		return "the header of the pulse page is broken";
	if ((uint64_t)STAY_PULSE_SLOT_SIZE_ * (1u + h->slot_count) > size)
		return "the pulse page is shorter than its header says";
	return NULL;
}

/* stay_pulse_map_ gives the root its page. NULL: done, else what is wrong. The caller holds the lock. */
static inline const char *stay_pulse_map_(struct stay_pulse_root_ *root)
{
	const size_t most = (size_t)STAY_PULSE_SLOT_SIZE_ * (STAY_PULSE_MAX_SLOTS_ + 1);
	const struct stay_pulse_header_ *header;
	const char *why = NULL;
	struct stat file;
	void *page = MAP_FAILED;
	size_t size = 0;
	int fd = stay_pulse_open_(&why);

	if (fd < 0)
		return why;
	why = "what STAY_PULSE names is no pulse page";
	if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size >= 4096) {
		size = (uint64_t)file.st_size < most ? (size_t)file.st_size : most;
		page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (page != MAP_FAILED) {
		header = (const struct stay_pulse_header_ *)page;
		why = stay_pulse_check_(header, (uint64_t)file.st_size);
		if (why == NULL && madvise(page, size, MADV_DONTFORK) != 0)
			why = "the kernel does not keep the pulse page from children";
	}
	if (why != NULL) {
		if (page != MAP_FAILED)
			munmap(page, size);
		syscall(SYS_close, fd);
		return why;
	}
	header = (const struct stay_pulse_header_ *)page;
	root->fd = fd;
	root->dev = file.st_dev;
	root->ino = file.st_ino;
	root->first = (struct stay_pulse_slot_ *)(void *)((char *)page + STAY_PULSE_SLOT_SIZE_);
	root->slots = header->slot_count;
	if (root->slots > STAY_PULSE_MAX_SLOTS_)
		root->slots = STAY_PULSE_MAX_SLOTS_;
	return NULL;
}

/*
 * stay_pulse_range_ locks or unlocks the state of slot i. 0: somebody else has it. A lock that cannot be had for another reason is
 * as good as had: compare-and-swap alone protects from all but writers that have none.
 */
static inline int stay_pulse_range_(struct stay_pulse_root_ *root, uint32_t i, short type)
{
	struct flock range;
	struct stat file;

	if (fstat(root->fd, &file) != 0 || file.st_dev != root->dev || file.st_ino != root->ino)
		return 1;
	memset(&range, 0, sizeof range);
	range.l_type = type;
	range.l_whence = SEEK_SET;
	range.l_start = (off_t)STAY_PULSE_SLOT_SIZE_ * (1 + (off_t)i) + STAY_PULSE_STATE_AT_;
	range.l_len = 4;
	return fcntl(root->fd, F_SETLK, &range) == 0 || (errno != EAGAIN && errno != EACCES);
}

static inline int stay_pulse_claim_(struct stay_pulse_root_ *root, uint32_t i)
{
	uint32_t *state = &root->first[i].state, was = STAY_PULSE_FREE_;
	int won;

	if (__atomic_load_n(state, __ATOMIC_RELAXED) != STAY_PULSE_FREE_ || !stay_pulse_range_(root, i, F_WRLCK))
		return 0;
	won = __atomic_compare_exchange_n(state, &was, (uint32_t)STAY_PULSE_CLAIMED_, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	stay_pulse_range_(root, i, F_UNLCK);
	return won;
}

/* stay_pulse_text_ stores text, cut at a character and filled up with zeros, as words: a reader sees no word half written. */
static inline void stay_pulse_text_(uint64_t *to, size_t words, const char *text)
{
	uint64_t buffer[8] = {0, 0, 0, 0, 0, 0, 0, 0};
	size_t max = words * 8, n = 0;

	if (text != NULL)
		while (n < max && text[n] != '\0')
			n++;
	if (n == max) /* What was cut in the middle of a character loses that character. */
		while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
			n--;
	if (n > 0)
		memcpy(buffer, text, n);
	for (n = 0; n < words; n++)
		__atomic_store_n(&to[n], buffer[n], __ATOMIC_RELAXED);
}

static inline uint64_t stay_pulse_now_(void)
{
	struct timespec now;

#ifdef CLOCK_MONOTONIC_COARSE
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
	clock_gettime(CLOCK_MONOTONIC, &now);
#endif
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void stay_pulse_beat_at_(struct stay_pulse_slot_ *slot, uint64_t at)
{
	__atomic_store_n(&slot->beat_ns, at, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->count, __atomic_load_n(&slot->count, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

static inline stay_pulse *stay_pulse_begin_(const char *name, uint64_t limit_ns, uint32_t tid)
{
	int saved = errno;
	struct stay_pulse_root_ *root = stay_pulse_root_get_();
	struct stay_pulse_slot_ *slot;
	stay_pulse *pulse = NULL;
	uint32_t i, k;

	if (root == NULL) {
		errno = saved;
		return NULL;
	}
	stay_pulse_lock_(root);
	root->why = root->slots > 0 ? NULL : stay_pulse_map_(root);
	for (k = 1; k <= root->slots && pulse == NULL; k++) {
		i = k % root->slots; /* 1, 2, … and 0 last */
		if (!stay_pulse_claim_(root, i))
			continue;
		slot = &root->first[i];
		__atomic_store_n(&slot->limit_ns, limit_ns, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->tid, tid, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->progress, 0, __ATOMIC_RELAXED);
		stay_pulse_text_(slot->name, 3, name);
		stay_pulse_text_(slot->note, 8, NULL);
		__atomic_store_n(&slot->count, 0, __ATOMIC_RELAXED);
		stay_pulse_beat_at_(slot, stay_pulse_now_());
		__atomic_store_n(&slot->state, (uint32_t)STAY_PULSE_BUSY_, __ATOMIC_RELEASE);
		pulse = &root->handles[i];
		__atomic_store_n(&pulse->slot, slot, __ATOMIC_RELEASE);
	}
	if (pulse == NULL && root->why == NULL)
		root->why = "every slot of the pulse page is taken: pulse.slots in the service's file gives more";
	stay_pulse_unlock_(root);
	errno = saved;
	return pulse;
}

static inline stay_pulse *stay_pulse_start(const char *name, uint64_t limit_ns)
{
	return stay_pulse_begin_(name, limit_ns, (uint32_t)syscall(SYS_gettid));
}

static inline stay_pulse *stay_pulse_start_task(const char *name, uint64_t limit_ns)
{
	return stay_pulse_begin_(name, limit_ns, 0);
}

static inline const char *stay_pulse_why(void)
{
	struct stay_pulse_root_ *root = stay_pulse_root_get_();
	const char *why;

	if (root == NULL)
		return "the kernel gives no memory that is wiped at fork";
	stay_pulse_lock_(root);
	why = root->why != NULL ? root->why : "";
	stay_pulse_unlock_(root);
	return why;
}

/* stay_pulse_slot_of_ is NULL for no pulse, a closed one, and that of a parent. */
static inline struct stay_pulse_slot_ *stay_pulse_slot_of_(stay_pulse *p)
{
	return p != NULL ? __atomic_load_n(&p->slot, __ATOMIC_RELAXED) : NULL;
}

static inline void stay_pulse_beat(stay_pulse *p)
{
	struct stay_pulse_slot_ *slot = stay_pulse_slot_of_(p);

	if (slot != NULL)
		stay_pulse_beat_at_(slot, stay_pulse_now_());
}

static inline void stay_pulse_extend(stay_pulse *p, uint64_t ns)
{
	struct stay_pulse_slot_ *slot = stay_pulse_slot_of_(p);
	uint64_t now;

	if (slot == NULL)
		return;
	now = stay_pulse_now_();
	stay_pulse_beat_at_(slot, ns <= (uint64_t)INT64_MAX - now ? now + ns : (uint64_t)INT64_MAX);
}

/* stay_pulse_say_ stores a state, after a beat. */
static inline void stay_pulse_say_(stay_pulse *p, uint32_t state)
{
	struct stay_pulse_slot_ *slot = stay_pulse_slot_of_(p);

	if (slot == NULL)
		return;
	stay_pulse_beat_at_(slot, stay_pulse_now_());
	__atomic_store_n(&slot->state, state, __ATOMIC_RELEASE);
}

static inline void stay_pulse_idle(stay_pulse *p) { stay_pulse_say_(p, STAY_PULSE_IDLE_); }

static inline void stay_pulse_busy(stay_pulse *p) { stay_pulse_say_(p, STAY_PULSE_BUSY_); }

static inline void stay_pulse_pause(stay_pulse *p)
{
	struct stay_pulse_slot_ *slot = stay_pulse_slot_of_(p);

	if (slot != NULL)
		__atomic_store_n(&slot->state, (uint32_t)STAY_PULSE_PAUSED_, __ATOMIC_RELEASE);
}

static inline void stay_pulse_resume(stay_pulse *p) { stay_pulse_say_(p, STAY_PULSE_BUSY_); }

static inline void stay_pulse_progress(stay_pulse *p, uint64_t n)
{
	struct stay_pulse_slot_ *slot = stay_pulse_slot_of_(p);

	if (slot == NULL)
		return;
	__atomic_store_n(&slot->progress, n, __ATOMIC_RELAXED);
	if (__atomic_load_n(&slot->state, __ATOMIC_RELAXED) != STAY_PULSE_BUSY_)
		stay_pulse_busy(p);
}

static inline void stay_pulse_note(stay_pulse *p, const char *text)
{
	struct stay_pulse_slot_ *slot = stay_pulse_slot_of_(p);

	if (slot != NULL)
		stay_pulse_text_(slot->note, 8, text);
}

static inline void stay_pulse_close(stay_pulse *p)
{
	struct stay_pulse_slot_ *slot = stay_pulse_slot_of_(p);

	if (slot == NULL)
		return;
	__atomic_store_n(&p->slot, (struct stay_pulse_slot_ *)NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->state, (uint32_t)STAY_PULSE_FREE_, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif
