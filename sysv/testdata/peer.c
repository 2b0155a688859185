/* The other side of the tests: what a C program does with the same objects. First argument: what; second: a key. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; };

static void die(const char *what) { perror(what); exit(1); }

static void op(int id, int n, int flags)
{
	struct sembuf b = { 0, (short)n, (short)flags };
	while (semop(id, &b, 1) < 0)
		if (errno != EINTR) die("semop");
}

/* The start of an old program: found, or made and set. */
static int init(key_t key, int value)
{
	union semun u = { .val = value };
	int id = semget(key, 0, 0);
	if (id >= 0) return id;
	id = semget(key, 1, IPC_CREAT | IPC_EXCL | 0600);
	if (id < 0) {
		if (errno != EEXIST) die("semget");
		if ((id = semget(key, 0, 0)) < 0) die("semget again");
		return id;
	}
	if (semctl(id, 0, SETVAL, u) < 0) die("SETVAL");
	return id;
}

static int sem(key_t key)
{
	int id = semget(key, 0, 0);
	if (id < 0) die("semget");
	return id;
}

static void count(key_t key, int rounds)
{
	int id = sem(key), shm = shmget(key, 0, 0);
	volatile long *n = shmat(shm, NULL, 0);
	if (n == (void *)-1) die("shmat");
	while (rounds-- > 0) {
		op(id, -1, SEM_UNDO);
		n[0] = n[0] + 1;
		op(id, 1, SEM_UNDO);
	}
}

struct message { long type; char text[64]; };

static void queue(key_t key, const char *what)
{
	struct message m = { 0, "" };
	int id = msgget(key, 0);
	if (id < 0) die("msgget");
	if (!strcmp(what, "send")) {
		for (m.type = 3; m.type >= 1; m.type--) {
			int n = snprintf(m.text, sizeof m.text, "type %ld", m.type);
			if (msgsnd(id, &m, (size_t)n, 0) < 0) die("msgsnd");
		}
		return;
	}
	ssize_t n = msgrcv(id, &m, sizeof m.text, 0, 0);
	if (n < 0) die("msgrcv");
	printf("%ld %.*s\n", m.type, (int)n, m.text);
}

#define FIELD(type, field) printf("%s.%s %zu\n", #type, #field, offsetof(struct type, field))
#define SIZE(type) printf("%s %zu\n", #type, sizeof(struct type))

static void layout(void)
{
	SIZE(ipc_perm); SIZE(shmid_ds); SIZE(semid_ds); SIZE(msqid_ds); SIZE(sembuf);
	FIELD(ipc_perm, uid); FIELD(ipc_perm, cuid); FIELD(ipc_perm, mode);
	FIELD(shmid_ds, shm_segsz); FIELD(shmid_ds, shm_atime); FIELD(shmid_ds, shm_ctime); FIELD(shmid_ds, shm_cpid); FIELD(shmid_ds, shm_nattch);
	FIELD(semid_ds, sem_otime); FIELD(semid_ds, sem_ctime); FIELD(semid_ds, sem_nsems);
	FIELD(msqid_ds, msg_stime); FIELD(msqid_ds, msg_qnum); FIELD(msqid_ds, msg_qbytes); FIELD(msqid_ds, msg_lspid);
	FIELD(sembuf, sem_op); FIELD(sembuf, sem_flg);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	key_t key = argc > 2 ? (key_t)strtoul(argv[2], NULL, 0) : 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "layout")) layout();
	else if (!strcmp(what, "hold")) { op(sem(key), -1, SEM_UNDO); puts("held"); for (;;) pause(); }
	else if (!strcmp(what, "once")) { op(sem(key), -1, SEM_UNDO); puts("had"); }
	else if (!strcmp(what, "count")) count(key, atoi(argv[3]));
	else if (!strcmp(what, "init")) { int id = init(key, 1); op(id, -1, SEM_UNDO); op(id, 1, SEM_UNDO); }
	else if (!strcmp(what, "abandon")) { if (semget(key, 1, IPC_CREAT | IPC_EXCL | 0600) < 0) die("semget"); }
	else if (!strcmp(what, "setval")) { init(key, 1); }
	else if (!strcmp(what, "send") || !strcmp(what, "receive")) queue(key, what);
	else { fprintf(stderr, "what is %s?\n", what); return 2; }
	return 0;
}
