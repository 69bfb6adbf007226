#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "exchange_rig.h"
#include "transfer/header.h"
#include "transfer/seal.h"

#define SOON 8000 /* ms: what takes milliseconds, on a busy machine */

/* Two sites; tokyo is the larger name and listens, osaka dials. */
struct pair {
	struct rig *osaka, *tokyo;
	uint16_t osaka_port, tokyo_port;
};

static struct rig_order
osaka_order(const struct pair *p)
{
	return (struct rig_order){.site = "osaka",
	    .authority = "main",
	    .port = p->osaka_port,
	    .transfer_port = p->osaka_port + 1,
	    .peers = {{"tokyo", p->tokyo_port, ""}}};
}

static struct rig_order
tokyo_order(const struct pair *p)
{
	return (struct rig_order){.site = "tokyo",
	    .authority = "main",
	    .port = p->tokyo_port,
	    .transfer_port = p->tokyo_port + 1,
	    .peers = {{"osaka", p->osaka_port, ""}}};
}

static void
pair_ports(struct pair *p)
{
	*p = (struct pair){0};
	p->osaka_port = rig_free_port();
	do
		p->tokyo_port = rig_free_port();
	while (p->tokyo_port == p->osaka_port);
}

static void
pair_start(struct pair *p)
{
	struct rig_order osaka, tokyo;

	pair_ports(p);
	osaka = osaka_order(p);
	tokyo = tokyo_order(p);
	p->tokyo = rig_new(&tokyo);
	p->osaka = rig_new(&osaka);
}

static void
pair_stop(struct pair *p)
{
	rig_free(p->osaka);
	rig_free(p->tokyo);
}

static bool
knows(const struct rig *r, const char *name)
{
	const struct site *s = rig_site(r, name);

	return s->session == SITE_SESSION && s->keys && s->services_count == 2 &&
	    s->services[0].reported;
}

static bool
both_up(void *arg)
{
	const struct pair *p = arg;

	return knows(p->osaka, "tokyo") && knows(p->tokyo, "osaka");
}

/* A packet sealed by one opens at the other, and for the right site. */
static void
check_keys(
    const struct rig *from, const char *to_name, const struct rig *to, const char *from_name)
{
	uint16_t to_site = (uint16_t)load_table_find_site(from->table, to_name);
	struct transfer_tx *tx = keyring_tx(from->keyring, to_site);
	const struct transfer_info info = {.service = 7, .relay_port = 0, .hops = 1};
	uint8_t datagram[256];
	struct transfer_header header;
	struct transfer_opened opened;
	struct transfer_rx *rx;
	struct addr address;
	uint16_t site;
	size_t len;

	assert_non_null(tx);
	len = transfer_seal(tx, TRANSFER_DATA, &info, (const uint8_t *)"client packet", 13,
	    NULL, 0, datagram, sizeof(datagram));
	assert_int_equal(len, TRANSFER_OVERHEAD + 13);
	assert_int_equal(transfer_header_decode(datagram, len, &header), DROP_none);
	rx = keyring_find(to->keyring, header.key_index, &site, &address);
	assert_non_null(rx);
	assert_int_equal(site, load_table_find_site(to->table, from_name));
	assert_true(addr_equal(&address, &rig_site(to, from_name)->transfer));
	assert_int_equal(
	    transfer_open(rx, &header, datagram, len, clock_now(), &opened), DROP_none);
	assert_int_equal(opened.info.service, 7);
	assert_int_equal(opened.inner_len, 13);
	assert_memory_equal(opened.inner, "client packet", 13);
}

static void
sessions_come_up(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	check_keys(p.osaka, "tokyo", p.tokyo, "osaka");
	check_keys(p.tokyo, "osaka", p.osaka, "tokyo");
	assert_int_equal(p.osaka->counters.counter[COUNTER_sessions_opened], 1);
	assert_int_equal(p.tokyo->counters.counter[COUNTER_sessions_opened], 1);
	assert_int_equal(p.tokyo->counters.counter[COUNTER_sessions_refused], 0);
	assert_true(p.tokyo->counters.counter[COUNTER_messages_in] >= 3);
	assert_true(p.tokyo->counters.counter[COUNTER_messages_out] >= 3);
	assert_int_equal(p.tokyo->counters.counter[COUNTER_messages_unknown], 0);
	pair_stop(&p);
}

