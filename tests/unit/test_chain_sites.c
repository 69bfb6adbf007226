/*
 * chain_sites: what a site tells its peers of the sites behind it, and what they make of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "load/chain.h"
#include "load/report.h"

/* A site with up to three peers: osaka in the middle of tokyo and nagoya, say. */
struct node {
	struct load_table *table;
	struct chain *chain;
};

static struct node
node_new(const char *name, const char *const *peers)
{
	char text[4096];
	size_t len = (size_t)snprintf(text, sizeof(text),
	    "site = \"%s\"; services: ({ name = \"web\"; address = [ \"203.0.113.10\","
	    " \"2001:db8::10\" ]; ports = [ 80 ];"
	    " servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });" FIXTURE_PEER_KEYS
	    "peers: (",
	    name);
	struct node n;

	for (size_t i = 0; peers[i] != NULL; i++)
		len += (size_t)snprintf(text + len,
		    sizeof(text) - len, "%s{ site = \"%s\"; load = \"192.0.2.%zu:1\"; transfer = \"192.0.2.%zu:2\"; }",
		    i > 0 ? "," : "", peers[i], i + 10, i + 10);
	snprintf(text + len, sizeof(text) - len, ");");
	n.table = fixture_table(text);
	n.chain = chain_new(n.table, name);
	return n;
}

static void
node_free(struct node *n)
{
	chain_free(n->chain);
	load_table_free(n->table);
}

/* A HELLO with one service at 203.0.113.LAST, and one server at 10.LAST.0.1. */
static struct hello
hello_of(const char *name, unsigned last)
{
	static uint16_t ports[16];
	static struct addr servers[16];
	static struct hello_service services[16];
	struct hello hello = {.services = &services[last], .services_count = 1};
	char text[32];

	ports[last] = 80;
	services[last] = (struct hello_service){.name = "web",
	    .number = 5,
	    .protocol = IPPROTO_TCP,
	    .ports = &ports[last],
	    .ports_count = 1,
	    .servers = &servers[last],
	    .servers_count = 1};
	snprintf(hello.site, sizeof(hello.site), "%s", name);
	snprintf(text, sizeof(text), "203.0.113.%u", last);
	ip_parse(text, &services[last].v4);
	snprintf(text, sizeof(text), "2001:db8::%u", last);
	ip_parse(text, &services[last].v6);
	snprintf(text, sizeof(text), "10.%u.0.1:8080", last);
	addr_parse(text, &servers[last]);
	return hello;
}

static uint32_t
number(const struct node *n, const char *name)
{
	return load_table_find_site(n->table, name);
}

static void
says_hello(struct node *n, const char *name, unsigned last)
{
	struct hello hello = hello_of(name, last);

	report_enter_hello(n->table, number(n, name), &hello);
	chain_hello(n->chain, number(n, name), &hello);
}

/* What a node tells a peer now, decoded; false if nothing. */
static bool
told(struct node *n, const char *peer, unsigned max_transfers, bool whole, struct sites *sites)
{
	struct sites_writer w;

	if (!chain_tell(n->chain, number(n, peer), max_transfers, whole, &w))
		return false;
	assert_int_equal(w.messages, 1);
	assert_int_equal(
	    codec_decode_sites(w.b.data + CODEC_HEADER_LEN, w.b.len - CODEC_HEADER_LEN, sites),
	    0);
	codec_buffer_fini(&w.b);
	return true;
}

static bool
tells(struct node *n, const char *peer, struct node *to, const char *self, unsigned max)
{
	struct sites sites;

	if (!told(n, peer, max, false, &sites))
		return false;
	chain_take(to->chain, number(to, self), &sites);
	chain_enter(to->chain);
	sites_fini(&sites);
	return true;
}

static bool
passes(const struct node *n, const char *peer, unsigned last, uint16_t *owner)
{
	char text[32];
	struct addr addr;

	snprintf(text, sizeof(text), "203.0.113.%u:80", last);
	addr_parse(text, &addr);
	return load_table_site_passes_lookup(
		   n->table, number(n, peer), &addr, IPPROTO_TCP, owner) == 0;
}

