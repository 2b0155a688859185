/*
 * An old program: it takes an entry of a heartbeat table, beats each second, and gives the entry back when it ends.
 *
 *   beater KEY SEMKEY TIMEOUT BEATS [stubborn]
 *
 * SEMKEY 0: no semaphore. After BEATS beats it hangs (-1: never). A stubborn one ignores SIGTERM. It writes its index in the
 * table when it has an entry.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define ENTRIES 1000

struct entry {
	int pid;
	char pname[51];
	int timeout;
	time_t atime;
};

static volatile sig_atomic_t ending;

static void on_term(int sig)
{
	(void)sig;
	ending = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void lock(int sem, int n)
{
	struct sembuf b = { 0, (short)n, SEM_UNDO };
	while (sem >= 0 && semop(sem, &b, 1) < 0)
		if (errno != EINTR)
			die("semop");
}

/* The entry of a dead namesake, else the first free one. */
static int take(struct entry *table, int timeout)
{
	int i, found = -1;
	for (i = 0; i < ENTRIES && found < 0; i++)
		if (table[i].pid == (int)getpid())
			found = i;
	for (i = 0; i < ENTRIES && found < 0; i++)
		if (table[i].pid == 0)
			found = i;
	if (found < 0) {
		fputs("the table is full\n", stderr);
		exit(1);
	}
	memset(&table[found], 0, sizeof table[found]);
	table[found].pid = (int)getpid();
	strcpy(table[found].pname, "beater");
	table[found].timeout = timeout;
	table[found].atime = time(0);
	return found;
}

int main(int argc, char **argv)
{
	key_t key, semkey;
	int sem = -1, beats, i;
	struct entry *table;
	struct sigaction act;
	sigset_t term, none;

	if (argc < 5)
		return 2;
	key = (key_t)strtoul(argv[1], NULL, 0);
	semkey = (key_t)strtoul(argv[2], NULL, 0);
	beats = atoi(argv[4]);
	memset(&act, 0, sizeof act);
	act.sa_handler = argc > 5 ? SIG_IGN : on_term;
	sigaction(SIGTERM, &act, NULL);
	sigemptyset(&none);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);

	if (semkey != 0 && (sem = semget(semkey, 0, 0)) < 0)
		die("semget");
	if ((i = shmget(key, 0, 0)) < 0)
		die("shmget");
	if ((table = shmat(i, NULL, 0)) == (void *)-1)
		die("shmat");
	lock(sem, -1);
	i = take(table, atoi(argv[3]));
	lock(sem, 1);
	printf("%d\n", i);
	fflush(stdout);

	while (!ending) {
		struct timespec second = { 1, 0 };
		struct timespec *wait = &second;
		fd_set fds;
		FD_ZERO(&fds);
		if (beats == 0)
			wait = NULL; /* it hangs, but for signals */
		pselect(0, &fds, NULL, NULL, wait, &none);
		if (ending)
			break;
		if (beats != 0) {
			lock(sem, -1);
			table[i].atime = time(0);
			lock(sem, 1);
			if (beats > 0)
				beats--;
		}
	}
	lock(sem, -1);
	memset(&table[i], 0, sizeof table[i]);
	lock(sem, 1);
	return 0;
}
