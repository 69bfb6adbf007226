/*
 * raw_peer: the other end of a session, played by the test with OpenSSL alone: it says what the
 * test wants, at the time it wants, with any certificate, version and ALPN.
 */
#ifndef WLAD_TESTS_RAW_PEER_H
#define WLAD_TESTS_RAW_PEER_H

#include <errno.h>
#include <fcntl.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "exchange_rig.h"
#include "load/codec.h"

#define RAW_INPUT (1 << 20)

struct raw_order {
	uint16_t port;           /* to dial; 0: wait for raw_take() */
	const char *authority;   /* directory of the certificate; NULL: no certificate */
	const char *certificate; /* stem */
	const char *alpn;        /* in wire form; NULL: none */
	bool tls12;
	const char *from; /* address to dial from, or NULL */
	bool plain;       /* no TLS at all */
};

struct raw {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	bool server, secured, closed;
	bool deaf;           /* does not read */
	unsigned long error; /* of OpenSSL */
	uint8_t input[RAW_INPUT];
	size_t input_len, read_at; /* read_at: how far raw_message() has come */
};

static inline void
raw_context(struct raw *r, const struct raw_order *o)
{
	r->ctx = SSL_CTX_new(TLS_method());
	assert_non_null(r->ctx);
	SSL_CTX_set_options(r->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (o->tls12)
		SSL_CTX_set_max_proto_version(r->ctx, TLS1_2_VERSION);
	if (o->alpn != NULL)
		SSL_CTX_set_alpn_protos(
		    r->ctx, (const uint8_t *)o->alpn, (unsigned)strlen(o->alpn));
	if (o->authority != NULL) {
		char file[128];

		snprintf(file, sizeof(file), "%s.crt", o->certificate);
		assert_int_equal(
		    SSL_CTX_use_certificate_chain_file(r->ctx, rig_path(o->authority, file)), 1);
		snprintf(file, sizeof(file), "%s.key", o->certificate);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(
				     r->ctx, rig_path(o->authority, file), SSL_FILETYPE_PEM),
		    1);
	}
	r->ssl = SSL_new(r->ctx);
}

static inline int
raw_socket(uint16_t port, const char *from)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_storage ss;
	struct addr source = {.port = 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (from != NULL) {
		assert_int_equal(ip_parse(from, &source.ip), 0);
		assert_int_equal(
		    bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&source, &ss)), 0);
	}
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline struct raw *
raw_new(const struct raw_order *o)
{
	struct raw *r = calloc(1, sizeof(*r));

	r->fd = -1;
	if (!o->plain)
		raw_context(r, o);
	if (o->port == 0)
		return r;
	r->fd = raw_socket(o->port, o->from);
	if (r->ssl != NULL) {
		SSL_set_fd(r->ssl, r->fd);
		SSL_set_connect_state(r->ssl);
	}
	return r;
}