static bool
has_server(const struct node *n, const char *peer, unsigned last)
{
	char text[32];
	struct addr addr;

	snprintf(text, sizeof(text), "10.%u.0.1:8080", last);
	addr_parse(text, &addr);
	return load_table_site_has_server(n->table, number(n, peer), &addr, IPPROTO_TCP);
}

static const char *const two[] = {"tokyo", "nagoya", NULL};
static const char *const osaka[] = {"osaka", NULL};

static void
middle_tells_of_the_ends(void **state)
{
	struct node y = node_new("osaka", two), x = node_new("tokyo", osaka);
	struct sites sites;
	uint16_t owner;

	(void)state;
	says_hello(&y, "tokyo", 1);
	says_hello(&y, "nagoya", 3);
	says_hello(&x, "osaka", 2);
	assert_true(told(&y, "tokyo", 2, true, &sites));
	assert_int_equal(sites.flags, SITES_FIRST | SITES_LAST);
	assert_int_equal(sites.count, 1);
	assert_string_equal(sites.records[0].hello.site, "nagoya");
	assert_int_equal(sites.records[0].distance, 1);
	assert_false(has_server(&x, "osaka", 3));
	chain_take(x.chain, number(&x, "osaka"), &sites);
	chain_enter(x.chain);
	sites_fini(&sites);
	assert_true(has_server(&x, "osaka", 2)); /* its own are still there */
	assert_true(has_server(&x, "osaka", 3));
	assert_true(passes(&x, "osaka", 3, &owner));
	assert_int_equal(owner, UINT16_MAX); /* a stranger here */
	assert_false(passes(&x, "osaka", 2, &owner));
	/* nothing is told twice */
	assert_false(told(&y, "tokyo", 2, false, &sites));
	node_free(&x);
	node_free(&y);
}

static void
owner_is_known_by_number(void **state)
{
	static const char *const both[] = {"osaka", "nagoya", NULL};
	struct node y = node_new("osaka", two), x = node_new("tokyo", both);
	uint16_t owner;

	(void)state;
	says_hello(&y, "tokyo", 1);
	says_hello(&y, "nagoya", 3);
	says_hello(&x, "osaka", 2);
	assert_true(tells(&y, "tokyo", &x, "osaka", 2));
	assert_true(passes(&x, "osaka", 3, &owner));
	assert_int_equal(owner, number(&x, "nagoya"));
	node_free(&x);
	node_free(&y);
}

static void
without_chains_nothing_is_told(void **state)
{
	struct node y = node_new("osaka", two);
	struct sites sites;

	(void)state;
	says_hello(&y, "tokyo", 1);
	says_hello(&y, "nagoya", 3);
	assert_false(told(&y, "tokyo", 1, true, &sites));
	assert_false(told(&y, "tokyo", 1, false, &sites));
	node_free(&y);
}

/* A reload allows chains no more: what was told is taken back. */
static void
what_was_told_is_taken_back(void **state)
{
	struct node y = node_new("osaka", two), x = node_new("tokyo", osaka);
	struct sites sites;
	uint16_t owner;

	(void)state;
	says_hello(&y, "tokyo", 1);
	says_hello(&y, "nagoya", 3);
	says_hello(&x, "osaka", 2);
	assert_true(tells(&y, "tokyo", &x, "osaka", 2));
	assert_true(told(&y, "tokyo", 1, true, &sites));
	assert_int_equal(sites.count, 0);
	assert_int_equal(sites.flags, SITES_FIRST | SITES_LAST);
	chain_take(x.chain, number(&x, "osaka"), &sites);
	chain_enter(x.chain);
	sites_fini(&sites);
	assert_false(passes(&x, "osaka", 3, &owner));
	assert_false(has_server(&x, "osaka", 3));
	assert_true(has_server(&x, "osaka", 2));
	node_free(&x);
	node_free(&y);
}

