#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "connections.h"

/*
 * Stories: packets in their order, and the state after each.  The client's first
 * sequence number is C, the server's S; both wrap within each story's first megabytes.
 */
#define C UINT32_C(0xfffff000)
#define S UINT32_C(0xfffffff0)

#define MIB (UINT32_C(1) << 20)

enum {
	O = CONNECTION_OPENING,
	E = CONNECTION_ESTABLISHED,
	L = CONNECTION_CLOSING,
	T = CONNECTION_TIME_WAIT
};

enum { FROM_C = CONNECTION_FROM_CLIENT, FROM_S = CONNECTION_FROM_SERVER };

struct step {
	int side;
	uint8_t flags;
	uint32_t seq, ack, payload;
	int state;
};

#define STEPS_MAX 24

struct story {
	const char *name;
	enum connection_kind kind;
	struct step steps[STEPS_MAX]; /* ends by flags 0 */
};

#define HANDSHAKE \
	{FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O}, \
	{ \
		FROM_C, ACK, C + 1, S + 1, 0, E \
	}

static const struct story stories[] = {
    {"a request, closed by the client", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, ACK | PSH, C + 1, S + 1, 500, E},
	    {FROM_S, ACK, S + 1, C + 501, 0, E}, {FROM_S, ACK, S + 1, C + 501, 65000, E},
	    {FROM_C, ACK, C + 501, S + 65001, 0, E}, {FROM_C, FIN | ACK, C + 501, S + 65001, 0, L},
	    {FROM_S, ACK, S + 65001, C + 502, 0, L}, {FROM_S, FIN | ACK, S + 65001, C + 502, 0, L},
	    {FROM_C, ACK, C + 502, S + 65002, 0, T}}},
    {"closed by the server, FIN with data", CONNECTION_RECEIVED,
	{HANDSHAKE, {FROM_C, ACK | PSH, C + 1, S + 1, 500, E},
	    {FROM_S, FIN | ACK, S + 1, C + 501, 1000, L},
	    {FROM_C, FIN | ACK, C + 501, S + 1002, 0, L}, {FROM_S, ACK, S + 1002, C + 502, 0, T}}},
    {"both close at the same time", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, FIN | ACK, C + 1, S + 1, 0, L},
	    {FROM_S, FIN | ACK, S + 1, C + 1, 0, L}, {FROM_C, ACK, C + 2, S + 2, 0, L},
	    {FROM_S, ACK, S + 2, C + 2, 0, T}}},
    {"a half-closed connection goes on", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, FIN | ACK, C + 1, S + 1, 100, L},
	    {FROM_S, ACK, S + 1, C + 102, 1448, L}, {FROM_C, ACK, C + 102, S + 1449, 0, L},
	    {FROM_S, ACK, S + 1449, C + 102, 1448, L},
	    {FROM_S, FIN | ACK, S + 2897, C + 102, 0, L}, {FROM_C, ACK, C + 102, S + 2898, 0, T}}},
    {"a FIN before the data in front of it", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, FIN | ACK, C + 1001, S + 1, 0, L},
	    {FROM_S, FIN | ACK, S + 1, C + 1, 0, L}, {FROM_C, ACK, C + 1, S + 2, 1000, L},
	    {FROM_S, ACK, S + 2, C + 1001, 0, L}, {FROM_S, ACK, S + 2, C + 1002, 0, T}}},
    {"FINs that are sent again", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, FIN | ACK, C + 1, S + 1, 0, L},
	    {FROM_C, FIN | ACK, C + 1, S + 1, 0, L}, {FROM_S, FIN | ACK, S + 1, C + 2, 0, L},
	    {FROM_S, FIN | ACK, S + 1, C + 2, 0, L}, {FROM_C, ACK, C + 2, S + 2, 0, T},
	    {FROM_S, FIN | ACK, S + 1, C + 2, 0, T}, {FROM_C, ACK, C + 2, S + 2, 0, T}}},
    {"the handshake's last packet is lost: data tells", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, ACK | PSH, C + 1, S + 1, 300, E}}},
    {"nothing but a FIN after the SYN-ACK", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, FIN | ACK, C + 1, S + 1, 0, L}}},
    {"SYN and SYN-ACK sent again", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, ACK, C + 1, S + 1, 0, E}, {FROM_S, SYN | ACK, S, C + 1, 0, E},
	    {FROM_C, ACK, C + 1, S + 1, 0, E}, {FROM_C, SYN, C, 0, 0, E}}},
    {"another try with another number before the answer", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, SYN, C + 70000, 0, 0, O},
	    {FROM_S, SYN | ACK, S, C + 70001, 0, O}, {FROM_C, ACK, C + 70001, S + 1, 0, E},
	    {FROM_C, RST, C + 70001, 0, 0, T}}},
    {"simultaneous open", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN, S, 0, 0, O},
	    {FROM_C, SYN | ACK, C, S + 1, 0, E}, {FROM_S, SYN | ACK, S, C + 1, 0, E},
	    {FROM_C, ACK, C + 1, S + 1, 10, E}, {FROM_C, FIN | ACK, C + 11, S + 1, 0, L}}},
    {"split handshake", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, ACK, S - 77, C + 1, 0, O}, {FROM_S, SYN, S, 0, 0, O},
	    {FROM_C, SYN | ACK, C, S + 1, 0, E}, {FROM_S, ACK, S + 1, C + 1, 0, E}}},
    {"data in the SYN, taken; the server speaks first", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 1400, O}, {FROM_S, SYN | ACK, S, C + 1401, 0, O},
	    {FROM_S, ACK | PSH, S + 1, C + 1401, 600, E}, {FROM_C, ACK, C + 1401, S + 1, 0, E},
	    {FROM_C, ACK, C + 1401, S + 601, 0, E}, {FROM_C, FIN | ACK, C + 1401, S + 601, 0, L},
	    {FROM_S, FIN | ACK, S + 601, C + 1402, 0, L}, {FROM_C, ACK, C + 1402, S + 602, 0, T}}},
    {"keep-alives change nothing", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, ACK, C + 1, S + 1, 100, E}, {FROM_C, ACK, C + 100, S + 1, 0, E},
	    {FROM_C, ACK, C + 100, S + 1, 1, E}, {FROM_S, ACK, S, C + 101, 0, E},
	    {FROM_C, FIN | ACK, C + 101, S + 1, 0, L},
	    {FROM_S, FIN | ACK, S + 1, C + 102, 0, L}, {FROM_C, ACK, C + 102, S + 2, 0, T}}},
    {"a port that nobody listens on", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, RST | ACK, 0, C + 1, 0, T}}},
    {"refused, data in the SYN", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 1400, O}, {FROM_S, RST | ACK, 0, C + 1401, 0, T}}},
    {"a RST for another SYN refuses nothing", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, RST | ACK, 0, C, 0, O},
	    {FROM_S, RST | ACK, 0, C + 2000, 0, O}, {FROM_S, RST, 0, C + 1, 0, O},
	    {FROM_S, RST | ACK, 0, C + 1, 0, T}}},
    {"a client that knows nothing of its SYN", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, RST, C + 1, 0, 0, T}}},
    {"the same, data in the SYN", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 1400, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, RST, C + 1, 0, 0, T}}},
    {"the server takes its SYN-ACK back", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_S, RST, S + 2, 0, 0, O}, {FROM_S, RST, S + 1, 0, 0, T}}},
    {"a forged RST while it opens", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, RST, C, 0, 0, O}, {FROM_C, RST, C - 100, 0, 0, O},
	    {FROM_C, RST, C + 1 + 1501, 0, 0, O}, {FROM_C, RST, C + MIB, 0, 0, O},
	    {FROM_C, RST | ACK, C + MIB, S + 1, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, ACK, C + 1, S + 1, 0, E}}},
    {"forged ACKs do not establish", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, ACK, C + 1, S + 1, 0, O},
	    {FROM_C, ACK | PSH, C + 1, 0, 100, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, ACK, C + 1, S, 0, O}, {FROM_C, ACK, C + 1, S + 2, 0, O},
	    {FROM_C, ACK | PSH, C + 1, S + 1 + MIB, 5, O}, {FROM_C, FIN | ACK, C + 1, S + 9, 5, O},
	    {FROM_C, PSH, C + 1, S + 1, 5, O}, {FROM_C, FIN, C + 1, 0, 5, O},
	    /* what the server answers to them neither */
	    {FROM_S, ACK, S + 1, C + 1, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, ACK, C + 1, S + 1, 0, E}, {FROM_C, ACK, C + 1, S + 1, 5, E}}},
    {"data of the server before its SYN is no answer", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, ACK | PSH, S + 1, C + 1, 100, O}}},
    {"a RST at the next number", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, ACK, C + 1, S + 1, 5000, E}, {FROM_C, RST, C + 5001, 0, 0, T}}},
    {"a RST of the server", CONNECTION_RECEIVED,
	{HANDSHAKE, {FROM_S, ACK, S + 1, C + 1, 5000, E},
	    {FROM_S, RST | ACK, S + 5001, C + 1, 0, T}}},
    {"a RST at the edges of the window", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, RST, C + 1 + MIB + 1, 0, 0, E},
	    {FROM_C, RST, C + 1 - MIB - 1, 0, 0, E},
	    {FROM_C, RST, C + 1 + (UINT32_C(1) << 31), 0, 0, E}, {FROM_S, RST, S - MIB, 0, 0, E},
	    {FROM_S, RST, S + 1 + MIB + 1, 0, 0, E}, {FROM_C, RST, C + 1 + MIB, 0, 0, T}}},
    {"a RST at the lower edge", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_S, RST, S + 1 - MIB, 0, 0, T}}},
    {"a RST while it closes", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_S, FIN | ACK, S + 1, C + 1, 0, L},
	    {FROM_C, RST, C + 1 + 2 * MIB, 0, 0, L}, {FROM_C, RST, C + 1, 0, 0, T},
	    {FROM_C, RST, C + 1, 0, 0, T}}},
    {"a FIN out of the window says nothing", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, FIN | ACK, C + 1 + 2 * MIB, S + 1, 0, E},
	    {FROM_C, FIN | ACK, C + 1 - 2 * MIB, S + 1, 0, E},
	    {FROM_C, FIN | ACK, C + 1, S + 1, 0, L}}},
    {"data out of the window do not move it", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, ACK, C + 1 + 2 * MIB, S + 1, 1000, E},
	    {FROM_C, RST, C + 2 * MIB, 0, 0, E}, {FROM_C, RST, C + 1, 0, 0, T}}},
    {"an ACK of more than was sent closes nothing", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_S, FIN | ACK, S + 1, C + 1, 0, L},
	    {FROM_C, FIN | ACK, C + 1, S + 1, 0, L}, {FROM_S, ACK, S + 2, C + 2, 0, L},
	    {FROM_C, ACK, C + 2, S + 2 + 2 * MIB, 0, L},
	    {FROM_C, ACK, C + 2, S + 2 + (UINT32_C(1) << 31), 0, L},
	    {FROM_C, ACK, C + 2, S + 2, 0, T}}},
    {"the server's word after a gap", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, ACK, C + 1 + 3 * MIB, S + 1, 1000, E},
	    {FROM_S, ACK, S + 1, C + 1001 + 3 * MIB, 0, E},
	    {FROM_C, FIN | ACK, C + 1001 + 3 * MIB, S + 1, 0, L},
	    {FROM_S, FIN | ACK, S + 1, C + 1002 + 3 * MIB, 0, L},
	    {FROM_C, ACK, C + 1002 + 3 * MIB, S + 2, 0, T}}},
    {"megabytes in both directions, across the wrap", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, ACK, C + 1, S + 1, 1000000, E},
	    {FROM_S, ACK, S + 1, C + 1000001, 1000000, E},
	    {FROM_C, ACK, C + 1000001, S + 1000001, 1000000, E},
	    {FROM_S, ACK, S + 1000001, C + 2000001, 1000000, E}, {FROM_C, RST, C + 1, 0, 0, E},
	    {FROM_S, RST, S + 1, 0, 0, E}, {FROM_C, FIN | ACK, C + 2000001, S + 2000001, 0, L},
	    {FROM_S, FIN | ACK, S + 2000001, C + 2000002, 0, L},
	    {FROM_C, ACK, C + 2000002, S + 2000002, 0, T}}},
    {"a stray SYN and a stray SYN-ACK on a live one", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, SYN, C + 3 * MIB, 0, 0, E},
	    {FROM_S, SYN | ACK, S + 99, C + 7, 0, E}, {FROM_C, RST, C + 1, 0, 0, T}}},
    {"transferred: the client's half", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, SYN | ACK, C, S + 1, 0, O},
	    {FROM_C, ACK, C + 1, S + 1, 0, E}, {FROM_C, ACK | PSH, C + 1, S + 1, 500, E},
	    {FROM_C, ACK, C + 501, S + 65001, 0, E}, {FROM_C, FIN | ACK, C + 501, S + 65001, 0, L},
	    {FROM_C, ACK, C + 502, S + 65002, 0, L}}},
    {"transferred: reset by the client", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, ACK, C + 1, S + 1, 0, E},
	    {FROM_C, RST, C + 1 + 2 * MIB, 0, 0, E}, {FROM_C, RST | ACK, C + 1, S + 1, 0, T}}},
    {"transferred: reset before the answer", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, RST, C + 1, 0, 0, T}}},
    {"passed on: the client's half", CONNECTION_PASSED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, ACK | PSH, C + 1, S + 1, 500, E},
	    {FROM_C, FIN | ACK, C + 501, S + 1, 0, L}}},
    {"transferred, replies by way of us", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, SYN | ACK, S, C + 1, 0, O},
	    {FROM_C, ACK, C + 1, S + 1, 0, E}, {FROM_S, FIN | ACK, S + 1, C + 1, 0, L},
	    {FROM_C, FIN | ACK, C + 1, S + 2, 0, L}, {FROM_S, ACK, S + 2, C + 2, 0, T}}},
    {"transferred, replies by way of us from the middle", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, ACK, C + 1, S + 1, 0, E},
	    {FROM_S, RST | ACK, S, C + 1 + 2 * MIB, 0, E}, {FROM_S, RST | ACK, S, C + 1, 0, T}}},
    {"packets of the server before the client's SYN", CONNECTION_LOCAL,
	{{FROM_S, SYN | ACK, S, C + 1, 0, O}, {FROM_S, RST | ACK, 0, C + 1, 0, O},
	    {FROM_C, RST, 1, 0, 0, O}, {FROM_C, ACK, C + 1, S + 1, 100, E},
	    {FROM_C, FIN | ACK, C + 101, S + 1, 0, L}}},
    {"no flags at all, and all of them", CONNECTION_LOCAL,
	{HANDSHAKE, {FROM_C, 0x20, C + 1, 0, 10, E}, {FROM_C, PSH, C + 11, 0, 0, E},
	    {FROM_C, 0xff & ~RST, C + 11, S + 1, 0, E}, {FROM_C, 0xff, C + 2 * MIB, 0, 0, E},
	    {FROM_C, 0xff, C + 11, 0, 0, T}}},
};

