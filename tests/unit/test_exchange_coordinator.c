/*
 * exchange_coordinator: sites and coordinators over TLS: introduction, sessions for keys, unknown
 * sites, whom load is reported to.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "exchange_rig.h"
#include "load/exchange_internal.h"

#define SOON  8000 /* ms: what takes milliseconds, on a busy machine */
#define WHILE 600  /* ms: to see that nothing happens */

/* Two coordinators and two sites; what is not used is NULL. */
static struct {
	uint16_t port[4];
	struct rig *kyoto, *nara, *osaka, *tokyo;
} net;

enum { KYOTO, NARA, OSAKA, TOKYO };

static int
net_setup(void **state)
{
	rig_forget_log(state);
	memset(&net, 0, sizeof(net));
	for (int i = 0; i < 4; i++) {
		bool again = true;

		while (again) {
			net.port[i] = rig_free_port();
			again = false;
			for (int k = 0; k < i; k++)
				again |= net.port[i] / 2 == net.port[k] / 2 ||
				    abs(net.port[i] - net.port[k]) < 2;
		}
	}
	return 0;
}

static int
net_teardown(void **state)
{
	struct rig *all[] = {net.kyoto, net.nara, net.osaka, net.tokyo};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		if (all[i] != NULL)
			rig_free(all[i]);
	return 0;
}

static struct rig *
coordinator(const char *name, int place)
{
	struct rig_order o = {.site = name,
	    .authority = "main",
	    .port = net.port[place],
	    .coordinator = true,
	    .accept_unknown = true};

	return rig_new(&o);
}

static struct rig_order
site_order(const char *name, int place)
{
	return (struct rig_order){.site = name,
	    .authority = "main",
	    .port = net.port[place],
	    .transfer_port = net.port[place] + 1,
	    .coordinators = {{"kyoto", net.port[KYOTO], ""}, {"nara", net.port[NARA], ""}}};
}

static void
start_all(void)
{
	struct rig_order osaka = site_order("osaka", OSAKA), tokyo = site_order("tokyo", TOKYO);

	net.kyoto = coordinator("kyoto", KYOTO);
	net.nara = coordinator("nara", NARA);
	net.osaka = rig_new(&osaka);
	net.tokyo = rig_new(&tokyo);
}

static const struct site *
find(const struct rig *r, const char *name)
{
	uint32_t number = load_table_find_site(r->table, name);

	return number == LOAD_NONE ? NULL : load_table_site(r->table, number);
}

static bool
hears_of(const struct rig *r, const char *name)
{
	const struct site *s = find(r, name);

	return s != NULL && s->services_count == 2 && s->services[0].reported;
}

static bool
introduced(void *arg)
{
	(void)arg;
	return hears_of(net.osaka, "tokyo") && hears_of(net.tokyo, "osaka");
}

static bool
have_keys(void *arg)
{
	(void)arg;
	return find(net.osaka, "tokyo")->keys && find(net.tokyo, "osaka")->keys &&
	    find(net.osaka, "tokyo")->session == SITE_SESSION &&
	    find(net.tokyo, "osaka")->session == SITE_SESSION;
}

static void
want(struct rig *r, const char *name)
{
	exchange_wanted(r->exchange, load_table_find_site(r->table, name));
}

static void
coordinator_introduces(void **state)
{
	const struct site *tokyo;

	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	tokyo = find(net.osaka, "tokyo");
	assert_true(tokyo->introduced && tokyo->entered && !tokyo->coordinator);
	assert_int_equal(tokyo->session, SITE_NO_SESSION);
	assert_int_equal(tokyo->transfer.port, net.port[TOKYO] + 1);
	assert_int_equal(tokyo->load.port, net.port[TOKYO]);
	assert_string_equal(tokyo->services[0].name, "web");
	assert_int_equal(tokyo->services[0].servers_up, 2);
	assert_true(find(net.osaka, "kyoto")->coordinator);
	assert_false(find(net.osaka, "kyoto")->keys);
	/* the coordinator has both in its table */
	assert_true(hears_of(net.kyoto, "osaka") && hears_of(net.kyoto, "tokyo"));
	assert_null(find(net.kyoto, "nara"));
}

