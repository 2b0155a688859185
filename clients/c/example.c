/*
 * example: a loop with a heartbeat.
 *
 *     cc -std=c11 -O2 -o example example.c
 *     ./example            under stay: command = "./example", pulse = "2s"
 *
 * With a number as its argument it ends after as many rounds, without it never. Outside stay it runs the same, without a pulse.
 */
#include "stay_pulse.h"

#include <poll.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, i;
	stay_pulse *pulse = stay_pulse_start("rounds", 0);
	char note[64];

	if (pulse == NULL)
		printf("no pulse: %s\n", stay_pulse_why());
	for (i = 1; rounds == 0 || i <= rounds; i++) {
		snprintf(note, sizeof note, "round %lu", i);
		stay_pulse_note(pulse, note);
		poll(NULL, 0, 10); /* the work */
		stay_pulse_progress(pulse, i);
		stay_pulse_beat(pulse);
	}
	printf("%lu rounds\n", rounds);
	stay_pulse_close(pulse);
	return 0;
}