static void
track_step(struct connection_table *table, struct connection *c, const struct step *s)
{
	struct connection_event event = {
	    .side = (enum connection_side)s->side,
	    .tcp_flags = s->flags,
	    .tcp_seq = s->seq,
	    .tcp_ack = s->ack,
	    .payload = s->payload,
	    .len = 40 + s->payload,
	};

	connection_track(table, c, &event, START);
}

static struct connection *
open_tcp(struct connection_table *table, enum connection_kind kind)
{
	struct connection_new what = connection_of(kind, IPPROTO_TCP, 0);
	struct random random;

	random_init(&random, 1);
	return open_new(table, &what, &random, START);
}

static void
test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		const struct story *story = &stories[i];
		struct connection_table *table = table_of(16);
		struct connection *c = open_tcp(table, story->kind);
		struct told told = {0};
		bool active = true;

		connection_table_set_change(table, told_change, &told);
		for (size_t j = 0; j < STEPS_MAX && story->steps[j].flags != 0; j++) {
			track_step(table, c, &story->steps[j]);
			if (c->state != story->steps[j].state)
				fail_msg("%s: step %zu: %s", story->name, j + 1,
				    connection_state_name((enum connection_state)c->state));
			active = story->steps[j].state == O || story->steps[j].state == E;
			assert_int_equal(connection_is_active(c), active);
			assert_int_equal(told.inactive, !active);
		}
		connection_end(table, c);
		assert_int_equal(told.ended, 1);
		assert_int_equal(told.ended_active, active);
		assert_int_equal(told.wrong, 0);
		connection_table_free(table);
	}
}