static inline int
raw_select_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
    unsigned in_len, void *arg)
{
	(void)ssl;
	(void)in_len;
	(void)arg;
	*out = in + 1;
	*out_len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

/* Becomes the listening end of a descriptor; takes any ALPN and asks for a certificate. */
static inline void
raw_take(struct raw *r, int fd)
{
	r->fd = fd;
	r->server = true;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	SSL_CTX_set_alpn_select_cb(r->ctx, raw_select_alpn, NULL);
	SSL_free(r->ssl);
	r->ssl = SSL_new(r->ctx);
	SSL_set_fd(r->ssl, fd);
	SSL_set_accept_state(r->ssl);
}

static inline void
raw_free(struct raw *r)
{
	if (r->fd != -1)
		close(r->fd);
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
	free(r);
}

static inline void
raw_fault(struct raw *r, int ret)
{
	int what = SSL_get_error(r->ssl, ret);

	if (what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE) {
		r->closed = true;
		if (r->error == 0)
			r->error = ERR_peek_last_error();
	}
	ERR_clear_error();
}

/* Goes on with the handshake, reads what is there. */
static inline void
raw_step(struct raw *r)
{
	int ret;

	ERR_clear_error();
	if (r->closed || r->fd == -1 || r->ssl == NULL)
		return;
	if (!r->secured) {
		ret = SSL_do_handshake(r->ssl);
		r->secured = ret == 1;
		if (ret != 1)
			raw_fault(r, ret);
		return;
	}
	while (!r->deaf && r->input_len < RAW_INPUT) {
		ret = SSL_read(r->ssl, r->input + r->input_len, (int)(RAW_INPUT - r->input_len));
		if (ret <= 0) {
			raw_fault(r, ret);
			return;
		}
		r->input_len += (size_t)ret;
	}
}

static inline bool
raw_is_secured(void *arg)
{
	struct raw *r = arg;

	raw_step(r);
	return r->secured || r->closed;
}

static inline bool
raw_is_closed(void *arg)
{
	raw_step(arg);
	return ((struct raw *)arg)->closed;
}

static inline void
raw_handshake(struct raw *r)
{
	assert_true(rig_until(raw_is_secured, r, 8000));
	assert_true(r->secured);
}

/* Writes all of it; the loop turns while the other end must read first. */
struct raw_output {
	struct raw *raw;
	const uint8_t *data;
	size_t len;
};

static inline bool
raw_write_some(void *arg)
{
	struct raw_output *o = arg;

	while (o->len > 0 && !o->raw->closed) {
		int chunk = o->len > 16384 ? 16384 : (int)o->len;
		int ret = SSL_write(o->raw->ssl, o->data, chunk);

		if (ret <= 0) {
			raw_fault(o->raw, ret);
			return o->raw->closed;
		}
		o->data += ret;
		o->len -= (size_t)ret;
	}
	return true;
}

static inline void
raw_write(struct raw *r, const void *data, size_t len)
{
	struct raw_output o = {r, data, len};

	assert_true(rig_until(raw_write_some, &o, 8000));
}

static inline void
raw_send(struct raw *r, struct codec_buffer *b)
{
	raw_write(r, b->data, b->len);
	codec_buffer_fini(b);
}

/* The next whole message that came; false if there is none yet. */
static inline bool
raw_message(struct raw *r, uint8_t *type, const uint8_t **body, uint32_t *len)
{
	size_t rest = r->input_len - r->read_at;

	if (codec_header(r->input + r->read_at, rest, type, len) != 1 ||
	    rest < CODEC_HEADER_LEN + *len)
		return false;
	*body = r->input + r->read_at + CODEC_HEADER_LEN;
	r->read_at += CODEC_HEADER_LEN + *len;
	return true;
}

/* Waits for a message of a type, skipping others. */
struct raw_wait {
	struct raw *raw;
	uint8_t type;
	const uint8_t *body;
	uint32_t len;
};

static inline bool
raw_has_message(void *arg)
{
	struct raw_wait *w = arg;
	uint8_t type;

	raw_step(w->raw);
	while (raw_message(w->raw, &type, &w->body, &w->len))
		if (type == w->type)
			return true;
	return w->raw->closed;
}

static inline bool
raw_expect(struct raw *r, enum message_type type, const uint8_t **body, uint32_t *len)
{
	struct raw_wait w = {.raw = r, .type = type};

	if (!rig_until(raw_has_message, &w, 8000) || (r->closed && w.body == NULL))
		return false;
	*body = w.body;
	*len = w.len;
	return true;
}

static inline enum bye_reason
raw_expect_bye(struct raw *r)
{
	enum bye_reason reason;
	const uint8_t *body;
	uint32_t len;

	if (!raw_expect(r, MESSAGE_BYE, &body, &len) || codec_decode_bye(body, len, &reason) != 0)
		return 0;
	return reason;
}

static inline struct hello
raw_hello_of(const char *site)
{
	struct hello hello = {.version = CODEC_VERSION,
	    .boot_id = 1,
	    .key_index = 4711,
	    .cipher = KEYS_AES_128_GCM,
	    .interval_ms = 100};

	snprintf(hello.site, sizeof(hello.site), "%s", site);
	return hello;
}

static inline void
raw_say_hello(struct raw *r, const struct hello *hello)
{
	struct codec_buffer b = {0};

	assert_int_equal(codec_encode_hello(&b, hello), 0);
	raw_send(r, &b);
}

#endif
