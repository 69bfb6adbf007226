/*
 * FreeBSD and OpenBSD.  Written from pthread_set_name_np(3); not tested on these systems.
 */
#include "platform/thread.h"

#include <pthread.h>
#include <pthread_np.h>

void
thread_name(const char *name)
{
	pthread_set_name_np(pthread_self(), name);
}
