/*
 * Sequences of messages, sessions and events through the load exchange: peering*.c and exchange*.c
 * as they are, between a loop, sessions and TLS that are none: time is a number, a timer runs
 * when the input says that time passes, and a session says whatever the input says.
 *
 * What must hold: nothing that comes stops us; ended is called once for each session; what the
 * packet path is told is within its bounds; every key and index is given back in the end.
 *
 * The input is a list of events: a number, then what the event needs (see events[]).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "load/exchange_internal.h"
#include "load/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSIONS_MAX 12
#define MESSAGES_MAX 400
#define PEERS        3

static void
check(int holds)
{
	if (!holds)
		abort();
}

/* ---- a loop without time of its own, in place of loop.c ---- */

struct loop_timer {
	struct loop_timer *next;
	loop_callback *callback;
	void *arg;
	uint64_t at; /* UINT64_MAX: not armed */
	bool freed;
};

struct loop {
	uint64_t now;
	struct loop_timer *timers;
};

static struct loop the_loop;

struct loop *
loop_new(void)
{
	return &the_loop;
}

void
loop_free(struct loop *loop)
{
	(void)loop;
}

struct event_base *
loop_base(struct loop *loop)
{
	(void)loop;
	return NULL;
}

void
loop_enter(struct loop *loop)
{
	(void)loop;
}

void
loop_leave(struct loop *loop)
{
	(void)loop;
}

uint64_t
loop_now(struct loop *loop)
{
	return loop->now;
}

void
loop_run(struct loop *loop)
{
	(void)loop;
}

void
loop_stop(struct loop *loop)
{
	(void)loop;
}

struct loop_fd *
loop_fd_add(
    struct loop *loop, int fd, bool read, bool write, loop_fd_callback *callback, void *arg)
{
	(void)loop;
	(void)fd;
	(void)read;
	(void)write;
	(void)callback;
	(void)arg;
	abort();
}

void
loop_fd_free(struct loop_fd *fd)
{
	(void)fd;
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_callback *callback, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));

	*t = (struct loop_timer){loop->timers, callback, arg, UINT64_MAX, false};
	loop->timers = t;
	return t;
}

void
loop_timer_set(struct loop_timer *timer, uint64_t delay)
{
	check(!timer->freed);
	timer->at = the_loop.now + delay;
}

void
loop_timer_cancel(struct loop_timer *timer)
{
	check(!timer->freed);
	timer->at = UINT64_MAX;
}

/* Its memory stays until the input ends: a callback may free its own timer. */
void
loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	check(!timer->freed);
	timer->freed = true;
	timer->at = UINT64_MAX;
}

struct loop_signal *
loop_signal_add(struct loop *loop, int signal, loop_callback *callback, void *arg)
{
	(void)loop;
	(void)signal;
	(void)callback;
	(void)arg;
	abort();
}

void
loop_signal_free(struct loop_signal *signal)
{
	(void)signal;
}

/* Calls back what is due, the earliest first; not for ever, if that makes more. */
static void
pass_time(uint64_t delta)
{
	uint64_t end = the_loop.now + delta;

	for (int i = 0; i < 300; i++) {
		struct loop_timer *due = NULL;

		for (struct loop_timer *t = the_loop.timers; t != NULL; t = t->next)
			if (t->at <= end && (due == NULL || t->at < due->at))
				due = t;
		if (due == NULL)
			break;
		if (due->at > the_loop.now)
			the_loop.now = due->at;
		due->at = UINT64_MAX;
		due->callback(due->arg, the_loop.now);
	}
	the_loop.now = end;
}

static void
free_timers(void)
{
	while (the_loop.timers != NULL) {
		struct loop_timer *t = the_loop.timers;

		check(t->freed);
		the_loop.timers = t->next;
		free(t);
	}
}

/* ---- sessions that nobody is at the other end of, in place of session.c ---- */

struct session {
	const struct session_handlers *handlers;
	void *arg;
	struct addr address;
	struct loop_timer *ending;
	bool dialled, open, established, finishing, over;
	size_t waiting;
};

static struct session *sessions[SESSIONS_MAX];

static size_t
count_sessions(void)
{
	size_t n = 0;

	for (size_t i = 0; i < SESSIONS_MAX; i++)
		n += sessions[i] != NULL;
	return n;
}

static void
on_ending(void *arg, uint64_t now)
{
	struct session *s = arg;

	(void)now;
	check(s->over);
	s->handlers->ended(s->arg, s, "ended");
	session_free(s);
}

