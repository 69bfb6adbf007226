/*
 * Probes over TLS, tls and https, against a server in this process, with certificates of all kinds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "health/probe.h"
#include "health/tls_client.h"
#include "wladmctl/cert.h"

#define DAY 86400

struct rig {
	struct loop *loop;
	struct tls_contexts *contexts;
	struct config_check check;
	struct addr to;
	int listener, client;
	struct loop_fd *accepting, *serving;

	/* what the server does */
	const char *certificate; /* its name below the directory */
	const char *answer;
	bool mute;  /* never answers the handshake */
	bool plain; /* answers without TLS */
	bool hangs_up;
	SSL_CTX *ctx;
	SSL *ssl;
	char request[600], sni[64];

	struct probe_result result;
	int calls;
};

static char directory[64];

static const char *
path(const char *file)
{
	static char text[2][200];
	static int turn;

	turn = !turn;
	snprintf(text[turn], sizeof(text[turn]), "%s/%s", directory, file);
	return text[turn];
}

static void
make_certificates(void)
{
	static const struct {
		const char *name;
		long valid;
	} sites[] = {{"www.lab", 2 * DAY}, {"old.lab", -1}};
	char error[256], other[80];
	struct cert_order order = {.dir = directory, .name = "authority", .valid = 2 * DAY};

	assert_int_equal(cert_make_ca(&order, error, sizeof(error)), 0);
	for (size_t i = 0; i < 2; i++) {
		order.name = sites[i].name;
		order.valid = sites[i].valid;
		assert_int_equal(cert_make_site(&order, error, sizeof(error)), 0);
	}
	snprintf(other, sizeof(other), "%s/other", directory);
	assert_int_equal(mkdir(other, 0700), 0);
	order = (struct cert_order){.dir = other, .name = "stranger", .valid = 2 * DAY};
	assert_int_equal(cert_make_ca(&order, error, sizeof(error)), 0);
}

static int
group_setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	snprintf(directory, sizeof(directory), "/tmp/wlad-tls-XXXXXX");
	assert_non_null(mkdtemp(directory));
	make_certificates();
	return 0;
}

static int
group_teardown(void **state)
{
	static const char *const files[] = {"ca.crt", "ca.key", "www.lab.crt", "www.lab.key",
	    "old.lab.crt", "old.lab.key", "other/ca.crt", "other/ca.key"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(path(files[i]));
	rmdir(path("other"));
	return rmdir(directory);
}

static void
on_done(void *arg, const struct probe_result *result, uint64_t now)
{
	struct rig *r = arg;

	(void)now;
	r->result = *result;
	r->calls++;
	loop_stop(r->loop);
}

static void
hang_up(struct rig *r)
{
	loop_fd_free(r->serving);
	r->serving = NULL;
	SSL_free(r->ssl);
	r->ssl = NULL;
	if (r->client != -1)
		close(r->client);
	r->client = -1;
}

static void
on_serving(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;
	const char *sni;
	size_t used = strlen(r->request);
	int n;

	(void)fd;
	(void)readable;
	(void)writable;
	(void)now;
	ERR_clear_error();
	n = SSL_read(r->ssl, r->request + used, (int)(sizeof(r->request) - 1 - used));
	sni = SSL_get_servername(r->ssl, TLSEXT_NAMETYPE_host_name);
	snprintf(r->sni, sizeof(r->sni), "%s", sni != NULL ? sni : "");
	if (n > 0 && strstr(r->request, "\r\n\r\n") != NULL && r->answer != NULL) {
		SSL_write(r->ssl, r->answer, (int)strlen(r->answer));
		SSL_shutdown(r->ssl);
		hang_up(r);
	} else if (n <= 0 && SSL_get_error(r->ssl, n) != SSL_ERROR_WANT_READ) {
		hang_up(r);
	}
}

static void
on_connection(void *arg, int fd, bool readable, bool writable, uint64_t now)
{
	struct rig *r = arg;

	(void)readable;
	(void)writable;
	(void)now;
	hang_up(r);
	r->client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_not_equal(r->client, -1);
	memset(r->request, 0, sizeof(r->request));
	if (r->plain)
		assert_int_equal(write(r->client, "HTTP/1.1 400 Bad\r\n\r\n", 20), 20);
	if (r->hangs_up)
		hang_up(r);
	if (r->mute || r->plain || r->hangs_up)
		return;
	r->ssl = SSL_new(r->ctx);
	SSL_set_fd(r->ssl, r->client);
	SSL_set_accept_state(r->ssl);
	r->serving = loop_fd_add(r->loop, r->client, true, false, on_serving, r);
}

static void
serve(struct rig *r)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(r->listener, 10), 0);
	assert_int_equal(getsockname(r->listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&at, &r->to), 0);
	r->accepting = loop_fd_add(r->loop, r->listener, true, false, on_connection, r);
}