static bool
quota_known(void *arg)
{
	(void)arg;
	return find(net.osaka, "tokyo")->services[0].limited;
}

static void
session_for_keys(void **state)
{
	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	want(net.osaka, "tokyo");
	assert_true(rig_until(have_keys, NULL, SOON));
	/* what is between the two comes by it */
	assert_true(rig_until(quota_known, NULL, SOON));
	assert_true(find(net.osaka, "tokyo")->services[0].quota > 0);
	assert_non_null(keyring_tx(
	    net.osaka->keyring, (uint16_t)load_table_find_site(net.osaka->table, "tokyo")));
}

static struct peer *
peer_of(const struct rig *r, const char *name)
{
	return exchange_peer(r->exchange, load_table_find_site(r->table, name));
}

/* As if nothing had been between the two for so long. */
static void
rest(const struct rig *r, const char *name, uint64_t seconds)
{
	struct peer *peer = peer_of(r, name);

	peer->since -= seconds * CLOCK_SECOND;
	peer->used_at -= seconds * CLOCK_SECOND;
}

static bool
have_parted(void *arg)
{
	(void)arg;
	return find(net.osaka, "tokyo")->session == SITE_NO_SESSION &&
	    find(net.tokyo, "osaka")->session == SITE_NO_SESSION;
}

static bool
is_looked_at(void *arg)
{
	const struct peer *osaka = peer_of(net.tokyo, "osaka"),
			  *tokyo = peer_of(net.osaka, "tokyo");

	(void)arg;
	return osaka->used_at >= osaka->since && tokyo->used_at >= tokyo->since;
}

/* Nobody needs the other for long: the session ends, without any complaint, and comes again when it is
 * needed. */
static void
idle_session_ends(void **state)
{
	uint32_t number;

	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	want(net.osaka, "tokyo");
	assert_true(rig_until(have_keys, NULL, SOON));
	assert_true(rig_until(is_looked_at, NULL, SOON));
	number = load_table_find_site(net.osaka->table, "tokyo");
	load_table_transferred_opened(net.osaka->table, number, 0);
	rest(net.osaka, "tokyo", 601); /* a connection is in use */
	rig_until(rig_never, NULL, WHILE);
	assert_true(have_keys(NULL));
	load_table_transferred_closed(net.osaka->table, number, 0);
	rest(net.osaka, "tokyo", 590);
	rig_until(rig_never, NULL, WHILE);
	assert_true(have_keys(NULL));
	/* a short one that nobody saw while it was there */
	load_table_transferred_opened(net.osaka->table, number, 0);
	load_table_transferred_closed(net.osaka->table, number, 0);
	rest(net.osaka, "tokyo", 601);
	rig_until(rig_never, NULL, WHILE);
	assert_true(have_keys(NULL));
	rest(net.osaka, "tokyo", 601);
	assert_true(rig_until(have_parted, NULL, SOON));
	assert_null(find(net.tokyo, "osaka")->last_error);
	assert_null(find(net.osaka, "tokyo")->last_error);
	rig_until(rig_never, NULL, 2 * WHILE);
	assert_true(have_parted(NULL));
	assert_true(hears_of(net.osaka, "tokyo"));
	assert_true(find(net.osaka, "tokyo")->introduced);
	want(net.tokyo, "osaka");
	assert_true(rig_until(have_keys, NULL, SOON));
}

