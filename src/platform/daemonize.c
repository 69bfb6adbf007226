#include "platform/daemonize.h"

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define SENTENCE 1024 /* octets of a message: a status, then the sentence */

static size_t
read_all(int fd, char *buf, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used < size) {
		n = read(fd, buf + used, size - used);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	return used;
}

/* The child has gone without a word: how, is all that can be told. */
static int
post_mortem(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			return 1;
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "wlad: killed by signal %d at the start\n", WTERMSIG(status));
		return 1;
	}
	fprintf(stderr, "wlad: ended at the start; the system log may say why\n");
	return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1;
}

static int
wait_for_child(int fd, pid_t child)
{
	char message[SENTENCE + 1];
	size_t len = read_all(fd, message, SENTENCE);

	if (len == 0)
		return post_mortem(child);
	message[len] = '\0';
	if (len > 1)
		fprintf(stderr, "wlad: %s\n", message + 1);
	return (unsigned char)message[0];
}

int
daemonize_begin(void)
{
	int pipe_fds[2], error;
	pid_t child;

	if (pipe2(pipe_fds, O_CLOEXEC) == -1)
		return -1;
	fflush(NULL);
	child = fork();
	if (child == -1) {
		error = errno;
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		errno = error;
		return -1;
	}
	if (child != 0) {
		close(pipe_fds[1]);
		/* not exit(): what the child has open is not the parent's to clean up */
		_exit(wait_for_child(pipe_fds[0], child));
	}
	close(pipe_fds[0]);
	setsid();
	return pipe_fds[1];
}

static void
write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, data, len);
		if (n == -1 && errno != EINTR)
			return;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

void
daemonize_ready(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; null != -1 && i <= 2; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	if (chdir("/") == -1)
		log_warn("working directory cannot be left");
	write_all(fd, "", 1);
	close(fd);
}

void
daemonize_failed(int fd, int status, const char *sentence)
{
	char message[SENTENCE];

	message[0] = (char)status;
	snprintf(message + 1, sizeof(message) - 1, "%s", sentence);
	write_all(fd, message, 1 + strlen(message + 1));
	close(fd);
}