static void
use_certificate(struct rig *r, const char *name)
{
	char file[80];

	snprintf(file, sizeof(file), "%s.crt", name);
	assert_int_equal(SSL_CTX_use_certificate_file(r->ctx, path(file), SSL_FILETYPE_PEM), 1);
	snprintf(file, sizeof(file), "%s.key", name);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(r->ctx, path(file), SSL_FILETYPE_PEM), 1);
}

static int
setup(void **state)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.client = -1;
	r.loop = loop_new();
	r.contexts = tls_contexts_new();
	r.check = (struct config_check){.type = CONFIG_CHECK_TLS, .timeout = 5};
	strcpy(r.check.path, "/");
	assert_int_equal(statuses_parse("200", &r.check.status), 0);
	r.answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well";
	r.ctx = SSL_CTX_new(TLS_server_method());
	assert_non_null(r.ctx);
	use_certificate(&r, "www.lab");
	serve(&r);
	log_set_level(LOG_LEVEL_ERROR);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	hang_up(r);
	loop_fd_free(r->accepting);
	close(r->listener);
	SSL_CTX_free(r->ctx);
	tls_contexts_free(r->contexts);
	loop_free(r->loop);
	return 0;
}

static void
set_ca(struct rig *r, const char *file)
{
	snprintf(r->check.ca, sizeof(r->check.ca), "%s", path(file));
}

static void
probe(struct rig *r, enum health_cause cause, unsigned status)
{
	struct probe_request request = {.loop = r->loop,
	    .to = r->to,
	    .check = &r->check,
	    .tls = tls_contexts_get(r->contexts, r->check.ca),
	    .done = on_done,
	    .arg = r};

	r->calls = 0;
	probe_start(&request);
	assert_int_equal(r->calls, 0); /* not from within */
	loop_run(r->loop);
	assert_int_equal(r->calls, 1);
	assert_string_equal(health_cause_text(r->result.cause), health_cause_text(cause));
	assert_int_equal(r->result.status, status);
}

static void
test_handshake(void **state)
{
	struct rig *r = *state;

	probe(r, HEALTH_none, 0);
	use_certificate(r, "old.lab"); /* nobody looks at it */
	probe(r, HEALTH_none, 0);
}

static void
test_verify(void **state)
{
	struct rig *r = *state;

	set_ca(r, "ca.crt");
	probe(r, HEALTH_none, 0);
	strcpy(r->check.host, "www.lab");
	probe(r, HEALTH_none, 0);
	strcpy(r->check.host, "www.lab:8443");
	probe(r, HEALTH_none, 0);
	strcpy(r->check.host, "mail.lab");
	probe(r, HEALTH_certificate_name, 0);
	strcpy(r->check.host, "192.0.2.1");
	probe(r, HEALTH_certificate_name, 0);
	strcpy(r->check.host, "[2001:db8::1]:8443");
	probe(r, HEALTH_certificate_name, 0);
	r->check.host[0] = '\0';
	use_certificate(r, "old.lab");
	probe(r, HEALTH_certificate_dates, 0);
	use_certificate(r, "www.lab");
	set_ca(r, "other/ca.crt");
	probe(r, HEALTH_certificate, 0);
}

