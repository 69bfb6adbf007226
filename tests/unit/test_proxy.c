/*
 * The PROXY header in front of a client's data: its octets, its sequence numbers, and what
 * becomes of it when packets are lost, repeated, early, or forged; by each rule, IPv4 and IPv6.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "datapath_internal.h"
#include "proxy_rig.h"

#define X UINT32_C(0xfffffff0) /* the client's number, which wraps within the header's reach */
#define S UINT32_C(5000)       /* the server's */
#define H (r->header)

static const uint8_t SIGNATURE[12] = {13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10};

/* With timestamps, of the client and of the server. */
static const uint8_t CLOCK[12] = {1, 1, 8, 10, 0, 0, 0, 11, 0, 0, 0, 22};
static const uint8_t SERVER_CLOCK[12] = {1, 1, 8, 10, 0, 0, 0, 33, 0, 0, 0, 11};
static const uint8_t ANSWER_CLOCK[12] = {1, 1, 8, 10, 0, 0, 0, 11, 0, 0, 0, 33};

static uint16_t
window_of(const struct packet *p)
{
	return frame_get16(p->data + p->transport + 14);
}

/* The packet is the header, whole, in its place. */
static void
assert_header(const struct rig *r, const struct packet *p, uint32_t ack)
{
	const uint8_t *at = p->data + p->payload;
	size_t ip_len = r->version == 4 ? 4 : 16;

	assert_int_equal(packet_payload_len(p), H);
	assert_int_equal(p->tcp_seq, X + 1 - H);
	assert_int_equal(p->tcp_ack, ack);
	assert_int_equal(p->tcp_flags, TCP_ACK | TCP_PSH);
	assert_memory_equal(at, SIGNATURE, 12);
	assert_int_equal(at[12], 0x21);
	assert_int_equal(at[13], r->version == 4 ? 0x11 : 0x21);
	assert_int_equal(frame_get16(at + 14), 2 * ip_len + 4);
	at += 16;
	assert_memory_equal(at, r->client.ip.octet + 16 - ip_len, ip_len);
	assert_memory_equal(at + ip_len, r->service.ip.octet + 16 - ip_len, ip_len);
	assert_int_equal(frame_get16(at + 2 * ip_len), r->client.port);
	assert_int_equal(frame_get16(at + 2 * ip_len + 2), r->service.port);
}

static void
syn(struct rig *r)
{
	assert_int_equal(rig_client(r, TCP_SYN, X, 0, 0), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X - H);
	assert_int_equal(r->got[0].p.tcp_flags, TCP_SYN);
}

static void
syn_ack(struct rig *r)
{
	struct packet *p = rig_server(r, TCP_SYN | TCP_ACK, S, X - H + 1, 0);

	assert_non_null(p);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(p->tcp_seq, S);
	assert_int_equal(window_of(p), 0x7210 - H);
}

/* Up to the header, which takes the place of the client's acknowledgement. */
static void
handshake(struct rig *r)
{
	syn(r);
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 0), 1);
	assert_header(r, &r->got[0].p, S + 1);
	assert_int_equal(rig_record(r)->state, CONNECTION_ESTABLISHED);
}

static void
acknowledged(struct rig *r)
{
	struct packet *p;

	handshake(r);
	p = rig_server(r, TCP_ACK, S + 1, X + 1, 0);
	assert_non_null(p);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(window_of(p), 0x7210);
	assert_int_equal(rig_record(r)->proxy, CONNECTION_PROXY_DONE);
}

static void
each(void (*story)(struct rig *))
{
	static struct rig r;

	for (int rule = RIG_LOCAL; rule <= RIG_RELAY; rule++)
		for (int version = 4; version <= 6; version += 2) {
			rig_make(&r, (enum rig_rule)rule, version);
			story(&r);
			rig_free(&r);
		}
}

