#include "load/tls.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "load/tls_internal.h"

#define ALPN     "\x06wlad/1"
#define ALPN_LEN (sizeof(ALPN) - 1)

/* Writes "what: reason of the last OpenSSL error" and returns -1. */
static int
fail_openssl(char *error, size_t size, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	snprintf(error, size, "%s: %s", what, reason != NULL ? reason : "OpenSSL failed");
	ERR_clear_error();
	return -1;
}

/* ---- the context ---- */

/* Whether a certificate will do is decided by tls_verify_peer(), after HELLO. */
static int
verify_later(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

/* A key with a passphrase would ask for it on the terminal; a daemon has none. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len,
		(const unsigned char *)ALPN, ALPN_LEN, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

/* select_alpn() is not called for a client that offers no protocol at all. */
static int
require_alpn(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *data;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static int
set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_later);
	/* BYE tells that a session ends; a peer that just closes did not truncate anything */
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	SSL_CTX_set_client_hello_cb(ctx, require_alpn, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
		SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)ALPN, ALPN_LEN) == 0
	    ? 0
	    : -1;
}

static int
check_readable(const char *what, const char *path, char *error, size_t size)
{
	if (path == NULL) {
		snprintf(error, size,
		    "load.%s is not set; sessions to peers need certificate, key "
		    "and ca",
		    what);
		return -1;
	}
	if (access(path, R_OK) == 0)
		return 0;
	snprintf(error, size, "load.%s: %s: %s%s", what, path, strerror(errno),
	    errno == ENOENT && strcmp(what, "crl") != 0 ? "; make it with \"wladmctl cert\""
							: "");
	return -1;
}

static void
warn_key_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		log_warnx(
		    "private key is open to others, should have mode 0600 file=%s mode=%04o",
		    path, (unsigned)st.st_mode & 07777);
}

/*
 * Certificates that their authorities have revoked.  Each authority of a chain must have its list in
 * the file, and a list that has expired is none: who keeps new ones from us must not win by that.
 */
static int
load_crl(SSL_CTX *ctx, const char *crl, char *error, size_t size)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *lookup;

	if (crl == NULL)
		return 0;
	if (check_readable("crl", crl, error, size) != 0)
		return -1;
	lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (lookup == NULL || X509_load_crl_file(lookup, crl, X509_FILETYPE_PEM) < 1) {
		snprintf(
		    error, size, "load.crl: %s: is no certificate revocation list in PEM", crl);
		ERR_clear_error();
		return -1;
	}
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return 0;
}

static int
load_files(SSL_CTX *ctx, const struct tls_files *files, char *error, size_t size)
{
	if (check_readable("certificate", files->certificate, error, size) != 0 ||
	    check_readable("key", files->key, error, size) != 0 ||
	    check_readable("ca", files->ca, error, size) != 0)
		return -1;
	warn_key_mode(files->key);
	if (SSL_CTX_use_certificate_chain_file(ctx, files->certificate) != 1)
		return fail_openssl(error, size, files->certificate);
	if (SSL_CTX_load_verify_file(ctx, files->ca) != 1)
		return fail_openssl(error, size, files->ca);
	if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
		return fail_openssl(error, size, files->key);
	return load_crl(ctx, files->crl, error, size);
}

struct tls *
tls_new(const struct tls_files *files, char *error, size_t error_size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	struct tls *tls;

	ERR_clear_error();
	if (ctx == NULL || set_rules(ctx) != 0) {
		fail_openssl(error, error_size, "TLS");
		goto fail;
	}
	if (load_files(ctx, files, error, error_size) != 0)
		goto fail;
	tls = xcalloc(1, sizeof(*tls));
	tls->ctx = ctx;
	tls->certificate = xstrdup(files->certificate);
	tls->ca = xstrdup(files->ca);
	tls->crl = files->crl != NULL ? xstrdup(files->crl) : NULL;
	return tls;
fail:
	SSL_CTX_free(ctx);
	return NULL;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls->certificate);
	free(tls->ca);
	free(tls->crl);
	free(tls);
}

/* ---- a session ---- */

struct bufferevent *
tls_bufferevent(struct tls *tls, struct event_base *base, int fd, bool dialer)
{
	SSL *ssl = SSL_new(tls->ctx);
	struct bufferevent *bev = NULL;

	if (ssl != NULL)
		bev = bufferevent_openssl_socket_new(base, fd, ssl,
		    dialer ? BUFFEREVENT_SSL_CONNECTING : BUFFEREVENT_SSL_ACCEPTING,
		    BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		SSL_free(ssl);
		close(fd);
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

struct ssl_st *
tls_of(struct bufferevent *bev)
{
	return bufferevent_openssl_get_ssl(bev);
}

/* What OpenSSL calls the refusals of require_alpn() and select_alpn(). */
static bool
refused_alpn(unsigned long code)
{
	return ERR_GET_REASON(code) == SSL_R_CALLBACK_FAILED ||
	    ERR_GET_REASON(code) == SSL_R_NO_APPLICATION_PROTOCOL;
}

void
tls_error_text(struct bufferevent *bev, char *text, size_t size)
{
	int saved = errno;
	unsigned long code, first = 0;
	const char *reason;

	while ((code = bufferevent_get_openssl_error(bev)) != 0)
		if (first == 0)
			first = code;
	reason = first == 0 ? NULL : ERR_reason_error_string(first);
	if (first != 0 && refused_alpn(first))
		snprintf(text, size, "TLS: the peer does not offer wlad/1");
	else if (reason != NULL)
		snprintf(text, size, "TLS: %s", reason);
	else if (saved != 0 && saved != EAGAIN)
		snprintf(text, size, "%s", strerror(saved));
	else
		snprintf(text, size, "closed by the peer");
	ERR_clear_error();
}

int
tls_check_handshake(struct ssl_st *ssl, char *error, size_t error_size)
{
	const unsigned char *alpn;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	if (SSL_version(ssl) != TLS1_3_VERSION)
		snprintf(error, error_size, "TLS: not version 1.3");
	else if (len != ALPN_LEN - 1 || memcmp(alpn, &ALPN[1], len) != 0)
		snprintf(error, error_size, "TLS: the peer does not speak wlad/1");
	else if (SSL_get0_peer_certificate(ssl) == NULL)
		snprintf(error, error_size, "TLS: no certificate");
	else
		return 0;
	return -1;
}

int
tls_derive(struct ssl_st *ssl, const struct keys_context *context,
    uint8_t dialer[KEYS_SECRET_LEN], uint8_t listener[KEYS_SECRET_LEN])
{
	uint8_t encoded[KEYS_CONTEXT_MAX], secret[KEYS_SECRET_LEN];
	size_t len = keys_context_encode(context, encoded);
	int ret = -1;

	if (len != 0 &&
	    SSL_export_keying_material(ssl, secret, sizeof(secret), KEYS_LABEL,
		strlen(KEYS_LABEL), encoded, len, 1) == 1 &&
	    keys_expand_label(secret, "dialer", dialer, KEYS_SECRET_LEN) == 0 &&
	    keys_expand_label(secret, "listener", listener, KEYS_SECRET_LEN) == 0)
		ret = 0;
	OPENSSL_cleanse(secret, sizeof(secret));
	ERR_clear_error();
	return ret;
}
