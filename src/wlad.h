/*
 * wlad: the daemon as a library: start, run and stop as one story.
 *
 * Seed: the wide area load distribution apparatus 12.
 */
#ifndef WLAD_WLAD_H
#define WLAD_WLAD_H

/* What main() calls.  Returns the exit status: 0, or 1 with a sentence on stderr or in the log. */
int wlad_main(int argc, char **argv);

#endif