#define STORY(name) \
	static void name##_story(struct rig *r); \
	static void test_##name(void **state) \
	{ \
		(void)state; \
		each(name##_story); \
	} \
	static void name##_story(struct rig *r)

STORY(life)
{
	struct packet *p;

	acknowledged(r);
	/* from here on nothing is different from other connections */
	assert_int_equal(rig_client(r, TCP_ACK | TCP_PSH, X + 1, S + 1, 100), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X + 1);
	assert_int_equal(packet_payload_len(&r->got[0].p), 100);
	p = rig_server(r, TCP_ACK, S + 1, X + 101, 500);
	assert_int_equal(p->tcp_ack, X + 101);
	assert_int_equal(window_of(p), 0x7210);
	assert_int_equal(rig_client(r, TCP_ACK | TCP_FIN, X + 101, S + 501, 0), 1);
	p = rig_server(r, TCP_ACK | TCP_FIN, S + 501, X + 102, 0);
	assert_int_equal(p->tcp_ack, X + 102);
	assert_int_equal(rig_record(r)->state, CONNECTION_CLOSING);
	assert_int_equal(rig_client(r, TCP_ACK, X + 102, S + 502, 0), 1);
	assert_int_equal(rig_record(r)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(rig_counter(r, COUNTER_proxy_headers), 1);
	assert_int_equal(rig_counter(r, COUNTER_proxy_headers_repeated), 0);
}

/* The header has the options of the packet that it goes with. */
STORY(timestamps)
{
	r->options = CLOCK;
	r->options_len = sizeof(CLOCK);
	handshake(r);
	assert_int_equal(r->got[0].p.payload - r->got[0].p.transport, 32);
	assert_memory_equal(r->got[0].p.data + r->got[0].p.transport + 20, CLOCK, 12);
	assert_int_equal(window_of(&r->got[0].p), 0x7210);
}

/* The acknowledgement was lost, or never sent alone: the data bring the header. */
STORY(data_end_the_handshake)
{
	syn(r);
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_ACK | TCP_PSH, X + 1, S + 1, 300), 2);
	assert_header(r, &r->got[0].p, S + 1);
	assert_int_equal(r->got[1].p.tcp_seq, X + 1);
	assert_int_equal(packet_payload_len(&r->got[1].p), 300);
}

/* The first data after the header do not bring it again; repeated ones do. */
STORY(client_repeats)
{
	handshake(r);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 300), 1);
	assert_int_equal(rig_client(r, TCP_ACK, X + 301, S + 1, 300), 1);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 300), 2);
	assert_header(r, &r->got[0].p, S + 1);
	assert_int_equal(r->got[1].p.tcp_seq, X + 1);
	assert_int_equal(rig_counter(r, COUNTER_proxy_headers), 1);
	assert_int_equal(rig_counter(r, COUNTER_proxy_headers_repeated), 1);
	assert_int_equal(rig_server(r, TCP_ACK, S + 1, X + 601, 0)->tcp_ack, X + 601);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 300), 1);
}

/* Lost in place of the acknowledgement: the server repeats its SYN-ACK, the client answers. */
STORY(header_lost_in_the_handshake)
{
	handshake(r);
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 0), 1);
	assert_header(r, &r->got[0].p, S + 1);
	assert_int_equal(rig_counter(r, COUNTER_proxy_headers_repeated), 1);
}

/* The server has the data but not the header, and says so: it gets the header at once, once. */
STORY(header_lost_before_data)
{
	struct packet *p;

	r->options = CLOCK;
	r->options_len = sizeof(CLOCK);
	handshake(r);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 300), 1);
	r->options = SERVER_CLOCK;
	p = rig_server(r, TCP_ACK, S + 1, X + 1 - H, 0);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(window_of(p), 0x7210 - H);
	assert_int_equal(rig_given_back(r), 1);
	assert_header(r, &r->got[0].p, S + 1);
	assert_memory_equal(r->got[0].p.data + r->got[0].p.transport + 20, ANSWER_CLOCK, 12);
	p = rig_server(r, TCP_ACK, S + 1, X + 1 - H, 0);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(rig_given_back(r), 0);
	/* after the client has repeated something, again */
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 300), 2);
	rig_server(r, TCP_ACK, S + 1, X + 1 - H, 0);
	assert_int_equal(rig_given_back(r), 1);
	assert_int_equal(rig_server(r, TCP_ACK, S + 1, X + 301, 0)->tcp_ack, X + 301);
	assert_int_equal(rig_record(r)->proxy, CONNECTION_PROXY_DONE);
}