static void
hello_tells_services(void **state)
{
	struct pair p;
	const struct site_service *s;
	struct ip v4, v6;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	assert_int_equal(ip_parse("203.0.113.1", &v4), 0);
	assert_int_equal(ip_parse("2001:db8::1", &v6), 0);
	s = &rig_site(p.osaka, "tokyo")->services[0];
	assert_string_equal(s->name, "web");
	assert_int_equal(s->local, load_table_find_service(p.osaka->table, "web"));
	assert_int_equal(s->number, load_table_find_service(p.tokyo->table, "web"));
	assert_int_equal(s->protocol, IPPROTO_TCP);
	assert_true(ip_equal(&s->v4, &v4));
	assert_true(ip_equal(&s->v6, &v6));
	assert_int_equal(s->ports_count, 2);
	assert_int_equal(s->ports[0], 80);
	assert_int_equal(s->ports[1], 443);
	s = &rig_site(p.osaka, "tokyo")->services[1];
	assert_string_equal(s->name, "only-tokyo");
	assert_int_equal(s->local, LOAD_NONE);
	assert_int_equal(s->protocol, IPPROTO_UDP);
	assert_true(ip_is_zero(&s->v6));
	pair_stop(&p);
}

static bool
load_arrived(void *arg)
{
	const struct pair *p = arg;

	return rig_site(p->osaka, "tokyo")->services[0].active == 4;
}

static bool
rtt_known(void *arg)
{
	const struct pair *p = arg;

	return rig_site(p->osaka, "tokyo")->rtt > 0 && rig_site(p->tokyo, "osaka")->rtt > 0;
}

static void
load_is_reported(void **state)
{
	struct pair p;
	uint32_t web, server;
	const struct site_service *s;
	uint64_t start;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	web = load_table_find_service(p.tokyo->table, "web");
	server = load_table_find_server(p.tokyo->table, web, "a");
	for (int i = 0; i < 4; i++)
		load_table_server_opened(p.tokyo->table, server);
	for (int i = 0; i < 3; i++)
		load_table_received_opened(p.tokyo->table,
		    load_table_find_site(p.tokyo->table, "osaka"), web, CLOCK_SECOND);
	start = clock_now();
	assert_true(rig_until(load_arrived, &p, SOON));
	s = &rig_site(p.osaka, "tokyo")->services[0];
	assert_int_equal(s->servers_up, 2);
	assert_int_equal(s->servers_not_high, 2);
	assert_int_equal(s->transferable, 46);
	assert_true(s->permitted);
	assert_int_equal(s->load, 80); /* 4 of 50 */
	assert_int_equal(s->held_from_us, 3);
	assert_true(s->received_at >= start - CLOCK_SECOND && s->received_at <= clock_now());
	assert_false(rig_site(p.osaka, "tokyo")->services[1].permitted);
	assert_true(rig_until(rtt_known, &p, SOON));
	assert_true(rig_site(p.osaka, "tokyo")->rtt < 1);
	pair_stop(&p);
}

static bool
tokyo_web_down(void *arg)
{
	const struct pair *p = arg;
	const struct site_service *s = &rig_site(p->osaka, "tokyo")->services[0];

	return s->servers_up == 0;
}

/* The interval is a minute, so only a report at once can tell it. */
static void
change_is_reported_at_once(void **state)
{
	struct pair p;
	struct rig_order osaka, tokyo;
	uint32_t web;
	uint64_t before;

	(void)state;
	pair_ports(&p);
	osaka = osaka_order(&p);
	tokyo = tokyo_order(&p);
	osaka.interval = tokyo.interval = 60;
	p.tokyo = rig_new(&tokyo);
	p.osaka = rig_new(&osaka);
	assert_true(rig_until(both_up, &p, SOON));
	web = load_table_find_service(p.tokyo->table, "web");
	before = p.tokyo->counters.counter[COUNTER_messages_out];
	for (int i = 0; i < 100; i++) {
		load_table_server_set_state(p.tokyo->table,
		    load_table_find_server(p.tokyo->table, web, i % 2 == 0 ? "a" : "b"),
		    SERVER_DOWN, "test", clock_now());
		exchange_changed(p.tokyo->exchange);
	}
	assert_true(rig_until(tokyo_web_down, &p, SOON));
	assert_false(rig_site(p.osaka, "tokyo")->services[0].permitted);
	assert_int_equal(rig_site(p.osaka, "tokyo")->services[0].load, 1000);
	assert_int_equal(p.tokyo->counters.counter[COUNTER_messages_out], before + 1);
	pair_stop(&p);
}

