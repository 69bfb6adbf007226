#include "health/tls_client.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "health/probe.h"

struct tls_context {
	SSL_CTX *ctx; /* NULL: the file cannot be read */
	char *ca;
	LIST_ENTRY(tls_context) entry;
};

struct tls_contexts {
	LIST_HEAD(, tls_context) list;
};

struct tls_client {
	SSL *ssl;
	bool established;
	enum health_cause cause;
};

/* ---- contexts ---- */

/* NULL with a sentence in error. */
static SSL_CTX *
make_context(const char *ca, char *error, size_t size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const char *reason;

	ERR_clear_error();
	if (ctx == NULL) {
		snprintf(error, size, "no memory for TLS");
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
	/* who just closes has ended as well: what is missing then shows by itself */
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
	if (ca[0] == '\0')
		return ctx;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	errno = 0;
	if (SSL_CTX_load_verify_locations(ctx, ca, NULL) == 1)
		return ctx;
	reason = errno != 0 ? strerror(errno) : "no certificates in PEM are in it";
	snprintf(error, size, "%s: %s", ca, reason);
	ERR_clear_error();
	SSL_CTX_free(ctx);
	return NULL;
}

int
tls_context_check(const char *ca, char *error, size_t error_size)
{
	SSL_CTX *ctx = make_context(ca, error, error_size);

	SSL_CTX_free(ctx);
	return ctx != NULL ? 0 : -1;
}

struct tls_contexts *
tls_contexts_new(void)
{
	struct tls_contexts *contexts = xcalloc(1, sizeof(*contexts));

	LIST_INIT(&contexts->list);
	return contexts;
}

void
tls_contexts_free(struct tls_contexts *contexts)
{
	struct tls_context *context;

	if (contexts == NULL)
		return;
	while ((context = LIST_FIRST(&contexts->list)) != NULL) {
		LIST_REMOVE(context, entry);
		SSL_CTX_free(context->ctx);
		free(context->ca);
		free(context);
	}
	free(contexts);
}

static void
read_again(struct tls_context *context)
{
	char error[512];
	SSL_CTX *ctx = make_context(context->ca, error, sizeof(error));

	if (ctx == NULL) {
		log_warnx("authorities of checks not read reason=\"%s\"", error);
		return;
	}
	SSL_CTX_free(context->ctx);
	context->ctx = ctx;
}

struct tls_context *
tls_contexts_get(struct tls_contexts *contexts, const char *ca)
{
	struct tls_context *context;

	LIST_FOREACH(context, &contexts->list, entry)
	if (strcmp(context->ca, ca) == 0)
		return context;
	context = xcalloc(1, sizeof(*context));
	context->ca = xstrdup(ca);
	LIST_INSERT_HEAD(&contexts->list, context, entry);
	read_again(context);
	return context;
}

void
tls_contexts_reload(struct tls_contexts *contexts)
{
	struct tls_context *context;

	LIST_FOREACH(context, &contexts->list, entry)
	if (context->ca[0] != '\0' || context->ctx == NULL)
		read_again(context);
}

/* ---- clients ---- */

/* The host without a port, and an address without its brackets. */
static void
host_name(const char *host, char name[CONFIG_CHECK_TEXT])
{
	size_t len = host[0] == '[' ? strcspn(++host, "]") : strcspn(host, ":");

	/* an IPv6 address need not be in brackets where no port follows */
	if (host[len] == ':' && strchr(host + len + 1, ':') != NULL)
		len = strlen(host);
	snprintf(name, CONFIG_CHECK_TEXT, "%.*s", (int)len, host);
}

/* SNI is for names alone (RFC 6066, 3). */
static int
set_host(struct tls_client *client, const char *host)
{
	char name[CONFIG_CHECK_TEXT];
	struct ip ip;

	host_name(host, name);
	if (name[0] == '\0')
		return 0;
	if (ip_parse(name, &ip) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client->ssl), name) == 1
		    ? 0
		    : -1;
	if (SSL_set_tlsext_host_name(client->ssl, name) != 1 ||
	    SSL_set1_host(client->ssl, name) != 1)
		return -1;
	return 0;
}

struct tls_client *
tls_client_new(struct tls_context *context, int fd, const char *host, bool http)
{
	static const unsigned char http_1[] = "\x08http/1.1";
	struct tls_client *client;

	if (context->ctx == NULL)
		return NULL;
	client = xcalloc(1, sizeof(*client));
	client->ssl = SSL_new(context->ctx);
	if (client->ssl == NULL || SSL_set_fd(client->ssl, fd) != 1 ||
	    set_host(client, host) == -1 ||
	    (http && SSL_set_alpn_protos(client->ssl, http_1, sizeof(http_1) - 1) != 0)) {
		ERR_clear_error();
		tls_client_free(client);
		return NULL;
	}
	SSL_set_connect_state(client->ssl);
	return client;
}

void
tls_client_free(struct tls_client *client)
{
	if (client == NULL)
		return;
	ERR_clear_error();
	if (client->established && client->cause == HEALTH_none)
		SSL_shutdown(client->ssl);
	ERR_clear_error();
	SSL_free(client->ssl);
	free(client);
}

enum health_cause
tls_client_cause(const struct tls_client *client)
{
	return client->cause;
}

/* What is wrong with the server's certificate, or with the rest. */
static enum health_cause
judge(const struct tls_client *client)
{
	switch (SSL_get_verify_result(client->ssl)) {
	case X509_V_OK:
		return HEALTH_tls;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return HEALTH_certificate_dates;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return HEALTH_certificate_name;
	default:
		return HEALTH_certificate;
	}
}

/* What a call of OpenSSL that did not do it wants, or why it never will; error: errno after it. */
static ssize_t
result_of(struct tls_client *client, int done, int error)
{
	switch (SSL_get_error(client->ssl, done)) {
	case SSL_ERROR_WANT_READ:
		return TLS_CLIENT_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_CLIENT_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		if (error == 0)
			return 0;
		client->cause = error == EPIPE ? HEALTH_reset : probe_cause(error);
		return TLS_CLIENT_BROKEN;
	default:
		client->cause = judge(client);
		return TLS_CLIENT_BROKEN;
	}
}

ssize_t
tls_client_handshake(struct tls_client *client)
{
	ssize_t result;
	int done;

	ERR_clear_error();
	errno = 0;
	done = SSL_do_handshake(client->ssl);
	if (done == 1) {
		client->established = true;
		return 1;
	}
	result = result_of(client, done, errno);
	if (result == 0) {
		client->cause = HEALTH_closed;
		return TLS_CLIENT_BROKEN;
	}
	return result;
}

ssize_t
tls_client_read(struct tls_client *client, void *buf, size_t size)
{
	size_t len = 0;
	int done;

	ERR_clear_error();
	errno = 0;
	done = SSL_read_ex(client->ssl, buf, size, &len);
	return done == 1 ? (ssize_t)len : result_of(client, done, errno);
}

ssize_t
tls_client_write(struct tls_client *client, const void *data, size_t len)
{
	size_t sent = 0;
	int done;

	ERR_clear_error();
	errno = 0;
	done = SSL_write_ex(client->ssl, data, len, &sent);
	return done == 1 ? (ssize_t)sent : result_of(client, done, errno);
}