/* Without data under way, or of a server that has sent some, no answer is made up. */
STORY(no_header_is_made_up)
{
	handshake(r);
	rig_server(r, TCP_ACK, S + 1, X + 1 - H, 0);
	assert_int_equal(rig_given_back(r), 0);
	assert_int_equal(rig_server(r, TCP_ACK, S + 1, X + 1 - H, 50)->tcp_ack, X + 1);
	assert_int_equal(rig_given_back(r), 0);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 300), 1);
	rig_server(r, TCP_ACK, S + 51, X + 1 - H, 0);
	assert_int_equal(rig_given_back(r), 0);
}

/* A part of the header acknowledged is nothing that the client could know. */
STORY(part_of_the_header)
{
	struct packet *p;

	handshake(r);
	p = rig_server(r, TCP_ACK, S + 1, X, 0);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(window_of(p), 0x7210 - 1);
	assert_int_equal(rig_record(r)->proxy, CONNECTION_PROXY_SENT);
}

/* Fast Open: data in the SYN go the long way, and there is no cookie to be had. */
STORY(data_in_the_syn)
{
	static const uint8_t offered[16] = {34, 6, 1, 2, 3, 4, 2, 4, 5, 0xb4, 30, 4, 0, 0x81, 0};
	static const uint8_t left[16] = {1, 1, 1, 1, 1, 1, 2, 4, 5, 0xb4, 1, 1, 1, 1, 0};

	r->options = offered;
	r->options_len = sizeof(offered);
	assert_int_equal(rig_client(r, TCP_SYN, X, 0, 200), 1);
	assert_int_equal(packet_payload_len(&r->got[0].p), 0);
	assert_int_equal(r->got[0].p.tcp_seq, X - H);
	assert_memory_equal(r->got[0].p.data + r->got[0].p.transport + 20, left, 16);
	r->options_len = 0;
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 200), 2);
	assert_header(r, &r->got[0].p, S + 1);
}

/* Options that cannot be read, and the experimental form of Fast Open. */
STORY(odd_options)
{
	static const uint8_t experiment[8] = {254, 4, 0xf9, 0x89, 2, 4, 5, 0xb4};
	static const uint8_t other[8] = {254, 4, 0x12, 0x34, 2, 4, 5, 0xb4};
	static const uint8_t broken[8] = {3, 3, 7, 34, 9, 1, 1, 1};
	static const uint8_t blank[4] = {1, 1, 1, 1};

	r->options_len = 8;
	r->options = experiment;
	syn(r);
	assert_memory_equal(r->got[0].p.data + r->got[0].p.transport + 20, blank, 4);
	r->options = other;
	syn(r);
	assert_memory_equal(r->got[0].p.data + r->got[0].p.transport + 20, other, 8);
	r->options = broken;
	syn(r);
	assert_memory_equal(r->got[0].p.data + r->got[0].p.transport + 20, broken, 8);
}

/* A client that gives up before the header: its RST is exactly what the server expects next. */
STORY(reset_while_opening)
{
	syn(r);
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_RST, X + 1, 0, 0), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X + 1 - H);
	assert_int_equal(rig_record(r)->state, CONNECTION_TIME_WAIT);
	assert_int_equal(rig_counter(r, COUNTER_proxy_headers), 0);
}

/* One that gives up after it: the header goes first, so that the RST is exact. */
STORY(reset_behind_the_header)
{
	handshake(r);
	assert_int_equal(rig_client(r, TCP_RST | TCP_ACK, X + 1, S + 1, 0), 2);
	assert_header(r, &r->got[0].p, S + 1);
	assert_int_equal(r->got[1].p.tcp_seq, X + 1);
	assert_int_equal(r->got[1].p.tcp_flags, TCP_RST | TCP_ACK);
	assert_int_equal(rig_record(r)->state, CONNECTION_TIME_WAIT);
}