/* When a SYN is the first of a new connection: after these packets, with this number. */
struct reopening {
	const char *name;
	enum connection_kind kind;
	struct step steps[8];
	uint32_t seq;
	bool expected;
};

#define CLIENT_CLOSES \
	HANDSHAKE, \
	{ \
		FROM_C, FIN | ACK, C + 1, S + 1, 0, L \
	}
#define SERVER_CLOSES \
	HANDSHAKE, \
	{ \
		FROM_S, FIN | ACK, S + 1, C + 1, 0, L \
	}
#define CLOSED \
	CLIENT_CLOSES, {FROM_S, FIN | ACK, S + 1, C + 2, 0, L}, \
	{ \
		FROM_C, ACK, C + 2, S + 2, 0, T \
	}

static const struct reopening reopenings[] = {
    {"opening", CONNECTION_LOCAL, {{FROM_C, SYN, C, 0, 0, O}}, C + MIB, false},
    {"established", CONNECTION_LOCAL, {HANDSHAKE}, C + MIB, false},
    {"time wait", CONNECTION_LOCAL, {CLOSED}, C + MIB, true},
    {"time wait, any number", CONNECTION_LOCAL, {CLOSED}, C - MIB, true},
    {"refused", CONNECTION_LOCAL,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_S, RST | ACK, 0, C + 1, 0, T}}, C + MIB, true},
    {"the server may still send", CONNECTION_LOCAL, {CLIENT_CLOSES}, C + MIB, false},
    {"the server may still send, received", CONNECTION_RECEIVED, {CLIENT_CLOSES}, C + MIB, false},
    {"both have closed", CONNECTION_LOCAL,
	{CLIENT_CLOSES, {FROM_S, FIN | ACK, S + 1, C + 1, 0, L}}, C + 3, true},
    {"both have closed, an old SYN", CONNECTION_LOCAL,
	{CLIENT_CLOSES, {FROM_S, FIN | ACK, S + 1, C + 1, 0, L}}, C, false},
    {"the server has closed", CONNECTION_LOCAL, {SERVER_CLOSES}, C + 3, true},
    {"the server has closed, an old SYN", CONNECTION_LOCAL, {SERVER_CLOSES}, C, false},
    {"transferred, live", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, ACK, C + 1, S + 1, 0, E}}, C + MIB, false},
    {"transferred, closed by the client", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, FIN | ACK, C + 1, S + 1, 0, L}}, C + 3, true},
    {"transferred, closed by the client, an old SYN", CONNECTION_TRANSFERRED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, FIN | ACK, C + 1, S + 1, 0, L}}, C, false},
    {"passed on, closed by the client", CONNECTION_PASSED,
	{{FROM_C, SYN, C, 0, 0, O}, {FROM_C, FIN | ACK, C + 1, S + 1, 0, L}}, C + 3, true},
};

