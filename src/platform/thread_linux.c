#include "platform/thread.h"

#include <pthread.h>

void
thread_name(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}
