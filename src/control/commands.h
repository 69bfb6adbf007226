/*
 * commands: a request from its line to its answer.
 *
 * A request holds all that its command needs while it runs.  Most commands are done in one
 * call; one that walks a large table does a slice a call and sets "again", so that the loop
 * never waits for it; one that waits for something to happen says when it wants to look again.  Used by server.c (one request a client at a time) and control_answer().
 */
#ifndef WLAD_CONTROL_COMMANDS_H
#define WLAD_CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/control.h"
#include "control/grammar.h"
#include "control/json.h"

#define COMMANDS_SCHEMA 1 /* of the JSON: changes only if a key that was documented changes */

/* Where show connections is in its walk, and what it looks for. */
struct connections_walk {
	bool started;
	uint32_t cursor, limit, listed;
	uint32_t service; /* LOAD_NONE: any */
	int kind, state;  /* -1: any */
	bool by_client;
	struct addr client; /* port 0: any */
};

/* Where show persistence and show limits are. */
struct clients_walk {
	uint32_t cursor, limit;
	uint32_t service; /* LOAD_NONE: any */
	bool by_client;
	struct ip client;
	struct client_entry *list; /* those with the most so far; owned */
	uint32_t count;            /* in the list; */
	uint64_t found;            /* of so many */
};

struct request {
	const struct control_parts *parts;
	uint32_t uid;
	bool may_change;
	uint64_t now;
	struct grammar_match match;

	struct json json;
	bool begun;                  /* something was written */
	bool pieces;                 /* what was written may be sent before all is, */
	bool taken;                  /* as some of it was */
	bool again;                  /* not done: call once more, */
	uint64_t wake;               /* but not before; 0: at once */
	uint64_t since;              /* when a request that waits began to; 0: not yet */
	bool stream;                 /* the answer is "ok stream": events follow, */
	enum log_level stream_level; /* these and what is worse */
	enum control_error error;    /* 0: none */
	char error_text[512];
	struct connections_walk walk;
	struct clients_walk clients;

	char line[CONTROL_LINE_MAX + 1]; /* what the values of the match point into */
};

/* A request of a caller; a line that cannot be one becomes an error answer.  parts borrowed. */
struct request *request_new(const struct control_parts *parts, const char *line, size_t len,
    uint32_t uid, bool may_change);
void request_free(struct request *request);

/* Runs, or goes on.  Returns true once the answer is complete. */
bool request_run(struct request *request, uint64_t now);

/* What was written since the last piece, as the next one, owned by the caller: for a request that
 * allows it and is not done. */
char *request_piece(struct request *request, size_t *len);

/* The whole answer with its first line, or what of it is left after the pieces; owned by the
 * caller. */
char *request_answer(const struct request *request, size_t *len);

/* Makes the answer an error; what was written so far is not sent.  The first one counts. */
void request_fail(struct request *request, enum control_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Keeps how a reload went. */
void request_note_reload(struct control_reload *last, const char *faults, uint64_t now);

/* The number of a service by name; LOAD_NONE after request_fail() if there is none. */
uint32_t request_service(struct request *request, const char *name);

/* The same of another site. */
uint32_t request_site(struct request *request, const char *name);

#endif