static void
test_reopening(void **state)
{
	static const uint8_t others[] = {
	    0, ACK, SYN | ACK, SYN | RST, SYN | FIN, FIN, RST, PSH | ACK};

	(void)state;
	for (size_t i = 0; i < sizeof(reopenings) / sizeof(reopenings[0]); i++) {
		const struct reopening *r = &reopenings[i];
		struct connection_table *table = table_of(16);
		struct connection *c = open_tcp(table, r->kind);
		struct connection_event event = {.tcp_flags = SYN, .tcp_seq = r->seq};
		struct connection before;

		for (size_t j = 0; j < 8 && r->steps[j].flags != 0; j++) {
			track_step(table, c, &r->steps[j]);
			assert_int_equal(c->state, r->steps[j].state);
		}
		before = *c;
		if (connection_may_reopen(c, &event) != r->expected)
			fail_msg("%s", r->name);
		/* with ECN and push bits it is a SYN as well */
		event.tcp_flags = SYN | PSH | 0xc0;
		assert_int_equal(connection_may_reopen(c, &event), r->expected);
		for (size_t j = 0; j < sizeof(others); j++) {
			event.tcp_flags = others[j];
			assert_false(connection_may_reopen(c, &event));
		}
		event.tcp_flags = SYN;
		event.side = CONNECTION_FROM_SERVER;
		assert_false(connection_may_reopen(c, &event));
		assert_memory_equal(&before, c, sizeof(before));
		connection_table_free(table);
	}
}