static bool
much_is_granted(void *arg)
{
	const struct pair *p = arg;

	return rig_site(p->osaka, "tokyo")->services[0].quota > 500;
}

/* Osaka reports that connections are short: what tokyo may be sent is told without waiting. */
static void
need_is_answered_at_once(void **state)
{
	struct pair p;
	struct rig_order osaka, tokyo;
	uint32_t server;

	(void)state;
	pair_ports(&p);
	osaka = osaka_order(&p);
	tokyo = tokyo_order(&p);
	osaka.interval = tokyo.interval = 60;
	p.tokyo = rig_new(&tokyo);
	p.osaka = rig_new(&osaka);
	assert_true(rig_until(both_up, &p, SOON));
	server = load_table_find_server(
	    p.osaka->table, load_table_find_service(p.osaka->table, "web"), "a");
	rig_until(rig_never, NULL, 600);
	assert_false(much_is_granted(&p));
	for (int i = 0; i < 3000; i++) {
		load_table_server_opened(p.osaka->table, server);
		load_table_server_closed(p.osaka->table, server);
	}
	exchange_changed(p.osaka->exchange);
	assert_true(rig_until(much_is_granted, &p, SOON));
	pair_stop(&p);
}

/* Changes all the time: ten reports a second and no more. */
struct nagging {
	struct pair *p;
	uint64_t until;
};

static bool
nag(void *arg)
{
	struct nagging *n = arg;

	exchange_changed(n->p->tokyo->exchange);
	return clock_now() >= n->until;
}

static void
changes_are_limited(void **state)
{
	struct pair p;
	struct nagging n = {.p = &p};
	uint64_t before, sent, start;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	before = p.tokyo->counters.counter[COUNTER_messages_out];
	start = clock_now();
	n.until = start + CLOCK_SECOND / 2;
	assert_true(rig_until(nag, &n, SOON));
	sent = p.tokyo->counters.counter[COUNTER_messages_out] - before;
	assert_in_range(sent, 2, (clock_now() - start) / (CLOCK_SECOND / 10) + 1);
	pair_stop(&p);
}

static bool
osaka_is_gone(void *arg)
{
	const struct pair *p = arg;
	const struct site *s = rig_site(p->tokyo, "osaka");

	return s->session == SITE_NO_SESSION;
}

static void
set_true(void *arg)
{
	*(bool *)arg = true;
}

static bool
is_true(void *arg)
{
	return *(bool *)arg;
}

static void
stop_says_bye(void **state)
{
	struct pair p;
	bool stopped = false;
	uint16_t osaka;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	osaka = (uint16_t)load_table_find_site(p.tokyo->table, "osaka");
	exchange_stop(p.osaka->exchange, set_true, &stopped);
	assert_false(stopped);
	assert_true(rig_until(is_true, &stopped, SOON));
	assert_true(rig_until(osaka_is_gone, &p, SOON));
	assert_false(rig_site(p.tokyo, "osaka")->keys);
	assert_null(keyring_tx(p.tokyo->keyring, osaka));
	assert_false(rig_site(p.tokyo, "osaka")->services[0].reported);
	assert_string_equal(rig_site(p.tokyo, "osaka")->last_error, "the peer stops");
	assert_int_equal(p.tokyo->counters.counter[COUNTER_sessions_lost], 1);
	rig_expect_log("session ended site=osaka", 0);
	pair_stop(&p);
}

/* Nobody to say BYE to. */
static void
stop_without_sessions(void **state)
{
	struct rig_order order = {.site = "osaka", .authority = "main", .port = rig_free_port()};
	struct rig *r = rig_new(&order);
	bool stopped = false;

	(void)state;
	exchange_stop(r->exchange, set_true, &stopped);
	assert_true(rig_until(is_true, &stopped, SOON));
	exchange_changed(r->exchange);
	rig_free(r);
}

struct stopping {
	struct rig *rig;
	bool done;
};

static void
free_when_stopped(void *arg)
{
	struct stopping *s = arg;

	exchange_free(s->rig->exchange);
	s->rig->exchange = NULL;
	s->done = true;
}