static struct session *
session_new(
    const struct addr *to, const struct session_handlers *handlers, void *arg, bool dialled)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s;

		if (sessions[i] != NULL)
			continue;
		s = sessions[i] = xcalloc(1, sizeof(*s));
		s->handlers = handlers;
		s->arg = arg;
		s->address = *to;
		s->dialled = dialled;
		s->ending = loop_timer_new(&the_loop, on_ending, s);
		return s;
	}
	return NULL; /* no descriptor is left */
}

struct session *
session_dial(const struct session_parts *parts, const struct addr *to, const struct ip *from,
    const struct session_handlers *handlers, void *arg)
{
	(void)parts;
	(void)from;
	return session_new(to, handlers, arg, true);
}

struct session *
session_accept(const struct session_parts *parts, int fd, const struct addr *from,
    const struct session_handlers *handlers, void *arg)
{
	(void)parts;
	(void)fd;
	return session_new(from, handlers, arg, false);
}

void
session_established(struct session *s, uint64_t idle_ns)
{
	check(idle_ns > 0);
	s->established = true;
}

/* What we say must be messages that we would take ourselves. */
static void
check_messages(const struct codec_buffer *b, unsigned count)
{
	const uint8_t *at = b->data;
	size_t left = b->len;
	struct closed closed;
	struct hello hello;
	struct load_report report;
	uint8_t type;
	uint32_t len;

	while (count-- > 0) {
		check(codec_header(at, left, &type, &len) == 1 && left >= CODEC_HEADER_LEN + len);
		at += CODEC_HEADER_LEN;
		if (type == MESSAGE_HELLO) {
			check(codec_decode_hello(at, len, &hello) == 0);
			hello_fini(&hello);
		} else if (type == MESSAGE_LOAD) {
			check(codec_decode_load(at, len, &report) == 0);
			load_report_fini(&report);
		} else if (type == MESSAGE_CLOSED) {
			check(codec_decode_closed(at, len, &closed) == 0 && closed.count > 0);
			closed_fini(&closed);
		}
		at += len;
		left -= CODEC_HEADER_LEN + len;
	}
	check(left == 0);
}

void
session_send(struct session *s, const struct codec_buffer *message, unsigned count)
{
	if (!s->open || s->finishing)
		return;
	check_messages(message, count);
	s->waiting += message->len;
	if (s->waiting > SESSION_OUTPUT_MAX)
		session_close(s, "the peer does not read");
}

void
session_close(struct session *s, const char *format, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	if (s->over)
		return;
	s->over = true;
	s->open = false;
	loop_timer_set(s->ending, 0);
}

void
session_finish(struct session *s, const char *why)
{
	if (s->over || s->finishing)
		return;
	if (!s->open || s->waiting == 0) {
		session_close(s, "%s", why);
		return;
	}
	s->finishing = true;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i] == s)
			sessions[i] = NULL;
	loop_timer_free(s->ending);
	free(s);
}

size_t
session_waiting(const struct session *s)
{
	return s->waiting;
}

bool
session_is_open(const struct session *s)
{
	return s->open;
}

const struct addr *
session_address(const struct session *s)
{
	return &s->address;
}

struct ssl_st *
session_tls(struct session *s)
{
	return (struct ssl_st *)s;
}

/* ---- certificates that are as the input says, in place of tls*.c ---- */

struct tls {
	bool revokes;
};

static bool forged; /* the next who comes is not who it says */
static bool revoking;

struct tls *
tls_new(const struct tls_files *files, char *error, size_t error_size)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));

	(void)files;
	(void)error;
	(void)error_size;
	tls->revokes = revoking;
	return tls;
}

void
tls_free(struct tls *tls)
{
	free(tls);
}

int
tls_check_own(const struct tls *tls, const char *site, char *error, size_t error_size)
{
	(void)tls;
	(void)site;
	(void)error;
	(void)error_size;
	return 0;
}

int64_t
tls_expiry(const struct tls *tls)
{
	(void)tls;
	return INT64_MAX;
}

int
tls_verify_peer(const struct tls *tls, struct ssl_st *ssl, const char *site,
    const char *fingerprint, char *error, size_t error_size)
{
	(void)tls;
	(void)ssl;
	(void)site;
	(void)fingerprint;
	if (!forged)
		return 0;
	forged = false;
	snprintf(error, error_size, "forged");
	return -1;
}

