/*
 * exchange_rig: sites with a load exchange in one process and one loop, for the tests of it.
 *
 * Each rig is what a daemon has (configuration, load table, keyring, counters, exchange) without the
 * packet path.  Certificates are made in a temporary directory by the functions of `wladmctl
 * cert`.  Nothing sleeps: rig_until() runs the loop until something is so.
 */
#ifndef WLAD_TESTS_EXCHANGE_RIG_H
#define WLAD_TESTS_EXCHANGE_RIG_H

#include <sys/socket.h>
#include <sys/stat.h>

#include <netinet/in.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fixture.h"
#include "load/exchange.h"
#include "loop.h"
#include "transfer/keyring.h"
#include "wladmctl/cert.h"

#define RIG_DAY 86400L

static struct loop *rig_loop;
static char rig_dir[] = "/tmp/wlad-exchange-XXXXXX";

/*
 * Ours instead of base/clock.c: so that each test begins a while after the one before, and the
 * log's rate limit does not hide what it expects.
 */
static uint64_t rig_clock_ahead;

uint64_t
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_SECOND + (uint64_t)ts.tv_nsec + rig_clock_ahead;
}

/* ---- files ---- */

static inline const char *
rig_path(const char *authority, const char *file)
{
	static char buffers[4][256];
	static unsigned turn;
	char *path = buffers[turn++ % 4];

	snprintf(path, 256, "%s/%s/%s", rig_dir, authority, file);
	return path;
}

