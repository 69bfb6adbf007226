/*
 * tls_client: our end of the TLS connection of a check; the only file of health/ that knows
 * OpenSSL.
 *
 * A context holds the authorities of one file, or none: then any certificate will do.  Contexts are
 * shared by all checks that name the same file, and read it again on a reload.
 */
#ifndef WLAD_HEALTH_TLS_CLIENT_H
#define WLAD_HEALTH_TLS_CLIENT_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "health/health.h"

struct tls_client;
struct tls_context;
struct tls_contexts;

struct tls_contexts *tls_contexts_new(void);
void tls_contexts_free(struct tls_contexts *contexts); /* clients made of them may go on */

/* The context for authorities in that file; "": none.  Never NULL, lives as long as contexts. */
struct tls_context *tls_contexts_get(struct tls_contexts *contexts, const char *ca);

/* Reads all files again.  What cannot be read stays as it is, with a warning. */
void tls_contexts_reload(struct tls_contexts *contexts);

/* Whether there are authorities in that file.  0, or -1 with a sentence in error. */
int tls_context_check(const char *ca, char *error, size_t error_size);

/* Other results than a count of octets; 0 is the end that the server has declared. */
#define TLS_CLIENT_BROKEN     (-1) /* tls_client_cause() says why */
#define TLS_CLIENT_WANT_READ  (-2)
#define TLS_CLIENT_WANT_WRITE (-3)

/*
 * On a connected descriptor that stays the caller's.  host: whom the server is asked to be, and,
 * with authorities, has to be ("www.example.net:8443", an address, or "": whoever); http: it is to
 * speak HTTP/1.  NULL: the context's file could not be read, or there is no memory.
 */
struct tls_client *tls_client_new(
    struct tls_context *context, int fd, const char *host, bool http);

/* Says goodbye, as far as that does not block.  NULL is fine. */
void tls_client_free(struct tls_client *client);

/* 1 when it is through. */
ssize_t tls_client_handshake(struct tls_client *client);
ssize_t tls_client_read(struct tls_client *client, void *buf, size_t size);
ssize_t tls_client_write(struct tls_client *client, const void *data, size_t len);
enum health_cause tls_client_cause(const struct tls_client *client);

#endif
