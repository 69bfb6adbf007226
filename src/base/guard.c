#include "base/guard.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

static _Thread_local unsigned depth; /* of the thread */

struct guard {
	pthread_mutex_t mutex;
	uint64_t now;
};

/* Who is inside leaves within a microsecond or so: whoever waits tries again for a while before
 * he goes to sleep, where the system can. */
static int
init(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;
	int error = pthread_mutexattr_init(&attributes);

	if (error != 0)
		return error;
#ifdef HAVE_PTHREAD_MUTEX_ADAPTIVE
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
	error = pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return error;
}

struct guard *
guard_new(void)
{
	struct guard *g = xcalloc(1, sizeof(*g));

	if (init(&g->mutex) != 0)
		log_fatalx("no memory for a mutex");
	g->now = clock_now();
	return g;
}

void
guard_free(struct guard *g)
{
	if (g == NULL)
		return;
	pthread_mutex_destroy(&g->mutex);
	free(g);
}

uint64_t
guard_enter(struct guard *g)
{
	if (depth++ == 0) {
		pthread_mutex_lock(&g->mutex);
		g->now = clock_now();
	}
	return g->now;
}

void
guard_leave(struct guard *g)
{
	if (--depth == 0)
		pthread_mutex_unlock(&g->mutex);
}

bool
guard_is_inside(void)
{
	return depth > 0;
}

uint64_t
guard_now(const struct guard *g)
{
	return g->now;
}
