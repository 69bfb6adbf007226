/*
 * hysteresis: rise and fall as one pure function.
 */
#ifndef WLAD_HEALTH_HYSTERESIS_H
#define WLAD_HEALTH_HYSTERESIS_H

#include <stdbool.h>

struct hysteresis {
	bool up;
	bool known;   /* false before the first result */
	unsigned run; /* results in a row that contradict up */
};

/*
 * Takes one result: up after rise passes in a row, down after fall failures in a row.
 * The very first result decides at once, so that a daemon that starts knows its servers
 * within one interval.
 * Returns true if up (or known) changed.
 */
bool hysteresis_result(struct hysteresis *h, bool passed, unsigned rise, unsigned fall);

#endif