/* A file that cannot be read is no verdict; it is read again on a reload. */
static void
test_authorities(void **state)
{
	struct rig *r = *state;
	char error[300], file[200];

	snprintf(file, sizeof(file), "%s", path("later.crt"));
	strcpy(r->check.ca, file);
	probe(r, HEALTH_authorities, 0);
	assert_int_equal(tls_context_check(file, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "later.crt: No such file"));
	assert_int_equal(symlink(path("ca.crt"), file), 0);
	probe(r, HEALTH_authorities, 0);
	tls_contexts_reload(r->contexts);
	probe(r, HEALTH_none, 0);
	unlink(file);
	tls_contexts_reload(r->contexts); /* what was read stays */
	probe(r, HEALTH_none, 0);
	assert_int_equal(tls_context_check(path("ca.key"), error, sizeof(error)), -1);
	assert_non_null(strstr(error, "ca.key: "));
	assert_int_equal(tls_context_check(path("ca.crt"), error, sizeof(error)), 0);
}

static void
test_https(void **state)
{
	struct rig *r = *state;

	r->check.type = CONFIG_CHECK_HTTPS;
	probe(r, HEALTH_none, 200);
	assert_string_equal(r->sni, "");
	strcpy(r->check.host, "www.lab:8443");
	assert_int_equal(octets_parse("is well", &r->check.expect), 0);
	probe(r, HEALTH_none, 200);
	assert_string_equal(r->sni, "www.lab");
	assert_non_null(strstr(r->request, "\r\nHost: www.lab:8443\r\n"));
	assert_int_equal(octets_parse("is ill", &r->check.expect), 0);
	probe(r, HEALTH_unexpected, 200);
	r->answer = "HTTP/1.1 503 Busy\r\n\r\n";
	probe(r, HEALTH_status, 503);
	r->answer = "";
	probe(r, HEALTH_closed, 0);
	r->answer = "220 mail\r\n";
	probe(r, HEALTH_not_http, 0);
}

/* A body of many records, and of a server that just closes. */
static void
test_large_body(void **state)
{
	struct rig *r = *state;
	static char answer[60000];
	size_t len;

	r->check.type = CONFIG_CHECK_HTTPS;
	len = (size_t)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n\r\n");
	memset(answer + len, 'a', sizeof(answer) - len);
	strcpy(answer + sizeof(answer) - 4, "end");
	r->answer = answer;
	assert_int_equal(octets_parse("end", &r->check.expect), 0);
	probe(r, HEALTH_none, 200);
	assert_int_equal(octets_parse("End", &r->check.expect), 0);
	probe(r, HEALTH_unexpected, 200);
}

static void
test_no_tls(void **state)
{
	struct rig *r = *state;

	r->plain = true;
	probe(r, HEALTH_tls, 0);
	r->plain = false;
	r->hangs_up = true;
	probe(r, HEALTH_closed, 0);
	r->hangs_up = false;
	r->mute = true;
	r->check.timeout = 0.1;
	probe(r, HEALTH_silent, 0);
}

/* Nothing in common. */
static void
test_versions(void **state)
{
	struct rig *r = *state;

	SSL_CTX_set_min_proto_version(r->ctx, TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(r->ctx, TLS1_2_VERSION);
	probe(r, HEALTH_none, 0);
	assert_int_equal(SSL_CTX_set_cipher_list(r->ctx, "ECDHE-RSA-AES128-SHA256"), 1);
	probe(r, HEALTH_tls, 0); /* with a certificate that is not of RSA */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_handshake),
	    TEST(test_verify),
	    TEST(test_authorities),
	    TEST(test_https),
	    TEST(test_large_body),
	    TEST(test_no_tls),
	    TEST(test_versions),
	};

	return cmocka_run_group_tests_name("probe_tls", tests, group_setup, group_teardown);
}