STORY(reset_of_an_established_one)
{
	acknowledged(r);
	assert_int_equal(rig_client(r, TCP_RST, X + 1, 0, 0), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X + 1);
	assert_int_equal(rig_record(r)->state, CONNECTION_TIME_WAIT);
}

/* Refused: the client sees its SYN acknowledged, and believes it. */
STORY(server_refuses)
{
	struct packet *p;

	syn(r);
	p = rig_server(r, TCP_RST | TCP_ACK, 0, X + 1 - H, 0);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(p->tcp_flags, TCP_RST | TCP_ACK);
	assert_int_equal(rig_record(r)->state, CONNECTION_TIME_WAIT);
}

STORY(server_resets_before_it_has_the_header)
{
	struct packet *p;

	handshake(r);
	p = rig_server(r, TCP_RST | TCP_ACK, S + 1, X + 1 - H, 0);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(rig_record(r)->state, CONNECTION_TIME_WAIT);
	assert_int_not_equal(rig_record(r)->proxy, CONNECTION_PROXY_DONE);
}

STORY(fin_without_data)
{
	struct packet *p;

	syn(r);
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_ACK | TCP_FIN, X + 1, S + 1, 0), 2);
	assert_header(r, &r->got[0].p, S + 1);
	assert_int_equal(r->got[1].p.tcp_seq, X + 1);
	assert_int_equal(r->got[1].p.tcp_flags, TCP_ACK | TCP_FIN);
	assert_int_equal(rig_record(r)->state, CONNECTION_CLOSING);
	/* an acknowledgement that is raised is none of the FIN */
	p = rig_server(r, TCP_ACK | TCP_FIN, S + 1, X + 1 - H, 0);
	assert_int_equal(p->tcp_ack, X + 1);
	rig_client(r, TCP_ACK, X + 2, S + 2, 0);
	assert_int_equal(rig_record(r)->state, CONNECTION_CLOSING);
	assert_int_equal(rig_server(r, TCP_ACK, S + 2, X + 2, 0)->tcp_ack, X + 2);
	assert_int_equal(rig_record(r)->state, CONNECTION_TIME_WAIT);
}

/* The same SYN again, and a client that begins anew with another number. */
STORY(syn_again)
{
	syn(r);
	syn(r);
	assert_int_equal(rig_client(r, TCP_SYN, X + 77777, 0, 0), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X + 77777 - H);
	/* what is in force is what the server says */
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 0), 1);
	assert_header(r, &r->got[0].p, S + 1);
}

STORY(another_syn_is_answered)
{
	syn(r);
	syn_ack(r);
	assert_int_equal(rig_client(r, TCP_SYN, X + 77777, 0, 0), 1);
	assert_int_equal(
	    rig_server(r, TCP_SYN | TCP_ACK, S, X + 77777 - H + 1, 0)->tcp_ack, X + 77778);
	assert_int_equal(rig_client(r, TCP_ACK, X + 77778, S + 1, 5), 2);
	assert_int_equal(r->got[0].p.tcp_seq, X + 77778 - H);
	assert_int_equal(r->got[1].p.tcp_seq, X + 77778);
}

/* A server that has forgotten a connection of which we know takes no stream without a header. */
STORY(server_begins_anew)
{
	acknowledged(r);
	assert_int_equal(rig_client(r, TCP_SYN, X, 0, 0), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X - H);
	assert_int_equal(rig_server(r, TCP_SYN | TCP_ACK, S, X - H + 1, 0)->tcp_ack, X + 1);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 10), 2);
	assert_header(r, &r->got[0].p, S + 1);
}