static void
changes_and_ends_are_told(void **state)
{
	struct node y = node_new("osaka", two), x = node_new("tokyo", osaka);
	struct sites sites;
	uint16_t owner;

	(void)state;
	says_hello(&y, "tokyo", 1);
	says_hello(&y, "nagoya", 3);
	says_hello(&x, "osaka", 2);
	assert_true(tells(&y, "tokyo", &x, "osaka", 2));
	says_hello(&y, "nagoya", 4); /* other addresses after its reload */
	assert_true(tells(&y, "tokyo", &x, "osaka", 2));
	assert_true(passes(&x, "osaka", 4, &owner) && !passes(&x, "osaka", 3, &owner));
	assert_true(has_server(&x, "osaka", 4) && !has_server(&x, "osaka", 3));
	chain_forget(y.chain, number(&y, "nagoya"));
	assert_true(told(&y, "tokyo", 2, false, &sites));
	assert_int_equal(sites.count, 1);
	assert_true(sites.records[0].gone);
	chain_take(x.chain, number(&x, "osaka"), &sites);
	chain_enter(x.chain);
	sites_fini(&sites);
	assert_false(passes(&x, "osaka", 4, &owner));
	node_free(&x);
	node_free(&y);
}

static void
forgotten_peer_says_nothing(void **state)
{
	struct node y = node_new("osaka", two), x = node_new("tokyo", osaka);
	uint16_t owner;

	(void)state;
	says_hello(&y, "tokyo", 1);
	says_hello(&y, "nagoya", 3);
	says_hello(&x, "osaka", 2);
	assert_true(tells(&y, "tokyo", &x, "osaka", 2));
	chain_forget(x.chain, number(&x, "osaka"));
	assert_false(passes(&x, "osaka", 3, &owner));
	assert_false(has_server(&x, "osaka", 2));
	chain_forget(x.chain, number(&x, "osaka")); /* twice does no harm */
	node_free(&x);
	node_free(&y);
}

/* What is told of us is not taken, whoever says it. */
static void
own_name_is_ignored(void **state)
{
	struct node x = node_new("tokyo", osaka);
	struct sites_record records[3] = {{.identity = true, .distance = 1}, {.identity = true},
	    {.identity = true, .distance = 1}};
	struct sites sites = {0, records, 3};
	uint16_t owner;

	(void)state;
	records[0].hello = hello_of("tokyo", 6);
	records[1].hello = hello_of("kobe", 7); /* without distance: a coordinator's word */
	records[2].hello = hello_of("nagoya", 8);
	says_hello(&x, "osaka", 2);
	chain_take(x.chain, number(&x, "osaka"), &sites);
	chain_enter(x.chain);
	assert_false(passes(&x, "osaka", 6, &owner));
	assert_false(passes(&x, "osaka", 7, &owner));
	assert_true(passes(&x, "osaka", 8, &owner));
	node_free(&x);
}

/* A service of that name but another protocol is another one. */
static void
only_services_of_ours(void **state)
{
	struct node x = node_new("tokyo", osaka);
	struct sites_record record = {.identity = true, .distance = 1};
	struct sites sites = {0, &record, 1};
	uint16_t owner;
	struct addr addr;

	(void)state;
	says_hello(&x, "osaka", 2);
	record.hello = hello_of("nagoya", 3);
	record.hello.services[0].protocol = IPPROTO_UDP;
	chain_take(x.chain, number(&x, "osaka"), &sites);
	chain_enter(x.chain);
	addr_parse("203.0.113.3:80", &addr);
	assert_int_equal(load_table_site_passes_lookup(
			     x.table, number(&x, "osaka"), &addr, IPPROTO_UDP, &owner),
	    LOAD_NONE);
	record.hello = hello_of("nagoya", 3);
	strcpy(record.hello.services[0].name, "mail");
	chain_take(x.chain, number(&x, "osaka"), &sites);
	chain_enter(x.chain);
	assert_false(passes(&x, "osaka", 3, &owner));
	assert_true(has_server(&x, "osaka", 3)); /* whose packets may come by rule 3 all the same */
	node_free(&x);
}

/*
 * A ring of three, each telling the others until nothing is new: it comes to rest, and nobody is told
 * of himself.
 */