static void
test_datagrams_do_not_reopen(void **state)
{
	struct connection_table *table = table_of(16);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 0);
	struct connection_event event = {.tcp_flags = SYN};
	struct random random;
	struct connection *c;

	(void)state;
	random_init(&random, 1);
	c = open_new(table, &what, &random, START);
	assert_false(connection_may_reopen(c, &event));
	connection_table_free(table);
}

/* A SYN with a RST, a FIN or an ACK after it must not leave the queue from which a flood is
 * thrown out: the table would fill with records that live longer. */
static void
test_forged_packets_do_not_pin_records(void **state)
{
	static const struct step second[] = {
	    {FROM_C, RST, C + 1, 0, 0, T},
	    {FROM_C, FIN | ACK, C + 1, S + 1, 0, O},
	    {FROM_C, ACK, C + 1, S + 1, 0, O},
	    {FROM_C, ACK | PSH, C + 1, S + 1, 100, O},
	    {FROM_S, RST | ACK, 0, C + 1, 0, T},
	};
	static const struct step syn = {FROM_C, SYN, C, 0, 0, O};
	struct random random;

	(void)state;
	random_init(&random, 1);
	for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
		struct connection_table *table = table_of(400);
		struct connection_counts counts;

		for (uint32_t j = 0; j < 5000; j++) {
			struct connection_new what =
			    connection_of(CONNECTION_LOCAL, IPPROTO_TCP, j);
			struct connection *c =
			    open_new(table, &what, &random, START + j * CLOCK_SECOND / 50);

			track_step(table, c, &syn);
			track_step(table, c, &second[i]);
			assert_int_equal(c->state, second[i].state);
		}
		connection_table_counts(table, &counts);
		assert_int_equal(counts.live, 100);
		assert_int_equal(connection_expire(table, START + 161 * CLOCK_SECOND, 1000), 100);
		connection_table_free(table);
	}
}

