/*
 * statuses: which HTTP status codes a check accepts, such as "200-299, 304".
 *
 * Plain data, copied by value.
 */
#ifndef WLAD_CONFIG_STATUSES_H
#define WLAD_CONFIG_STATUSES_H

#include <stdbool.h>
#include <stdint.h>

#define STATUSES_MAX 8 /* codes and ranges in a list */

struct statuses {
	struct {
		uint16_t from, to; /* 100 to 599; 0: no more of them */
	} range[STATUSES_MAX];
};

/*
 * Takes a list of codes and ranges from 100 to 599, separated by commas and blanks.
 * Returns 0, or -1 and leaves statuses as it was.
 */
int statuses_parse(const char *text, struct statuses *statuses);

bool statuses_have(const struct statuses *statuses, unsigned code);

#endif