/* The load itself comes from coordinators, however many reports the session brings. */
static void
load_comes_from_coordinators(void **state)
{
	uint64_t before;

	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	want(net.osaka, "tokyo");
	assert_true(rig_until(have_keys, NULL, SOON));
	rig_free(net.kyoto);
	rig_free(net.nara);
	net.kyoto = net.nara = NULL;
	rig_until(rig_never, NULL, WHILE);
	before = find(net.osaka, "tokyo")->services[0].received_at;
	rig_until(rig_never, NULL, WHILE);
	assert_int_equal(find(net.osaka, "tokyo")->services[0].received_at, before);
	assert_true(find(net.osaka, "tokyo")->services[0].reported);
	assert_int_equal(find(net.osaka, "tokyo")->session, SITE_SESSION);
}

/* Both need it at once: one session is left, the one that the smaller name has dialled. */
static void
both_dial(void **state)
{
	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	want(net.osaka, "tokyo");
	want(net.tokyo, "osaka");
	assert_true(rig_until(have_keys, NULL, SOON));
	rig_until(rig_never, NULL, 2 * WHILE);
	assert_true(have_keys(NULL));
	assert_true(peering_info(
	    exchange_peer(net.osaka->exchange, load_table_find_site(net.osaka->table, "tokyo"))->current)
			->dialled);
	assert_false(peering_info(
	    exchange_peer(net.tokyo->exchange, load_table_find_site(net.tokyo->table, "osaka"))->current)
			 ->dialled);
}

/* Nobody is believed who is not of the authority and has the very certificate. */
static void
certificate_has_to_match(void **state)
{
	struct peer *peer;

	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	peer =
	    exchange_peer(net.osaka->exchange, load_table_find_site(net.osaka->table, "tokyo"));
	assert_non_null(peer);
	assert_true(peer->own.chained);
	assert_int_equal(strlen(peer->own.fingerprint), 64);
	peer->own.fingerprint[0] = peer->own.fingerprint[0] == '0' ? '1' : '0';
	want(net.osaka, "tokyo");
	rig_expect_log("does not have the fingerprint pinned", SOON);
	assert_false(find(net.osaka, "tokyo")->keys);
}

static bool
nara_vouches(void *arg)
{
	uint64_t *since = arg;

	return find(net.osaka, "tokyo")->services[0].received_at > *since;
}

static void
one_coordinator_is_enough(void **state)
{
	uint64_t since;

	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	rig_free(net.kyoto);
	net.kyoto = NULL;
	for (int i = 0; i < 3; i++) {
		since = clock_now();
		assert_true(rig_until(nara_vouches, &since, SOON));
	}
}

static bool
tokyo_stopped(void *arg)
{
	(void)arg;
	return find(net.osaka, "tokyo") == NULL;
}

static void
on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static bool
is_set(void *arg)
{
	return *(bool *)arg;
}

static void
who_stops_leaves(void **state)
{
	bool stopped = false;

	(void)state;
	start_all();
	assert_true(rig_until(introduced, NULL, SOON));
	exchange_stop(net.tokyo->exchange, on_stopped, &stopped);
	assert_true(rig_until(is_set, &stopped, SOON));
	rig_free(net.tokyo);
	net.tokyo = NULL;
	assert_true(rig_until(tokyo_stopped, NULL, SOON));
}

static bool
kobe_is_heard_of(void *arg)
{
	(void)arg;
	return hears_of(net.osaka, "kobe");
}

static bool
kobe_has_left(void *arg)
{
	(void)arg;
	return find(net.osaka, "kobe") == NULL;
}

/* One that was introduced and has left comes back by itself: it is welcome as if it had never been
 * there. */
static void
who_has_left_may_come_back(void **state)
{
	struct rig_order osaka = site_order("osaka", OSAKA), kobe = site_order("kobe", TOKYO);
	bool stopped = false;

	(void)state;
	osaka.accept_unknown = true;
	osaka.coordinators[1].site = kobe.coordinators[1].site = NULL;
	net.kyoto = coordinator("kyoto", KYOTO);
	net.osaka = rig_new(&osaka);
	net.tokyo = rig_new(&kobe);
	assert_true(rig_until(kobe_is_heard_of, NULL, SOON));
	exchange_stop(net.tokyo->exchange, on_stopped, &stopped);
	assert_true(rig_until(is_set, &stopped, SOON));
	rig_free(net.tokyo);
	net.tokyo = NULL;
	assert_true(rig_until(kobe_has_left, NULL, SOON));
	kobe.coordinators[0].site = NULL;
	kobe.peers[0] = (struct rig_peer){"osaka", net.port[OSAKA], ""};
	net.tokyo = rig_new(&kobe);
	assert_true(rig_until(kobe_is_heard_of, NULL, SOON));
	assert_false(find(net.osaka, "kobe")->introduced);
}