bool
tls_is_revoked(const struct tls *tls, struct ssl_st *ssl)
{
	(void)ssl;
	return tls->revokes;
}

int
tls_digests(struct ssl_st *ssl, uint8_t own[KEYS_DIGEST_LEN], uint8_t peer[KEYS_DIGEST_LEN])
{
	(void)ssl;
	memset(own, 1, KEYS_DIGEST_LEN);
	memset(peer, 2, KEYS_DIGEST_LEN);
	return 0;
}

int
tls_derive(struct ssl_st *ssl, const struct keys_context *context,
    uint8_t dialer[KEYS_SECRET_LEN], uint8_t listener[KEYS_SECRET_LEN])
{
	uint8_t encoded[KEYS_CONTEXT_MAX];

	(void)ssl;
	check(keys_context_encode(context, encoded) > 0);
	check(keys_key_len(context->cipher) > 0);
	memset(dialer, 3, KEYS_SECRET_LEN);
	memset(listener, 4, KEYS_SECRET_LEN);
	return 0;
}

/* ---- the site under test ---- */

struct rig {
	int in_force; /* which of the configurations */
	struct load_table *table;
	struct keyring *keyring;
	struct counters counters;
	struct random random;
	struct exchange *exchange;
	size_t messages;
};

static struct rig rig;

static struct keyring *ring;

/* Read once; of both the text is the same. */
static struct config *configs[2];

static void
handle_closed(void *arg, uint32_t site, const struct connection_closed *entry)
{
	check(arg == &rig && site < load_table_sites(rig.table));
	check(entry->protocol == 6 || entry->protocol == 17);
	check(ip_is_v4(&entry->client.ip) == ip_is_v4(&entry->service.ip));
	/* what the datapath does in turn, for one in 16 */
	if (entry->seq % 16 == 0)
		exchange_closed(rig.exchange, site, entry);
}

static void
handle_probe_seen(void *arg, uint32_t site, uint64_t id)
{
	check(arg == &rig && site < load_table_sites(rig.table));
	exchange_probe_seen(rig.exchange, site, id);
}

static void
handle_forgotten(void *arg, uint32_t site)
{
	check(arg == &rig && site < load_table_sites(rig.table));
}

static const struct exchange_handlers handlers = {
    handle_closed, handle_probe_seen, handle_forgotten};

static void
on_changed(void *arg, enum load_change change, uint32_t number)
{
	(void)arg;
	if (rig.exchange != NULL && change == LOAD_CHANGE_SITE)
		exchange_site_changed(rig.exchange, number);
}

/* alpha and beta dial mike, who dials yankee. */
static const char text[] =
    "site = \"mike\"; services: ("
    "{ name = \"web\"; address = [ \"203.0.113.1\", \"2001:db8::1\" ]; ports = [ 80, 443 ];"
    "  servers: ( { name = \"a\"; address = \"10.0.0.1\"; },"
    "             { name = \"b\"; address = \"10.0.0.2\"; port = 8080; } ); } );"
    "transfer: { listen = \"192.0.2.1:7210\"; demand_port = 7211; };"
    "load: { listen = \"192.0.2.1:7210\"; certificate = \"/c\"; key = \"/k\"; ca = \"/a\";"
    "  crl = \"/r\"; };"
    "peers: ("
    "{ site = \"alpha\"; load = \"192.0.2.2:7210\"; transfer = \"192.0.2.2:7210\"; },"
    "{ site = \"beta\"; load = \"192.0.2.3:7210\"; transfer = \"192.0.2.3:7210\"; },"
    "{ site = \"yankee\"; load = \"192.0.2.4:7210\"; transfer = \"192.0.2.4:7210\"; } );";

static struct config *
read_config(void)
{
	struct config_faults faults;
	struct config *config = config_parse(text, "fuzz", &faults);

	check(config != NULL);
	config_faults_free(&faults);
	/* nobody can be dialled; who dials is made by an event */
	config->load.listen.port = 0;
	return config;
}