static void
ring_comes_to_rest(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	struct node n[3];
	unsigned messages = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const char *const peers[] = {names[(i + 1) % 3], names[(i + 2) % 3], NULL};

		n[i] = node_new(names[i], peers);
	}
	for (unsigned i = 0; i < 3; i++) {
		says_hello(&n[i], names[(i + 1) % 3], 1 + (i + 1) % 3);
		says_hello(&n[i], names[(i + 2) % 3], 1 + (i + 2) % 3);
	}
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned from = 0; from < 3; from++)
			for (unsigned step = 1; step < 3; step++) {
				unsigned to = (from + step) % 3;

				messages += tells(&n[from], names[to], &n[to], names[from], 15);
			}
	}
	assert_true(messages >= 6 && messages < 60);
	/* one of them goes: what the other two say of it to each other ends, too */
	chain_forget(n[0].chain, number(&n[0], "c"));
	chain_forget(n[1].chain, number(&n[1], "c"));
	messages = 0;
	for (unsigned round = 0; round < 40; round++) {
		messages += tells(&n[0], "b", &n[1], "a", 15);
		messages += tells(&n[1], "a", &n[0], "b", 15);
	}
	assert_true(messages < 40);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t owner;

		assert_false(passes(&n[i], names[1 - i], 3, &owner));
	}
	for (unsigned i = 0; i < 3; i++)
		node_free(&n[i]);
}

/* A row of five: each knows as far as it may. */
static void
distance_ends_at_max_transfers(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	struct node n[5];
	uint16_t owner;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		const char *const peers[] = {i > 0 ? names[i - 1] : names[1],
		    i > 0 && i < 4 ? names[i + 1] : NULL, NULL};

		n[i] = node_new(names[i], peers);
	}
	for (unsigned i = 0; i < 4; i++) {
		says_hello(&n[i], names[i + 1], i + 2);
		says_hello(&n[i + 1], names[i], i + 1);
	}
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 4; i++) {
			tells(&n[i], names[i + 1], &n[i + 1], names[i], 3);
			tells(&n[i + 1], names[i], &n[i], names[i + 1], 3);
		}
	}
	assert_true(passes(&n[0], "b", 3, &owner));  /* a > b > c: two transfers */
	assert_true(passes(&n[0], "b", 4, &owner));  /* a > b > c > d: three */
	assert_false(passes(&n[0], "b", 5, &owner)); /* four */
	assert_true(passes(&n[4], "d", 2, &owner));
	assert_false(passes(&n[4], "d", 1, &owner));
	for (unsigned i = 0; i < 5; i++)
		node_free(&n[i]);
}

/* However many sites a peer tells of, so many are entered. */
static void
sites_behind_are_bounded(void **state)
{
	struct node x = node_new("tokyo", osaka);
	struct sites_record record = {.identity = true, .distance = 1};
	struct sites sites = {0, &record, 1};
	uint16_t owner;

	(void)state;
	says_hello(&x, "osaka", 2);
	for (unsigned i = 0; i < CHAIN_BEHIND_MAX + 1; i++) {
		record.hello = hello_of("x", i < CHAIN_BEHIND_MAX ? 3 : 4);
		snprintf(record.hello.site, sizeof(record.hello.site), "site%u", i);
		if (i > 0 && i < CHAIN_BEHIND_MAX)
			record.hello.services_count = 0;
		chain_take(x.chain, number(&x, "osaka"), &sites);
		chain_enter(x.chain);
	}
	assert_true(passes(&x, "osaka", 3, &owner));
	assert_false(passes(&x, "osaka", 4, &owner));
	node_free(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(middle_tells_of_the_ends),
	    cmocka_unit_test(owner_is_known_by_number),
	    cmocka_unit_test(without_chains_nothing_is_told),
	    cmocka_unit_test(what_was_told_is_taken_back),
	    cmocka_unit_test(changes_and_ends_are_told),
	    cmocka_unit_test(forgotten_peer_says_nothing),
	    cmocka_unit_test(own_name_is_ignored),
	    cmocka_unit_test(only_services_of_ours),
	    cmocka_unit_test(ring_comes_to_rest),
	    cmocka_unit_test(distance_ends_at_max_transfers),
	    cmocka_unit_test(sites_behind_are_bounded),
	};

	return cmocka_run_group_tests_name("chain_sites", tests, NULL, NULL);
}