/* ---- sites that nobody has named ---- */

static bool
kobe_reported(void *arg)
{
	(void)arg;
	return hears_of(net.osaka, "kobe") && find(net.osaka, "kobe")->keys &&
	    hears_of(net.tokyo, "osaka");
}

/* kobe, in tokyo's place, has osaka as its peer. */
static void
start_kobe(bool accept, const char *own_authority)
{
	struct rig_order osaka = site_order("osaka", OSAKA), kobe = site_order("kobe", TOKYO);

	memset(osaka.coordinators, 0, sizeof(osaka.coordinators));
	memset(kobe.coordinators, 0, sizeof(kobe.coordinators));
	osaka.accept_unknown = accept;
	if (!accept)
		osaka.peers[0] = (struct rig_peer){"tokyo", net.port[KYOTO], ""};
	kobe.own_authority = own_authority;
	kobe.peers[0] = (struct rig_peer){"osaka", net.port[OSAKA], ""};
	net.osaka = rig_new(&osaka);
	net.tokyo = rig_new(&kobe);
}

static void
unknown_site_is_entered(void **state)
{
	const struct site *kobe;

	(void)state;
	start_kobe(true, NULL);
	assert_true(rig_until(kobe_reported, NULL, SOON));
	kobe = find(net.osaka, "kobe");
	assert_true(kobe->entered && !kobe->introduced);
	assert_int_equal(kobe->transfer.port, net.port[TOKYO] + 1);
	assert_false(ip_is_zero(&kobe->transfer.ip));
}

static void
unknown_site_is_refused(void **state)
{
	(void)state;
	start_kobe(false, NULL);
	rig_expect_log("site kobe is no peer of ours", SOON);
	assert_null(find(net.osaka, "kobe"));
}

static void
unauthenticated_site_is_never_entered(void **state)
{
	(void)state;
	start_kobe(true, "other");
	rig_expect_log("its certificate is not good", SOON);
	assert_null(find(net.osaka, "kobe"));
	assert_int_equal(net.osaka->counters.counter[COUNTER_sessions_opened], 0);
}

/* A certificate of the authority, but of another site. */
static void
name_has_to_be_proved(void **state)
{
	struct rig_order osaka = site_order("osaka", OSAKA), kobe = site_order("kobe", TOKYO);

	(void)state;
	memset(osaka.coordinators, 0, sizeof(osaka.coordinators));
	memset(kobe.coordinators, 0, sizeof(kobe.coordinators));
	osaka.accept_unknown = true;
	kobe.certificate = "tokyo";
	kobe.peers[0] = (struct rig_peer){"osaka", net.port[OSAKA], ""};
	net.osaka = rig_new(&osaka);
	net.tokyo = rig_new(&kobe);
	rig_expect_log("its certificate is not that of site kobe", SOON);
	assert_null(find(net.osaka, "kobe"));
}

static bool
kyoto_knows_osaka(void *arg)
{
	(void)arg;
	return hears_of(net.kyoto, "osaka");
}

/* A coordinator that does not welcome everybody. */
static void
coordinator_with_a_list(void **state)
{
	struct rig_order kyoto = {.site = "kyoto",
	    .authority = "main",
	    .port = net.port[KYOTO],
	    .coordinator = true,
	    .peers = {{"osaka", net.port[OSAKA], ""}}};
	struct rig_order osaka = site_order("osaka", OSAKA), tokyo = site_order("tokyo", TOKYO);

	(void)state;
	osaka.coordinators[1].site = tokyo.coordinators[1].site = NULL;
	net.kyoto = rig_new(&kyoto);
	net.osaka = rig_new(&osaka);
	net.tokyo = rig_new(&tokyo);
	assert_true(rig_until(kyoto_knows_osaka, NULL, SOON));
	rig_expect_log("site tokyo is no peer of ours", SOON);
	assert_null(find(net.osaka, "tokyo"));
}