/* Whatever comes: states only go forward, nothing is blocked, all is told. */
static void
test_random_packets(void **state)
{
	struct random random;

	(void)state;
	random_init(&random, 2024);
	for (uint32_t i = 0; i < 200; i++) {
		struct connection_table *table = table_of(16);
		struct connection *c = open_tcp(table, (enum connection_kind)(i % 4));
		struct told told = {0};
		int before = O;

		connection_table_set_change(table, told_change, &told);
		for (uint32_t j = 0; j < 1000; j++) {
			struct step s = {
			    .side = (int)random_below(&random, 2),
			    .flags = (uint8_t)random_next(&random),
			    .seq = C + random_below(&random, 40) - 20,
			    .ack = S + random_below(&random, 40) - 20,
			    .payload = random_below(&random, 4) * 20,
			};

			if (random_below(&random, 4) != 0)
				s.flags &= (uint8_t)~RST;
			if (s.side == FROM_S) {
				uint32_t seq = s.seq;

				s.seq = s.ack;
				s.ack = seq;
			}
			track_step(table, c, &s);
			assert_true(c->state >= before);
			before = c->state;
			assert_int_equal(told.inactive, before == L || before == T);
			if (before == T)
				assert_true(connection_remaining_ms(table, c, START) <= 120250);
		}
		assert_int_equal(c->packets, 1000);
		assert_int_equal(told.wrong, 0);
		/* whichever list it was moved to: it was in that one only */
		connection_expire(table, START + 8000 * CLOCK_SECOND, 10);
		assert_int_equal(told.ended, 1);
		assert_true(connection_next_expiry(table) == UINT64_MAX);
		connection_table_free(table);
	}
}