static void
rig_begin(void)
{
	struct exchange_parts parts = {.loop = &the_loop,
	    .table = (rig = (struct rig){0}, rig.table = load_table_new()),
	    .counters = &rig.counters,
	    .random = &rig.random,
	    .handlers = &handlers,
	    .handlers_arg = &rig};
	char error[256];

	the_loop = (struct loop){.now = 1000 * CLOCK_SECOND};
	forged = revoking = false;
	random_init(&rig.random, 1);
	for (int i = 0; i < 2; i++) {
		if (configs[i] == NULL)
			configs[i] = read_config();
		configs[i]->peers_count = PEERS;
		configs[i]->transfer.cipher = CONFIG_CIPHER_AUTO;
	}
	load_table_apply(rig.table, configs[0], the_loop.now);
	if (ring == NULL)
		ring = keyring_new(&rig.random);
	rig.keyring = ring;
	parts.config = configs[0];
	parts.keyring = rig.keyring;
	load_table_set_listener(rig.table, on_changed, NULL);
	rig.exchange = exchange_new(&parts, error, sizeof(error));
	check(rig.exchange != NULL);
}

/*
 * What was taken is given back.  The ring is that of all inputs, so that an index that is still
 * reserved is noticed later as well: to look for one takes longer than most inputs, and needs a new
 * ring.
 */
static void
check_keyring(void)
{
	static unsigned inputs;
	struct keyring_entry entry;
	uint32_t cursor = 0;

	check(!keyring_next(rig.keyring, &cursor, &entry));
	if (++inputs > 512 && inputs % 64 != 0)
		return;
	for (size_t i = 0; i < KEYRING_SLOTS; i++)
		check(keyring_reserve(rig.keyring) != 0);
	keyring_free(ring);
	ring = NULL;
}

static void
rig_end(void)
{
	struct exchange *x = rig.exchange;

	rig.exchange = NULL;
	exchange_free(x);
	check(count_sessions() == 0);
	check_keyring();
	load_table_free(rig.table);
	free_timers();
}

/* ---- events ---- */

struct input {
	const uint8_t *data;
	size_t len;
};

static uint8_t
take(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->data++;
}

static struct session *
take_session(struct input *in)
{
	return sessions[take(in) % SESSIONS_MAX];
}

static bool
is_live(const struct session *s)
{
	return s != NULL && s->open && !s->over && !s->finishing;
}

static void
event_time(struct input *in)
{
	static const uint64_t steps[] = {0, CLOCK_MILLISECOND, 50 * CLOCK_MILLISECOND,
	    100 * CLOCK_MILLISECOND, CLOCK_SECOND, 11 * CLOCK_SECOND, 700 * CLOCK_SECOND,
	    3700 * CLOCK_SECOND};

	pass_time(steps[take(in) % 8]);
}

static void
event_accept(struct input *in)
{
	struct addr from = {.port = 40000};
	struct peering *p;

	check(ip_parse("192.0.2.2", &from.ip) == 0);
	from.ip.octet[15] = take(in);
	p = peering_accept(&rig.exchange->parts, -1, &from, &exchange_peerings, rig.exchange);
	if (p != NULL)
		exchange_enter(rig.exchange, p);
}

static void
event_handshake(struct input *in)
{
	struct session *s = take_session(in);

	if (s == NULL || s->open || s->over || s->established)
		return;
	forged = take(in) % 16 == 1;
	s->open = true;
	s->handlers->opened(s->arg, s);
}

/* A message as it is in the input. */
static void
event_message(struct input *in)
{
	struct session *s = take_session(in);
	uint8_t type;
	uint32_t len;
	uint8_t *copy;

	if (codec_header(in->data, in->len, &type, &len) != 1 ||
	    in->len < CODEC_HEADER_LEN + (size_t)len || !is_live(s) ||
	    rig.messages++ > MESSAGES_MAX)
		return;
	copy = malloc(len > 0 ? len : 1); /* reading beyond it is seen */
	memcpy(copy, in->data + CODEC_HEADER_LEN, len);
	in->data += CODEC_HEADER_LEN + len;
	in->len -= CODEC_HEADER_LEN + (size_t)len;
	s->handlers->message(s->arg, s, type, copy, len);
	free(copy);
}

static void
say(struct session *s, struct codec_buffer *b)
{
	uint8_t type = 0;
	uint32_t len = 0;

	if (is_live(s)) {
		check(codec_header(b->data, b->len, &type, &len) == 1);
		s->handlers->message(s->arg, s, type, b->data + CODEC_HEADER_LEN, len);
	}
	codec_buffer_fini(b);
}