/* ---- whom load is reported to ---- */

static bool
sessions_up(void *arg)
{
	(void)arg;
	return find(net.osaka, "tokyo")->keys && find(net.tokyo, "osaka")->keys;
}

static void
start_peers(const char *osaka_to, const char *tokyo_to)
{
	struct rig_order osaka = site_order("osaka", OSAKA), tokyo = site_order("tokyo", TOKYO);

	memset(osaka.coordinators, 0, sizeof(osaka.coordinators));
	memset(tokyo.coordinators, 0, sizeof(tokyo.coordinators));
	osaka.peers[0] = (struct rig_peer){"tokyo", net.port[TOKYO], ""};
	tokyo.peers[0] = (struct rig_peer){"osaka", net.port[OSAKA], ""};
	osaka.report_to = osaka_to;
	tokyo.report_to = tokyo_to;
	net.osaka = rig_new(&osaka);
	net.tokyo = rig_new(&tokyo);
	assert_true(rig_until(sessions_up, NULL, SOON));
}

static void
senders_are_answered(void **state)
{
	(void)state;
	start_peers("\"senders\"", "\"all\"");
	assert_true(rig_until(introduced, NULL, SOON));
}

static void
two_that_wait_tell_nothing(void **state)
{
	(void)state;
	start_peers("\"senders\"", "\"senders\"");
	rig_until(rig_never, NULL, WHILE);
	assert_false(hears_of(net.osaka, "tokyo"));
	assert_false(hears_of(net.tokyo, "osaka"));
	assert_true(sessions_up(NULL)); /* which goes on all the same */
}

static bool
osaka_hears(void *arg)
{
	(void)arg;
	return hears_of(net.osaka, "tokyo");
}

static void
list_is_kept_to(void **state)
{
	(void)state;
	start_peers("[ \"kobe\" ]", "[ \"kobe\", \"osaka\" ]");
	assert_true(rig_until(osaka_hears, NULL, SOON));
	rig_until(rig_never, NULL, WHILE);
	assert_false(hears_of(net.tokyo, "osaka"));
}

static int
group_setup(void **state)
{
	rig_setup(state);
	rig_authority("main");
	rig_authority("other");
	rig_certificate("main", "kyoto", 60 * RIG_DAY);
	rig_certificate("main", "nara", 60 * RIG_DAY);
	rig_certificate("main", "osaka", 60 * RIG_DAY);
	rig_certificate("main", "tokyo", 60 * RIG_DAY);
	rig_certificate("main", "kobe", 60 * RIG_DAY);
	rig_certificate("other", "kobe", 60 * RIG_DAY);
	return 0;
}

#define NET(test) cmocka_unit_test_setup_teardown(test, net_setup, net_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    NET(coordinator_introduces),
	    NET(session_for_keys),
	    NET(idle_session_ends),
	    NET(load_comes_from_coordinators),
	    NET(both_dial),
	    NET(certificate_has_to_match),
	    NET(one_coordinator_is_enough),
	    NET(who_stops_leaves),
	    NET(who_has_left_may_come_back),
	    NET(unknown_site_is_entered),
	    NET(unknown_site_is_refused),
	    NET(unauthenticated_site_is_never_entered),
	    NET(name_has_to_be_proved),
	    NET(coordinator_with_a_list),
	    NET(senders_are_answered),
	    NET(two_that_wait_tell_nothing),
	    NET(list_is_kept_to),
	};

	return cmocka_run_group_tests_name(
	    "exchange_coordinator", tests, group_setup, rig_teardown);
}