static bool
is_done(void *arg)
{
	return ((struct stopping *)arg)->done;
}

static void
freed_from_done(void **state)
{
	struct pair p;
	struct stopping s;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	s = (struct stopping){p.osaka, false};
	exchange_stop(p.osaka->exchange, free_when_stopped, &s);
	assert_true(rig_until(is_done, &s, SOON));
	assert_int_equal(rig_site(p.osaka, "tokyo")->session, SITE_NO_SESSION);
	pair_stop(&p);
}

/* Every key index is given back: a keyring of 4096 would run out else. */
static size_t
free_indexes(struct keyring *ring)
{
	static uint32_t taken[KEYRING_SLOTS];
	size_t n = 0;

	while (n < KEYRING_SLOTS && (taken[n] = keyring_reserve(ring)) != 0)
		n++;
	for (size_t i = 0; i < n; i++)
		keyring_remove(ring, taken[i]);
	return n;
}

/* The listener's site dies without BYE and comes again: the dialer finds it. */
static void
dialer_reconnects(void **state)
{
	struct pair p;
	struct rig_order tokyo;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	rig_free(p.tokyo);
	tokyo = tokyo_order(&p);
	p.tokyo = rig_new(&tokyo);
	assert_true(rig_until(both_up, &p, SOON));
	check_keys(p.osaka, "tokyo", p.tokyo, "osaka");
	check_keys(p.tokyo, "osaka", p.osaka, "tokyo");
	assert_int_equal(p.osaka->counters.counter[COUNTER_sessions_lost], 1);
	assert_int_equal(p.osaka->counters.counter[COUNTER_sessions_opened], 2);
	assert_int_equal(free_indexes(p.osaka->keyring), KEYRING_SLOTS - 1);
	pair_stop(&p);
}

/* The dialer starts before there is anybody to dial. */
static void
dialer_is_patient(void **state)
{
	struct pair p;
	struct rig_order osaka, tokyo;

	(void)state;
	pair_ports(&p);
	osaka = osaka_order(&p);
	tokyo = tokyo_order(&p);
	p.osaka = rig_new(&osaka);
	rig_expect_log("no session to peer, tries again site=tokyo", SOON);
	assert_string_equal(rig_site(p.osaka, "tokyo")->last_error, strerror(ECONNREFUSED));
	assert_int_equal(rig_site(p.osaka, "tokyo")->session, SITE_NO_SESSION);
	p.tokyo = rig_new(&tokyo);
	assert_true(rig_until(both_up, &p, SOON));
	assert_int_equal(p.osaka->counters.counter[COUNTER_sessions_refused], 0);
	pair_stop(&p);
}

struct replaced {
	struct pair *p;
	struct rig *old;
};

static bool
is_replaced(void *arg)
{
	const struct replaced *r = arg;

	return r->old->counters.counter[COUNTER_sessions_lost] == 1 && both_up(r->p);
}

/* The dialer's site is started a second time while its first session still lives. */
static void
new_session_replaces(void **state)
{
	struct pair p;
	struct replaced r = {.p = &p};
	struct rig_order osaka;

	(void)state;
	pair_start(&p);
	assert_true(rig_until(both_up, &p, SOON));
	r.old = p.osaka;
	osaka = osaka_order(&p);
	osaka.port = rig_free_port();
	p.osaka = rig_new(&osaka);
	assert_true(rig_until(is_replaced, &r, SOON));
	assert_string_equal(rig_site(r.old, "tokyo")->last_error, "replaced by a newer session");
	assert_int_equal(p.tokyo->counters.counter[COUNTER_sessions_opened], 2);
	rig_expect_log("replaces=yes", 0);
	rig_expect_log("does another daemon use the name of this site?", 0);
	check_keys(p.osaka, "tokyo", p.tokyo, "osaka");
	check_keys(p.tokyo, "osaka", p.osaka, "tokyo");
	/* what was sealed for the session before can still be opened, for a while */
	check_keys(r.old, "tokyo", p.tokyo, "osaka");
	assert_int_equal(free_indexes(p.tokyo->keyring), KEYRING_SLOTS - 2);
	rig_free(r.old);
	pair_stop(&p);
}

