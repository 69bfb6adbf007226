/*
 * session: one TLS session with another site: connecting, handshake, whole messages in and out,
 * limits of time and memory.
 *
 * Does not know what messages say (peering.c does).  A session has one owner, who is told
 * three things through session_handlers.  Whatever goes wrong, ended is called, once and
 * from the event loop itself, never from inside a call into the session; afterwards the
 * session is gone.
 */
#ifndef WLAD_LOAD_SESSION_H
#define WLAD_LOAD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/counters.h"
#include "load/codec.h"
#include "load/tls.h"
#include "loop.h"

/* From the first packet until session_established(), ns. */
#define SESSION_OPENING_NS (5 * UINT64_C(1000000000))

/* Octets that may wait to be sent; a peer that lets more wait does not read. */
#define SESSION_OUTPUT_MAX (1024 * 1024)

/* For the last message of a session to be sent, ns. */
#define SESSION_FINISH_NS (500 * UINT64_C(1000000))

struct session;

struct session_handlers {
	/* The TLS handshake is done; who the peer is has not been checked. */
	void (*opened)(void *arg, struct session *session);
	/* One whole message.  The body is valid during the call. */
	void (*message)(
	    void *arg, struct session *session, uint8_t type, const uint8_t *body, size_t len);
	/* The session is over and freed after the call.  why: a short text, valid during the call. */
	void (*ended)(void *arg, struct session *session, const char *why);
};

/* What sessions work with; borrowed. */
struct session_parts {
	struct loop *loop;
	struct tls *tls;
	struct counters *counters;
};

/*
 * Dials.  from: address to dial from (port ignored); zero: the system chooses.  NULL with errno if there
 * cannot even be a socket; what goes wrong later is told by ended.
 */
struct session *session_dial(const struct session_parts *parts, const struct addr *to,
    const struct ip *from, const struct session_handlers *handlers, void *arg);

/* Takes over an accepted descriptor.  NULL with errno: it is closed. */
struct session *session_accept(const struct session_parts *parts, int fd,
    const struct addr *from, const struct session_handlers *handlers, void *arg);

/* The peer is who it should be: the opening limit is lifted; from now on the session ends when no
 * message has come for idle_ns. */
void session_established(struct session *session, uint64_t idle_ns);

/*
 * Sends what an encoder has put into message: count whole messages.  Ends the session if the peer
 * does not read.
 */
void session_send(struct session *session, const struct codec_buffer *message, unsigned count);

/* Ends it now; nothing more is read or written.  The first reason counts. */
void session_close(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends it when what waits has been sent, or after SESSION_FINISH_NS.  What still comes in is ignored. */
void session_finish(struct session *session, const char *why);

/* Gone at once, ended is not called.  Not from inside a handler.  NULL is fine. */
void session_free(struct session *session);

/* Octets that wait to be sent. */
size_t session_waiting(const struct session *session);

bool session_is_open(const struct session *session); /* handshake done and not ended */
const struct addr *session_address(const struct session *session);
struct ssl_st *session_tls(struct session *session); /* once opened */

#endif
