/*
 * wladmctl: what its parts share: options, exit statuses, and the commands that take more than
 * one request, or one without an end.
 */
#ifndef WLAD_WLADMCTL_WLADMCTL_H
#define WLAD_WLADMCTL_WLADMCTL_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "control/grammar.h"
#include "wladmctl/client.h"
#include "wladmctl/table.h"

enum exit_status { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_NO_DAEMON };

struct options {
	bool json;
	const char *socket;
	double watch; /* seconds between repetitions; 0: as the command does */
};

/* ---- ask.c ---- */

/* Says on stderr why there is no answer, and frees it.  Returns the exit status. */
int wladmctl_failed(enum client_status status, struct client_answer *answer);

/*
 * The answer to a request as a value, with -j printed as the daemon sent it; NULL with the exit
 * status after a message.
 */
json_t *wladmctl_ask(const struct options *options, const char *line, int *status);

/* The same, but NULL with EXIT_DONE if the answer came in pieces, which were handed over. */
json_t *wladmctl_list(const struct options *options, const char *line, client_piece *piece,
    void *arg, int *status);

/* Colours and width of what is printed to stdout. */
struct table_style wladmctl_style(void);

/* ---- listing.c ---- */

/* Prints connections, as JSON or text, as the daemon sends them. */
struct listing;
struct listing *listing_new(
    const struct options *options, FILE *out, const struct table_style *style);
void listing_free(struct listing *listing);

/* Octets of the answer; ends it when they are none of one, or cannot be written. */
int listing_piece(void *listing, const char *data, size_t len);

/* Whether the whole answer came and was one; else says why not on stderr. */
bool listing_is_whole(const struct listing *listing);

/* ---- monitor.c ---- */

/* Prints events, as JSON or text, until the daemon ends or a signal comes. */
int monitor_main(const struct options *options, const char *line);

/* ---- top.c ---- */

/* What is shown at one time: the answers to show summary, show servers and show sites. */
struct top_sample {
	json_t *summary, *servers, *sites;
};

/* One picture.  Rates of servers are what changed since before (NULL: unknown), so many
 * seconds ago. */
void top_print(const struct top_sample *before, const struct top_sample *now, double seconds,
    FILE *out, const struct table_style *style);

/* Again and again: over itself on a terminal, one after the other if batch. */
int top_main(const struct options *options, bool batch);

/* ---- save.c ---- */

/* Writes what is in force to a file; NULL: the daemon's own, which is then read again. */
int save_main(const struct options *options, const char *file, bool force);

/* ---- topology.c ---- */

/* The sites and the links between them, from the answers to show summary and show sites. */
void topology_text(
    const json_t *summary, const json_t *sites, FILE *out, const struct table_style *style);
void topology_dot(const json_t *summary, const json_t *sites, FILE *out);
int topology_main(const struct options *options, bool dot);

#endif