/* A site without a transfer socket: load is exchanged, no keys. */
static bool
session_without_keys(void *arg)
{
	const struct pair *p = arg;

	return rig_site(p->osaka, "tokyo")->session == SITE_SESSION &&
	    rig_site(p->osaka, "tokyo")->services_count == 2 &&
	    rig_site(p->osaka, "tokyo")->services[0].reported &&
	    rig_site(p->tokyo, "osaka")->services_count == 2 &&
	    rig_site(p->tokyo, "osaka")->services[0].reported;
}

static void
no_transfer_no_keys(void **state)
{
	struct pair p;
	struct rig_order osaka, tokyo;

	(void)state;
	pair_ports(&p);
	osaka = osaka_order(&p);
	tokyo = tokyo_order(&p);
	p.tokyo = rig_prepare(&tokyo);
	p.tokyo->config->transfer.listen.port = 0;
	rig_start(p.tokyo);
	p.osaka = rig_new(&osaka);
	assert_true(rig_until(session_without_keys, &p, SOON));
	assert_false(rig_site(p.osaka, "tokyo")->keys);
	assert_false(rig_site(p.tokyo, "osaka")->keys);
	assert_null(keyring_tx(p.osaka->keyring, 0));
	assert_null(keyring_tx(p.tokyo->keyring, 0));
	assert_int_equal(free_indexes(p.tokyo->keyring), KEYRING_SLOTS);
	pair_stop(&p);
}

static void
other_transfer_address_is_warned_of(void **state)
{
	struct pair p;
	struct rig_order osaka, tokyo;

	(void)state;
	pair_ports(&p);
	osaka = osaka_order(&p);
	tokyo = tokyo_order(&p);
	osaka.transfer_port = (uint16_t)(osaka.transfer_port + 1);
	p.tokyo = rig_new(&tokyo);
	p.osaka = rig_new(&osaka);
	assert_true(rig_until(both_up, &p, SOON));
	rig_expect_log("peer names another transfer address", 0);
	/* the configured one counts */
	check_keys(p.osaka, "tokyo", p.tokyo, "osaka");
	pair_stop(&p);
}

/* Three sites: each has two sessions. */
static bool
all_three(void *arg)
{
	struct rig **r = arg;
	static const char *const names[] = {"alpha", "beta", "gamma"};

	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			if (i != j && !knows(r[i], names[j]))
				return false;
	return true;
}

static void
three_sites(void **state)
{
	uint16_t port[3] = {rig_free_port(), 0, 0};
	struct rig *r[3];

	(void)state;
	do
		port[1] = rig_free_port();
	while (port[1] == port[0]);
	do
		port[2] = rig_free_port();
	while (port[2] == port[0] || port[2] == port[1]);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"alpha", "beta", "gamma"};
		int a = (i + 1) % 3, b = (i + 2) % 3;
		struct rig_order order = {.site = names[i],
		    .authority = "main",
		    .port = port[i],
		    .transfer_port = port[i] + 1,
		    .peers = {{names[a], port[a], ""}, {names[b], port[b], ""}}};

		r[i] = rig_new(&order);
	}
	assert_true(rig_until(all_three, r, SOON));
	check_keys(r[0], "gamma", r[2], "alpha");
	check_keys(r[2], "beta", r[1], "gamma");
	for (int i = 0; i < 3; i++)
		rig_free(r[i]);
}

/* ---- files ---- */

static void
files_are_checked(void **state)
{
	struct pair p;
	struct rig_order order;
	struct config *config;
	char error[1024];

	(void)state;
	pair_ports(&p);
	order = osaka_order(&p);
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), 0);
	config_free(config);

	order.certificate = "tokyo";
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "wladmctl cert site osaka"));
	config_free(config);

	order.certificate = "nobody";
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "load.certificate"));
	assert_non_null(strstr(error, "No such file"));
	config_free(config);

	order.certificate = NULL;
	order.own_authority = "other";
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "will refuse it"));
	config_free(config);

	order.authority = order.own_authority = "late";
	config = rig_config(&order);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "expired"));
	config_free(config);
}

static void
key_must_match(void **state)
{
	struct pair p;
	struct rig_order order;
	struct config *config;
	char error[1024];

	(void)state;
	pair_ports(&p);
	order = osaka_order(&p);
	config = rig_config(&order);
	free(config->load.key);
	config->load.key = xstrdup(rig_path("main", "tokyo.key"));
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "tokyo.key"));
	free(config->load.key);
	config->load.key = xstrdup(rig_path("main", "ca.crt"));
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	free(config->load.key);
	config->load.key = NULL;
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "load.key is not set"));
	config_free(config);
}