/* A directory below the temporary one with an authority in it. */
static void
rig_authority(const char *authority)
{
	char dir[256], error[256];
	struct cert_order order = {.dir = dir, .name = authority, .valid = 10 * RIG_DAY};

	snprintf(dir, sizeof(dir), "%s/%s", rig_dir, authority);
	assert_int_equal(mkdir(dir, 0700), 0);
	if (cert_make_ca(&order, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static void
rig_certificate(const char *authority, const char *site, long valid)
{
	char dir[256], error[256];
	struct cert_order order = {.dir = dir, .name = site, .valid = valid};

	snprintf(dir, sizeof(dir), "%s/%s", rig_dir, authority);
	if (cert_make_site(&order, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static void
rig_remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[512];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && unlink(file) != 0)
			rig_remove_dir(file);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

/*
 * A TCP port that nobody has now.  Not one that the system gives to those who do not ask for a
 * certain one: somebody else could get it before it is used.
 */
static inline uint16_t
rig_free_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	uint16_t port;
	int fd, ret;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	do {
		random_system(&port, sizeof(port));
		port = 15000 + port % 15000;
		sin.sin_port = htons(port);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_true(fd >= 0);
		ret = bind(fd, (struct sockaddr *)&sin, sizeof(sin));
		close(fd);
	} while (ret != 0);
	return port;
}

/* ---- a site ---- */

struct rig_peer {
	const char *site;
	uint16_t port;           /* of its load exchange */
	const char *fingerprint; /* "": none */
};

struct rig_order {
	const char *site;
	const char *authority;     /* directory of ca.crt */
	const char *certificate;   /* stem of its files there; NULL: site */
	const char *own_authority; /* directory of its certificate; NULL: authority */
	uint16_t port;
	uint16_t transfer_port; /* 0: no transfer */
	double interval;        /* 0: 0.1 s */
	const char *cipher;     /* NULL: auto */
	const char *crl;        /* file in authority; NULL: none */
	struct rig_peer peers[3];
	bool coordinator; /* the role */
	bool accept_unknown;
	const char *report_to; /* as in the file; NULL: the default */
	struct rig_peer coordinators[2];
};

struct rig {
	struct config *config;
	struct load_table *table;
	struct keyring *keyring;
	struct counters counters;
	struct random random;
	struct exchange *exchange;
	struct exchange_parts parts;

	/* what the packet path was told */
	struct connection_closed *closed;
	size_t closed_count;
	uint64_t probe_ids[8];
	size_t probes_seen, forgotten;
	uint32_t told_of; /* the site of the last of these */
};

static size_t
rig_coordinators(const struct rig_order *o, char *text, size_t size)
{
	size_t len = 0;

	if (o->accept_unknown)
		len += (size_t)snprintf(text, size, "accept_unknown = true; ");
	if (o->report_to != NULL)
		len += (size_t)snprintf(text + len, size - len, "report_to = %s; ", o->report_to);
	len += (size_t)snprintf(text + len, size - len, "coordinators: (");
	for (size_t i = 0; i < 2 && o->coordinators[i].site != NULL; i++)
		len += (size_t)snprintf(text + len, size - len,
		    "%s{ site = \"%s\"; load = \"127.0.0.1:%u\"; fingerprint = \"%s\"; }",
		    i == 0 ? "" : ",", o->coordinators[i].site, o->coordinators[i].port,
		    o->coordinators[i].fingerprint != NULL ? o->coordinators[i].fingerprint : "");
	return len + (size_t)snprintf(text + len, size - len, "); ");
}

#define RIG_SERVICES \
	"services: (" \
	"{ name = \"web\"; address = [ \"203.0.113.1\", \"2001:db8::1\" ]; protocol = " \
	"\"tcp\";" \
	"  ports = [ 80, 443 ]; servers: (" \
	"  { name = \"a\"; address = \"10.0.0.1\"; max_connections = 20; }," \
	"  { name = \"b\"; address = \"10.0.0.2\"; max_connections = 30; } ); }," \
	"{ name = \"only-%s\"; address = \"203.0.113.9\"; protocol = \"udp\"; ports = [ 53 " \
	"];" \
	"  transfer = \"prohibit\"; servers: ( { name = \"d\"; address = \"10.0.0.3\"; } " \
	"); } );"

static struct config *
rig_config(const struct rig_order *o)
{
	char text[4096];
	const char *stem = o->certificate != NULL ? o->certificate : o->site;
	const char *own = o->own_authority != NULL ? o->own_authority : o->authority;
	size_t len;

	len = (size_t)snprintf(text, sizeof(text), "site = \"%s\"; ", o->site);
	if (o->coordinator)
		len +=
		    (size_t)snprintf(text + len, sizeof(text) - len, "role = \"coordinator\"; ");
	else
		len += (size_t)snprintf(text + len, sizeof(text) - len, RIG_SERVICES, o->site);
	len += (size_t)snprintf(text + len, sizeof(text) - len,
	    "load: { listen = \"127.0.0.1:%u\"; interval = %.3f;"
	    "  certificate = \"%s/%s/%s.crt\"; key = \"%s/%s/%s.key\"; ca = \"%s/%s/ca.crt\"; ",
	    o->port, o->interval > 0 ? o->interval : 0.1, rig_dir, own, stem, rig_dir, own,
	    stem, rig_dir, o->authority);
	len += rig_coordinators(o, text + len, sizeof(text) - len);
	if (o->crl != NULL)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "crl = \"%s/%s/%s\"; ",
		    rig_dir, o->authority, o->crl);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "};");
	if (o->transfer_port != 0)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "transfer: { listen = \"127.0.0.1:%u\"; cipher = \"%s\"; };",
		    o->transfer_port, o->cipher != NULL ? o->cipher : "auto");
	len += (size_t)snprintf(text + len, sizeof(text) - len, "peers: (");
	for (size_t i = 0; i < 3 && o->peers[i].site != NULL; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%s{ site = \"%s\"; load = \"127.0.0.1:%u\"; transfer = \"127.0.0.1:%u\";"
		    " fingerprint = \"%s\"; }",
		    i == 0 ? "" : ",", o->peers[i].site, o->peers[i].port, o->peers[i].port + 1u,
		    o->peers[i].fingerprint != NULL ? o->peers[i].fingerprint : "");
	snprintf(text + len, sizeof(text) - len, ");");
	return fixture_config(text);
}

static void
rig_start(struct rig *r)
{
	char error[512];

	r->exchange = exchange_new(&r->parts, error, sizeof(error));
	if (r->exchange == NULL)
		fail_msg("%s", error);
}

/* ---- what the packet path is told ---- */

static inline void
rig_on_closed(void *arg, uint32_t site, const struct connection_closed *entry)
{
	struct rig *r = arg;

	if ((r->closed_count & (r->closed_count - 1)) == 0)
		r->closed = xrealloc_array(r->closed,
		    r->closed_count == 0 ? 1 : 2 * r->closed_count, sizeof(r->closed[0]));
	r->closed[r->closed_count++] = *entry;
	r->told_of = site;
}

static inline void
rig_on_probe_seen(void *arg, uint32_t site, uint64_t id)
{
	struct rig *r = arg;

	r->probe_ids[r->probes_seen++ % 8] = id;
	r->told_of = site;
}

static inline void
rig_on_forgotten(void *arg, uint32_t site)
{
	struct rig *r = arg;

	r->forgotten++;
	r->told_of = site;
}

static const struct exchange_handlers rig_handlers = {
    rig_on_closed, rig_on_probe_seen, rig_on_forgotten};

static struct rig *
rig_prepare(const struct rig_order *order)
{
	struct rig *r = xcalloc(1, sizeof(*r));

	r->config = rig_config(order);
	random_init(&r->random, clock_now());
	r->table = load_table_new();
	load_table_apply(r->table, r->config, clock_now());
	fixture_all_up(r->table);
	r->keyring = keyring_new(&r->random);
	r->parts = (struct exchange_parts){rig_loop, r->config, r->table, r->keyring,
	    &r->counters, &r->random, &rig_handlers, r};
	return r;
}

static inline struct rig *
rig_new(const struct rig_order *order)
{
	struct rig *r = rig_prepare(order);

	rig_start(r);
	return r;
}

static inline void
rig_free(struct rig *r)
{
	exchange_free(r->exchange);
	keyring_free(r->keyring);
	load_table_free(r->table);
	config_free(r->config);
	free(r->closed);
	free(r);
}

static inline struct site *
rig_site(const struct rig *r, const char *name)
{
	uint32_t number = load_table_find_site(r->table, name);

	assert_int_not_equal(number, LOAD_NONE);
	return load_table_site(r->table, number);
}

/* ---- the loop ---- */

typedef bool rig_condition(void *arg);

struct rig_wait {
	rig_condition *condition;
	void *arg;
	struct loop_timer *timer;
	uint64_t until;
	bool reached;
};

static void
rig_look(void *arg, uint64_t now)
{
	struct rig_wait *w = arg;

	w->reached = w->condition(w->arg);
	if (w->reached || now >= w->until)
		loop_stop(rig_loop);
	else
		loop_timer_set(w->timer, CLOCK_MILLISECOND);
}

/* Runs the loop until the condition holds.  False if it does not within ms. */
static bool
rig_until(rig_condition *condition, void *arg, unsigned ms)
{
	struct rig_wait w = {.condition = condition, .arg = arg};

	w.until = clock_now() + ms * CLOCK_MILLISECOND;
	w.timer = loop_timer_new(rig_loop, rig_look, &w);
	loop_timer_set(w.timer, 0);
	loop_run(rig_loop);
	loop_timer_free(w.timer);
	return w.reached;
}

static inline bool
rig_never(void *arg)
{
	(void)arg;
	return false;
}

/* ---- the log: whether a line said something ---- */

static char rig_log[65536];

static void
rig_log_hook(void *arg, enum log_level level, const char *line)
{
	size_t len = strlen(rig_log);

	(void)arg;
	(void)level;
	snprintf(rig_log + len, sizeof(rig_log) - len, "%s\n", line);
}

static inline bool
rig_logged(void *text)
{
	return strstr(rig_log, text) != NULL;
}

/* Runs until the text is in the log of this test. */
static inline void
rig_expect_log(const char *text, unsigned ms)
{
	if (!rig_until(rig_logged, (void *)(uintptr_t)text, ms))
		fail_msg("\"%s\" was not logged, but:\n%s", text, rig_log);
}

static inline int
rig_forget_log(void **state)
{
	(void)state;
	rig_log[0] = '\0';
	rig_clock_ahead += 20 * CLOCK_SECOND;
	return 0;
}

static int
rig_setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(rig_dir));
	log_set_hook(rig_log_hook, NULL);
	rig_loop = loop_new();
	return 0;
}

static int
rig_teardown(void **state)
{
	(void)state;
	loop_free(rig_loop);
	rig_remove_dir(rig_dir);
	return 0;
}

#endif
