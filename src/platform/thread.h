/*
 * thread: what the system calls a thread, in top(1) and the like.
 *
 * One file an OS: thread_linux.c, thread_bsd.c.
 */
#ifndef WLAD_PLATFORM_THREAD_H
#define WLAD_PLATFORM_THREAD_H

/* Names the thread that calls: at most 15 characters. */
void thread_name(const char *name);

#endif