/* Tokyo's certificate is valid as long as its authority, 10 days, osaka's for one. */
static void
expiry_is_told(void **state)
{
	int64_t now = (int64_t)time(NULL), expiry;
	struct pair p;

	(void)state;
	pair_start(&p);
	expiry = exchange_certificate_expiry(p.tokyo->exchange);
	assert_in_range(expiry - now, 10 * RIG_DAY - 600, 10 * RIG_DAY + 1);
	expiry = exchange_certificate_expiry(p.osaka->exchange);
	assert_in_range(expiry - now, RIG_DAY - 600, RIG_DAY + 1);
	pair_stop(&p);
}

static void
open_key_is_warned_of(void **state)
{
	struct pair p;
	struct rig_order order;
	struct config *config;
	char error[1024];

	(void)state;
	pair_ports(&p);
	order = osaka_order(&p);
	config = rig_config(&order);
	assert_int_equal(chmod(config->load.key, 0640), 0);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), 0);
	assert_int_equal(chmod(config->load.key, 0600), 0);
	rig_expect_log("private key is open to others", 0);
	rig_forget_log(NULL);
	assert_int_equal(exchange_check_files(config, error, sizeof(error)), 0);
	assert_string_equal(rig_log, "");
	config_free(config);
}

static void
taken_port_is_told(void **state)
{
	struct pair p;
	struct rig_order order;
	struct rig *second;
	char error[1024];

	(void)state;
	pair_start(&p);
	order = osaka_order(&p);
	second = rig_prepare(&order);
	assert_null(exchange_new(&second->parts, error, sizeof(error)));
	assert_non_null(strstr(error, "load.listen: cannot listen on 127.0.0.1:"));
	assert_int_equal(free_indexes(second->keyring), KEYRING_SLOTS);
	rig_free(second);
	pair_stop(&p);
}

static int
setup(void **state)
{
	rig_setup(state);
	rig_authority("main");
	rig_authority("other");
	rig_authority("late");
	rig_certificate("main", "osaka", RIG_DAY);
	rig_certificate("main", "tokyo", 60 * RIG_DAY);
	rig_certificate("main", "alpha", RIG_DAY);
	rig_certificate("main", "beta", RIG_DAY);
	rig_certificate("main", "gamma", RIG_DAY);
	rig_certificate("other", "osaka", RIG_DAY);
	rig_certificate("late", "osaka", -60);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(sessions_come_up, rig_forget_log),
	    cmocka_unit_test_setup(hello_tells_services, rig_forget_log),
	    cmocka_unit_test_setup(load_is_reported, rig_forget_log),
	    cmocka_unit_test_setup(change_is_reported_at_once, rig_forget_log),
	    cmocka_unit_test_setup(need_is_answered_at_once, rig_forget_log),
	    cmocka_unit_test_setup(changes_are_limited, rig_forget_log),
	    cmocka_unit_test_setup(stop_says_bye, rig_forget_log),
	    cmocka_unit_test_setup(stop_without_sessions, rig_forget_log),
	    cmocka_unit_test_setup(freed_from_done, rig_forget_log),
	    cmocka_unit_test_setup(dialer_reconnects, rig_forget_log),
	    cmocka_unit_test_setup(dialer_is_patient, rig_forget_log),
	    cmocka_unit_test_setup(new_session_replaces, rig_forget_log),
	    cmocka_unit_test_setup(no_transfer_no_keys, rig_forget_log),
	    cmocka_unit_test_setup(other_transfer_address_is_warned_of, rig_forget_log),
	    cmocka_unit_test_setup(three_sites, rig_forget_log),
	    cmocka_unit_test_setup(files_are_checked, rig_forget_log),
	    cmocka_unit_test_setup(key_must_match, rig_forget_log),
	    cmocka_unit_test_setup(expiry_is_told, rig_forget_log),
	    cmocka_unit_test_setup(open_key_is_warned_of, rig_forget_log),
	    cmocka_unit_test_setup(taken_port_is_told, rig_forget_log),
	};

	return cmocka_run_group_tests_name("exchange", tests, setup, rig_teardown);
}
