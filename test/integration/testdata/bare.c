/* The least that restarts a program: vfork, exec, wait, for ever. It is what stay is measured against. */
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (;;) {
		pid_t pid = vfork();
		if (pid == 0) {
			setsid();
			execv(argv[1], argv + 1);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) < 0)
			return 1;
	}
}