/* Nobody but us writes where the header stands. */
STORY(forged_headers)
{
	uint32_t early[] = {X - H, X + 1 - H, X - H - 100, X, X + 1 - H + 5};

	syn(r);
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		assert_int_equal(rig_client(r, TCP_ACK | TCP_PSH, early[i], S + 1, 200), 0);
	}
	assert_int_equal(rig_client(r, TCP_ACK | TCP_PSH, X + 1, S + 1, 200), 0);
	syn_ack(r);
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		assert_int_equal(rig_client(r, TCP_ACK | TCP_PSH, early[i], S + 1, 200), 0);
	}
	assert_int_equal(rig_client(r, TCP_ACK | TCP_FIN, X, S + 1, 0), 0);
	handshake(r);
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++)
		assert_int_equal(rig_client(r, TCP_ACK | TCP_PSH, early[i], S + 1, 200), 0);
	assert_int_equal(rig_server_site(r)->counters.drop[DROP_proxy_header], 17);
	/* once the server has it, old octets are nothing to it */
	rig_server(r, TCP_ACK, S + 1, X + 1, 0);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1 - H, S + 1, 200), 1);
}

STORY(odd_syns)
{
	assert_int_equal(rig_client(r, TCP_SYN, X, 0, 0), 1);
	assert_int_equal(rig_client(r, TCP_SYN | TCP_FIN, X, 0, 0), 0);
	assert_int_equal(rig_client(r, TCP_SYN | TCP_RST, X, 0, 0), 0);
	assert_int_equal(rig_server_site(r)->counters.drop[DROP_proxy_header], 2);
	/* of both ends at once */
	assert_int_equal(rig_client(r, TCP_SYN | TCP_ACK, X, S + 1, 0), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X - H);
}

/* Probes of a client that is silent: one below what it would send next, with an octet or none. */
STORY(keep_alive)
{
	handshake(r);
	assert_int_equal(rig_client(r, TCP_ACK, X, S + 1, 1), 0);
	assert_int_equal(rig_client(r, TCP_ACK, X, S + 1, 0), 2);
	assert_header(r, &r->got[0].p, S + 1);
	rig_server(r, TCP_ACK, S + 1, X + 1, 0);
	assert_int_equal(rig_client(r, TCP_ACK, X, S + 1, 1), 1);
	assert_int_equal(r->got[0].p.tcp_seq, X);
}

/* A server without room: the client sees none either, and its acknowledgement still
 * brings the header. */
STORY(no_window)
{
	struct packet *p;

	syn(r);
	r->payload = 0;
	rig_frame(r, &r->server, &r->self, TCP_SYN | TCP_ACK, S, X + 1 - H);
	frame_put16(r->t.frame.octets + r->t.frame.transport + 14, H - 1);
	two_sites_device(&r->t, rig_server_site(r));
	rig_collect(r, rig_server_site(r));
	assert_int_equal(r->count, 1);
	assert_int_equal(window_of(&r->got[0].p), 0);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 0), 1);
	assert_header(r, &r->got[0].p, S + 1);
	p = rig_server(r, TCP_ACK, S + 1, X + 1, 0);
	assert_int_equal(window_of(p), 0x7210);
}

/* What a wrong checksum covers is not sent on under a right one. */
STORY(wrong_checksums)
{
	uint8_t *field;

	syn(r);
	syn_ack(r);
	rig_frame(r, &r->client, &r->service, TCP_ACK, X + 1, S + 1);
	frame_finish(&r->t.frame);
	field = r->t.frame.octets + frame_checksum_at(&r->t.frame);
	field[0] ^= 1;
	assert_int_equal(
	    memory_put_packet(r->t.x->io, r->t.frame.octets, r->t.frame.len, 0, 0, false), 0);
	datapath_run_device(r->t.x->datapath, r->t.now);
	if (r->rule == RIG_DIRECT) /* the transferor does not look */
		instance_carry(r->t.x, r->t.y, r->t.now);
	assert_true(two_sites_silent(rig_server_site(r)));
	assert_int_equal(rig_server_site(r)->counters.drop[DROP_proxy_header], 1);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 0), 1);
	assert_header(r, &r->got[0].p, S + 1);
}

