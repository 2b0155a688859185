/*
 * example_threads: sixteen threads, each with a pulse, of which one hangs when it is told to: it waits for a lock that it never
 * gets. `stay why` then names the thread, what it was at, and where in the kernel it was blocked.
 *
 *     cc -std=c11 -O2 -pthread -o example_threads example_threads.c
 *     ./example_threads [--threads N] [--hang K] [--hang-after SECONDS]
 *
 * Threads are worker-00, worker-01, …; worker-K (5 if not said) hangs SECONDS after the start; without --hang-after nobody does.
 */
#include "stay_pulse.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER; /* by main, for ever */
static double hang_after;                                /* 0: never */
static long hang = 5, threads = 16;
static struct timespec begin;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
}

static void *work(void *argument)
{
	long me = (long)(intptr_t)argument;
	unsigned long job;
	stay_pulse *pulse;
	char text[64];

	snprintf(text, sizeof text, "worker-%02ld", me);
	prctl(PR_SET_NAME, text); /* so that ps and the evidence of a hang name it, too */
	pulse = stay_pulse_start(text, 0);
	if (pulse == NULL)
		printf("%s: no pulse: %s\n", text, stay_pulse_why());
	for (job = 1;; job++) {
		snprintf(text, sizeof text, "job %lu", job);
		stay_pulse_note(pulse, text);
		if (me == hang && hang_after > 0 && seconds() >= hang_after) {
			stay_pulse_note(pulse, "waiting for the lock of the index");
			printf("worker-%02ld hangs\n", me);
			pthread_mutex_lock(&held);
		}
		poll(NULL, 0, 10);
		stay_pulse_progress(pulse, job);
		stay_pulse_beat(pulse);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	long i;
	int a;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (a = 1; a + 1 < argc; a += 2) {
		if (!strcmp(argv[a], "--threads"))
			threads = strtol(argv[a + 1], NULL, 10);
		else if (!strcmp(argv[a], "--hang"))
			hang = strtol(argv[a + 1], NULL, 10);
		else if (!strcmp(argv[a], "--hang-after"))
			hang_after = strtod(argv[a + 1], NULL);
		else
			break;
	}
	if (a < argc) {
		fprintf(stderr, "example_threads: %s is unknown, or needs a value\n", argv[a]);
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	pthread_mutex_lock(&held);
	for (i = 0; i < threads; i++) {
		if (pthread_create(&thread, NULL, work, (void *)(intptr_t)i) != 0) {
			fprintf(stderr, "example_threads: start thread %ld: no thread to be had\n", i);
			return 1;
		}
	}
	for (;;)
		pause();
}
