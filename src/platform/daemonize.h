/*
 * daemonize: into the background, without leaving the caller in doubt.
 *
 * The process forks before it starts; the one that was called waits until the other one has
 * started or failed, prints the sentence in which that one says why, and exits with its
 * status.  So "wlad && next" means what it says, and errors at the start are seen.
 */
#ifndef WLAD_PLATFORM_DAEMONIZE_H
#define WLAD_PLATFORM_DAEMONIZE_H

/*
 * Forks.  Returns in the child only, which is the leader of a session of its own: a
 * descriptor for one of the two calls below; or -1 with errno in the one process there is.
 */
int daemonize_begin(void);

/*
 * The child serves: the parent exits 0.  Standard input, output and error become /dev/null
 * and the working directory /.
 */
void daemonize_ready(int fd);

/* The child cannot start: the parent prints "wlad: " and the sentence, and exits with status. */
void daemonize_failed(int fd, int status, const char *sentence);

#endif
