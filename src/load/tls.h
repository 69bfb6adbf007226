/*
 * tls: what a session of the load exchange is made of below its messages: TLS 1.3, both ends with
 * certificates, verified for the site's name.
 *
 * No tickets, no resumption, no early data, no renegotiation; ALPN "wlad/1" is mandatory at both
 * ends.  The handshake lets any certificate pass (its owner's signature is checked): the
 * listener learns the site's name from HELLO, and a peer may be pinned by fingerprint.  So
 * tls_verify_peer() decides, at one place, before anything but HELLO is believed or said.
 * With exchange.c the only file of the load exchange that knows OpenSSL.
 */
#ifndef WLAD_LOAD_TLS_H
#define WLAD_LOAD_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transfer/keys.h"

struct bufferevent;
struct event_base;
struct ssl_st; /* OpenSSL's SSL */
struct tls;

/* Paths, PEM.  crl: lists of revoked certificates, or NULL. */
struct tls_files {
	const char *certificate, *key, *ca, *crl;
};

/*
 * Loads certificate (chain), key and authority, which must be there and match, and the revocation
 * lists.  Warns of a key that others may read.  NULL with a sentence in error.
 */
struct tls *tls_new(const struct tls_files *files, char *error, size_t error_size);
void tls_free(struct tls *tls); /* sessions made of it may go on */

/*
 * Is our own certificate good for this site: name, dates, chain to the authority, usage, not
 * revoked; and are the revocation lists those of the authority, and not out of date?  0, or -1
 * with a sentence that says what to do.
 */
int tls_check_own(const struct tls *tls, const char *site, char *error, size_t error_size);

/* When our certificate expires, seconds since 1970; 0 if that cannot be told. */
int64_t tls_expiry(const struct tls *tls);

/*
 * A buffered socket on a connected descriptor, which it owns, with the handshake begun.  NULL if
 * memory is short: then the descriptor is closed.
 */
struct bufferevent *tls_bufferevent(
    struct tls *tls, struct event_base *base, int fd, bool dialer);

/* The TLS session of a buffered socket, as long as that lives. */
struct ssl_st *tls_of(struct bufferevent *bev);

/* The reason of its last error; text is always written. */
void tls_error_text(struct bufferevent *bev, char *text, size_t size);

/* After the handshake: version, ALPN, a certificate is there.  0, or -1 with a reason. */
int tls_check_handshake(struct ssl_st *ssl, char *error, size_t error_size);

/*
 * Does the peer's certificate carry this site's name as DNS name (exactly; no wildcards, no common
 * name), and does it chain to the authority or, if a fingerprint is pinned (64 hexadecimal
 * digits; NULL: none), match that?  A pinned certificate needs no chain and no dates.  No
 * revocation list may name it, pinned or not.  0, or -1 with a reason.
 */
int tls_verify_peer(const struct tls *tls, struct ssl_st *ssl, const char *site,
    const char *fingerprint, char *error, size_t error_size);

/* True if a list names the peer's certificate, or one of its chain: asked again when there is a
 * new list. */
bool tls_is_revoked(const struct tls *tls, struct ssl_st *ssl);

/* SHA-256 of our certificate and of the peer's, as this session uses them.  0, or -1. */
int tls_digests(struct ssl_st *ssl, uint8_t own[KEYS_DIGEST_LEN], uint8_t peer[KEYS_DIGEST_LEN]);

/*
 * The secret of each direction (keys.h), from the TLS exporter: of what the dialer sends, and of what
 * the listener sends.  0, or -1.
 */
int tls_derive(struct ssl_st *ssl, const struct keys_context *context,
    uint8_t dialer[KEYS_SECRET_LEN], uint8_t listener[KEYS_SECRET_LEN]);

#endif
