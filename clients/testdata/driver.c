/*
 * A program that does with pulses what standard input says, one order a line, one answer a line. The drivers in other
 * languages speak the same; clients_test.go is on the other end. As C and as C++.
 */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "stay_pulse.h"

enum { KEYS = 64 };

static stay_pulse *pulses[KEYS];

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* everything uses a pulse in every way but close. */
static void everything(stay_pulse *p)
{
	stay_pulse_beat(p);
	stay_pulse_extend(p, 1000000000);
	stay_pulse_note(p, "from the child");
	stay_pulse_progress(p, 999);
	stay_pulse_pause(p);
	stay_pulse_idle(p);
}

/* in_child runs in a child made by fork (or, raw, by the system call): it uses its parent's pulses, then starts its own. */
static void in_child(int raw, const char *name)
{
	int i, status = 0;
	pid_t child = raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
	stay_pulse *own;

	if (child == 0) {
		for (i = 0; i < KEYS; i++) {
			everything(pulses[i]);
			stay_pulse_close(pulses[i]);
		}
		own = stay_pulse_start(name, 0);
		stay_pulse_beat(own);
		_exit(own == NULL);
	}
	waitpid(child, &status, 0);
	printf("%s %d\n", status == 0 ? "ok" : "no", (int)child);
}

static void *one_thread(void *number)
{
	char name[32];
	stay_pulse *p;

	snprintf(name, sizeof name, "thread-%d", (int)(intptr_t)number);
	p = stay_pulse_start(name, 0);
	stay_pulse_beat(p);
	pulses[(intptr_t)number] = p;
	return p == NULL ? number : NULL;
}

/* threads starts n threads that claim at the same time, and leaves their pulses in keys 0 to n-1. */
static void threads(int n)
{
	pthread_t all[KEYS];
	void *failed;
	int i, failures = 0;

	for (i = 0; i < n; i++)
		pthread_create(&all[i], NULL, one_thread, (void *)(intptr_t)i);
	for (i = 0; i < n; i++) {
		pthread_join(all[i], &failed);
		failures += failed != NULL;
	}
	printf("%s %d\n", failures == 0 ? "ok" : "no", failures);
}

static void bench(stay_pulse *p, uint64_t n)
{
	uint64_t i, begin = clock_ns(CLOCK_MONOTONIC);

	for (i = 0; i < n; i++)
		stay_pulse_beat(p);
	printf("ok %llu\n", (unsigned long long)(clock_ns(CLOCK_MONOTONIC) - begin));
}

static void start(int key, char *text)
{
	unsigned long long limit = 0;
	int at = 0;

	sscanf(text, "%llu %n", &limit, &at);
	pulses[key] = stay_pulse_start(text + at, limit);
	if (pulses[key] != NULL)
		printf("ok %ld\n", (long)syscall(SYS_gettid));
	else
		printf("no %s\n", stay_pulse_why());
}

static void one_order(const char *order, int key, char *text)
{
	stay_pulse *p = pulses[key];
	unsigned long long n = strtoull(text, NULL, 10);

	if (!strcmp(order, "start")) {
		start(key, text);
		return;
	} else if (!strcmp(order, "fork") || !strcmp(order, "rawfork")) {
		in_child(order[0] == 'r', text);
		return;
	} else if (!strcmp(order, "threads")) {
		threads(key);
		return;
	} else if (!strcmp(order, "bench")) {
		bench(p, n);
		return;
	} else if (!strcmp(order, "unset")) {
		unsetenv("STAY_PULSE");
	} else if (!strcmp(order, "task")) {
		pulses[key] = stay_pulse_start_task(text, 0);
	} else if (!strcmp(order, "beat")) {
		stay_pulse_beat(p);
	} else if (!strcmp(order, "progress")) {
		stay_pulse_progress(p, n);
	} else if (!strcmp(order, "note")) {
		stay_pulse_note(p, text);
	} else if (!strcmp(order, "idle")) {
		stay_pulse_idle(p);
	} else if (!strcmp(order, "busy")) {
		stay_pulse_busy(p);
	} else if (!strcmp(order, "pause")) {
		stay_pulse_pause(p);
	} else if (!strcmp(order, "resume")) {
		stay_pulse_resume(p);
	} else if (!strcmp(order, "extend")) {
		stay_pulse_extend(p, n);
	} else if (!strcmp(order, "close")) {
		stay_pulse_close(p);
	} else {
		puts("unknown");
		return;
	}
	puts("ok");
}

int main(void)
{
	char line[512], order[16];
	int key, at;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		key = at = 0;
		if (sscanf(line, "%15s %d %n", order, &key, &at) < 2 || key < 0 || key >= KEYS) {
			puts("unknown");
			continue;
		}
		one_order(order, key, line + (at > 0 ? at : (int)strlen(line)));
	}
	return 0;
}
