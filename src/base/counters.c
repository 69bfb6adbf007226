#include "base/counters.h"

#include <stddef.h>

struct entry {
	const char *name, *help;
};

#define X(name, help) {#name, help},
static const struct entry counters[] = {COUNTERS(X)};
static const struct entry drops[] = {DROPS(X)};
#undef X

const char *
counter_name(enum counter counter)
{
	return counters[counter].name;
}

const char *
counter_help(enum counter counter)
{
	return counters[counter].help;
}

const char *
drop_name(enum drop drop)
{
	return drops[drop].name;
}

const char *
drop_help(enum drop drop)
{
	return drops[drop].help;
}