/* Partial checksums are as good as right ones. */
STORY(partial_checksums)
{
	syn(r);
	syn_ack(r);
	r->payload = 0;
	rig_frame(r, &r->client, &r->service, TCP_ACK, X + 1, S + 1);
	frame_finish_partial(&r->t.frame);
	assert_int_equal(
	    memory_put_packet(r->t.x->io, r->t.frame.octets, r->t.frame.len, 0, 0, true), 0);
	datapath_run_device(r->t.x->datapath, r->t.now);
	if (r->rule != RIG_LOCAL)
		instance_carry(r->t.x, r->t.y, r->t.now);
	rig_collect(r, r->rule == RIG_LOCAL ? r->t.x : r->t.y);
	assert_int_equal(r->count, 1);
	assert_header(r, &r->got[0].p, S + 1);
}

/* The server speaks first: it has the header before the client has said anything. */
STORY(server_speaks_first)
{
	struct packet *p;

	handshake(r);
	p = rig_server(r, TCP_ACK | TCP_PSH, S + 1, X + 1, 30);
	assert_int_equal(p->tcp_ack, X + 1);
	assert_int_equal(packet_payload_len(p), 30);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 31, 0), 1);
	assert_int_equal(packet_payload_len(&r->got[0].p), 0);
}

/* Cookies in the place of memory: each SYN-ACK has another number, and the client may answer
 * either. */
STORY(another_number_of_the_server)
{
	syn(r);
	syn_ack(r);
	assert_int_equal(
	    rig_server(r, TCP_SYN | TCP_ACK, S + 9999, X - H + 1, 0)->tcp_ack, X + 1);
	assert_int_equal(rig_client(r, TCP_ACK, X + 1, S + 1, 0), 1);
	assert_header(r, &r->got[0].p, S + 1);
}

/* A server that is given up before it has the header gets a RST that it takes. */
STORY(expected_number)
{
	syn(r);
	assert_int_equal(datapath_proxy_seq(rig_record(r)), X + 1 - H);
	syn_ack(r);
	assert_int_equal(datapath_proxy_seq(rig_record(r)), X + 1 - H);
	acknowledged(r);
	rig_client(r, TCP_ACK, X + 1, S + 1, 100);
	assert_int_equal(datapath_proxy_seq(rig_record(r)), X + 101);
}

/* What checks of ours begin with: nobody's connection. */
static void
test_local_header(void **state)
{
	static const uint8_t rest[4] = {0x20, 0, 0, 0};
	uint8_t header[PROXY_LOCAL_LEN];

	(void)state;
	proxy_header_local(header);
	assert_memory_equal(header, SIGNATURE, 12);
	assert_memory_equal(header + 12, rest, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_timestamps),
	    cmocka_unit_test(test_data_end_the_handshake),
	    cmocka_unit_test(test_client_repeats),
	    cmocka_unit_test(test_header_lost_in_the_handshake),
	    cmocka_unit_test(test_header_lost_before_data),
	    cmocka_unit_test(test_no_header_is_made_up),
	    cmocka_unit_test(test_part_of_the_header),
	    cmocka_unit_test(test_data_in_the_syn),
	    cmocka_unit_test(test_odd_options),
	    cmocka_unit_test(test_reset_while_opening),
	    cmocka_unit_test(test_reset_behind_the_header),
	    cmocka_unit_test(test_reset_of_an_established_one),
	    cmocka_unit_test(test_server_refuses),
	    cmocka_unit_test(test_server_resets_before_it_has_the_header),
	    cmocka_unit_test(test_fin_without_data),
	    cmocka_unit_test(test_syn_again),
	    cmocka_unit_test(test_another_syn_is_answered),
	    cmocka_unit_test(test_server_begins_anew),
	    cmocka_unit_test(test_forged_headers),
	    cmocka_unit_test(test_odd_syns),
	    cmocka_unit_test(test_keep_alive),
	    cmocka_unit_test(test_no_window),
	    cmocka_unit_test(test_wrong_checksums),
	    cmocka_unit_test(test_partial_checksums),
	    cmocka_unit_test(test_server_speaks_first),
	    cmocka_unit_test(test_another_number_of_the_server),
	    cmocka_unit_test(test_expected_number),
	    cmocka_unit_test(test_local_header),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
