/*
 * options: the daemon's command line.
 */
#ifndef WLAD_OPTIONS_H
#define WLAD_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

struct options {
	const char *file;    /* -f */
	bool check;          /* -n: check the configuration and exit */
	bool foreground;     /* -d: stay, log to stderr */
	bool verbose;        /* -v: log level debug whatever the file says */
	bool version;        /* -V */
	char path[PATH_MAX]; /* what file points to, unless the argument or the default */
};

/* Returns 0, or -1 after a usage message on stderr. */
int options_parse(int argc, char **argv, struct options *options);

/* Prints version, build options and libraries. */
void options_print_version(void);

#endif