/* Counted, and a sign of life; what stands where a header would be is data. */
static void
test_later_fragments(void **state)
{
	struct connection_table *table = table_of(64);
	struct connection_new what = connection_of(CONNECTION_LOCAL, IPPROTO_TCP, 1);
	struct connection_event event = {.side = CONNECTION_FROM_SERVER,
	    .tcp_flags = RST | FIN | SYN | ACK,
	    .tcp_seq = 5001,
	    .tcp_ack = 99999,
	    .payload = 1000,
	    .len = 1480,
	    .later_fragment = true};
	struct random random;
	struct connection *c, before;
	uint64_t now = START;

	(void)state;
	random_init(&random, 1);
	c = open_new(table, &what, &random, now);
	establish(table, c, now);
	before = *c;
	now += 100 * CLOCK_SECOND;
	for (event.side = CONNECTION_FROM_CLIENT; event.side <= CONNECTION_FROM_SERVER;
	     event.side++)
		connection_track(table, c, &event, now);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	assert_int_equal(c->flags, before.flags);
	assert_int_equal(c->client_seq, before.client_seq);
	assert_int_equal(c->server_seq, before.server_seq);
	assert_int_equal(c->packets, before.packets + 2);
	assert_int_equal(c->bytes, before.bytes + 2 * 1480);
	assert_int_equal(connection_idle_ms(table, c, now), 0);

	/* a reply is one only with the header that says whose */
	what = connection_of(CONNECTION_LOCAL, IPPROTO_UDP, 2);
	c = open_new(table, &what, &random, now);
	event.side = CONNECTION_FROM_SERVER;
	connection_track(table, c, &event, now);
	assert_int_equal(c->state, CONNECTION_OPENING);
	event.later_fragment = false;
	connection_track(table, c, &event, now);
	assert_int_equal(c->state, CONNECTION_ESTABLISHED);
	connection_table_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stories),
	    cmocka_unit_test(test_reopening),
	    cmocka_unit_test(test_datagrams_do_not_reopen),
	    cmocka_unit_test(test_forged_packets_do_not_pin_records),
	    cmocka_unit_test(test_random_packets),
	    cmocka_unit_test(test_later_fragments),
	};

	return cmocka_run_group_tests_name("connection_tcp", tests, NULL, NULL);
}