/* A HELLO that is right but for what the input says: so that what follows is reached. */
static void
event_hello(struct input *in)
{
	static const char *const names[] = {"alpha", "beta", "yankee", "alpha", "mike", "zulu"};
	static const uint8_t others[] = {KEYS_CHACHA20_POLY1305, KEYS_AES_128_GCM};
	struct session *s = take_session(in);
	uint16_t port = 80;
	struct addr server = {.port = take(in)};
	struct hello_service service = {.name = "web", .protocol = 6, .ports_count = 1};
	struct hello hello = {.version = 1, .services_count = 1, .ciphers_count = 2};
	struct codec_buffer b = {0};

	check(ip_parse("198.51.100.1", &service.v4) == 0);
	server.ip = service.v4;
	service.number = take(in);
	service.ports = &port;
	service.servers = &server;
	service.servers_count = 1;
	hello.services = &service;
	memcpy(hello.ciphers, others, sizeof(others));
	snprintf(hello.site, sizeof(hello.site), "%s", names[take(in) % 6]);
	hello.boot_id = take(in) % 4;
	hello.key_index = take(in) % 3 * 77;
	hello.cipher = take(in) % 5;
	check(codec_encode_hello(&b, &hello) == 0);
	say(s, &b);
}

static void
event_key_ready(struct input *in)
{
	struct session *s = take_session(in);
	struct codec_buffer b = {0};

	check(codec_encode_key_ready(&b, 77 + take(in) % 3 * 77) == 0);
	say(s, &b);
}

static void
event_bye(struct input *in)
{
	struct session *s = take_session(in);
	struct codec_buffer b = {0};

	check(codec_encode_bye(&b, (enum bye_reason)(1 + take(in) % 4)) == 0);
	say(s, &b);
}

/* All that waits has been read by the peer. */
static void
event_written(struct input *in)
{
	struct session *s = take_session(in);

	if (s == NULL)
		return;
	s->waiting = 0;
	if (s->finishing)
		session_close(s, "closed");
}

static void
event_lost(struct input *in)
{
	struct session *s = take_session(in);

	if (s != NULL)
		session_close(s, "closed by the peer");
}

static void
event_closed(struct input *in)
{
	struct connection_closed entry = {.protocol = 6};
	uint32_t site = take(in) % 4;
	unsigned count = 1u << take(in) % 14;

	check(ip_parse("192.0.2.9", &entry.client.ip) == 0);
	entry.service.ip = entry.client.ip;
	if (take(in) % 2 == 1)
		check(ip_parse("2001:db8::9", &entry.client.ip) == 0);
	for (unsigned i = 0; i < count; i++) {
		entry.seq = i;
		exchange_closed(rig.exchange, site, &entry);
	}
}

static void
event_path(struct input *in)
{
	uint32_t site = take(in) % 3;

	load_table_site_set_path(rig.table, site, (enum site_path)(take(in) % 3), the_loop.now);
	load_table_site_set_mtu(rig.table, site, 1280 + take(in));
	load_table_site_set_direct_out(rig.table, site, (enum site_direct)(take(in) % 3));
}

/* With other peers, certificates revoked, another cipher. */
static void
event_reload(struct input *in)
{
	int next = 1 - rig.in_force;
	struct config *config = configs[next];
	uint8_t how = take(in);
	char error[256];

	revoking = how % 4 == 3;
	config->transfer.cipher = (enum config_cipher)(how / 4 % 4);
	/* without yankee, the last one */
	config->peers_count = how / 16 % 4 == 1 ? PEERS - 1 : PEERS;
	load_table_apply(rig.table, config, the_loop.now);
	check(exchange_reload(rig.exchange, config, error, sizeof(error)) == 0);
	rig.in_force = next;
}

static void
event_changed(struct input *in)
{
	(void)in;
	exchange_changed(rig.exchange);
}

typedef void event(struct input *in);

static event *const events[] = {event_time, event_accept, event_handshake, event_message,
    event_hello, event_key_ready, event_bye, event_written, event_lost, event_closed,
    event_path, event_reload, event_changed};

static void
forget_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* A table of sites without a session has no report that counts. */
static void
check_table(void)
{
	for (uint32_t i = 0; i < load_table_sites(rig.table); i++) {
		const struct site *site = load_table_site(rig.table, i);
		bool has = keyring_tx(rig.keyring, (uint16_t)i) != NULL;

		check(site->keys == has);
		for (size_t j = 0; j < site->services_count; j++)
			check(!site->services[j].reported || site->session != SITE_NO_SESSION);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	log_set_hook(forget_line, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	rig_begin();
	for (int i = 0; in.len > 0 && i < 500; i++) {
		events[take(&in) % (sizeof(events) / sizeof(events[0]))](&in);
		check_table();
	}
	rig_end();
	return 0;
}
