/*
 * control: the daemon's side of wladmctl, on a UNIX socket.
 *
 * A request is one line; the answer is "ok LENGTH\n" and that many octets of JSON, or
 * "err CODE TEXT\n", or to `monitor` "ok stream\n" and an object a line until it ends.  Members of the control group may look; root and the daemon's user may
 * change (SO_PEERCRED); each change is logged with the caller's uid.  The grammar is the table in
 * grammar.c; requests and answers are documented in wladmctl(8).
 */
#ifndef WLAD_CONTROL_CONTROL_H
#define WLAD_CONTROL_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "allocation/allocation.h"
#include "base/counters.h"
#include "config/changes.h"
#include "config/config.h"
#include "connection/connection.h"
#include "load/table.h"
#include "loop.h"
#include "transfer/keyring.h"

#define CONTROL_LINE_MAX 1024 /* octets of a request, without its newline */

/* What CODE of an error answer says. */
enum control_error {
	CONTROL_REFUSED = 1, /* the caller may not */
	CONTROL_BAD,         /* the request is not understood */
	CONTROL_NOT_FOUND,   /* there is no service, server, site of that name */
	CONTROL_FAILED       /* the daemon could not */
};

struct sampler;

#define CONTROL_FAULTS 65536 /* octets that hold the faults of a reload with their NUL */

/* How the last reload went. */
struct control_reload {
	uint64_t at;  /* clock.h; 0: there was none */
	char *faults; /* owned; a line each; NULL: it was done */
};

/* What commands work on; all borrowed. */
struct control_parts {
	struct loop *loop;
	const struct config *config;
	struct load_table *load;
	struct allocation *allocation;
	struct connection_table *connections; /* NULL at a coordinator */
	struct counters *counters;
	uint64_t started;              /* clock.h */
	const struct sampler *sampler; /* rates; NULL: all 0.  control_new() puts in its own */
	const struct keyring *keyring; /* NULL: no keys */

	/* Goes over to the file's configuration.  0, or -1 with every fault, a line each, in
	 * error.  NULL: not supported. */
	int (*reload)(void *arg, char *error, size_t size);
	void *reload_arg;
	struct control_reload *last_reload; /* NULL: not kept.  control_new() puts in its own */

	/* What administrators have changed about servers, and how an edit becomes part of it.  0, or
	 * -1 with a sentence.  NULL: not supported. */
	const struct config_changes *changes;
	int (*edit)(void *arg, const struct config_edit *edit, char *error, size_t size);
	void *edit_arg;

	/* Has all that is measured of the transfer path to a site measured anew, now.  NULL: not
	 * supported. */
	void (*probe)(void *arg, uint32_t site);
	void *probe_arg;

	/* When our own certificate expires, seconds since 1970; 0: there is none.  NULL: the same. */
	int64_t (*certificate_expiry)(void *arg);
	void *certificate_arg;
};

struct control;

/* Opens the socket (mode 0660, group as configured); replaces a stale one, refuses one that
 * answers.  NULL with a sentence in error.  Ignores SIGPIPE from then on. */
struct control *control_new(const struct control_parts *parts, char *error, size_t error_size);
void control_free(struct control *control); /* removes the socket */

/* A reload brought a new configuration; the socket stays where it is.  Borrowed. */
void control_set_config(struct control *control, const struct config *config);

/* A reload that nobody asked for through the socket (SIGHUP) is over.  faults: NULL if it was
 * done, else as reload gives them. */
void control_reloaded(struct control *control, const char *faults, uint64_t now);

/* After how many seconds without traffic a client is let go; 30 unless told (tests). */
void control_set_idle(struct control *control, double seconds);

/*
 * One request without a socket (tests, fuzzers): line without newline; may_change as the
 * caller's rights.  Returns the whole answer, owned by the caller.
 */
char *control_answer(const struct control_parts *parts, const char *line, size_t len,
    uint32_t uid, int may_change, uint64_t now, size_t *answer_len);

#endif
