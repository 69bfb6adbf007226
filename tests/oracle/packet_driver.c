/*
 * packet_driver: src/packet as a filter, for a test that computes the same by other means.
 *
 * Reads a command a line, answers with a line.  Octets are in hexadecimal; PARTIAL is 0 or 1;
 * GSO is none, tcp4, tcp6 or udp.  Every command parses its packet first and answers
 * "drop REASON" if it is none.
 *
 *   parse GSO SIZE PARTIAL HEX                  -> view, as name=value pairs
 *   convert SOURCE PORT DESTINATION PORT PARTIAL HEX  -> packet
 *   ttl HEX                                     -> packet, or "none" if it ran out
 *   clamp MSS PARTIAL HEX                       -> packet
 *   complete HEX                                -> packet with its full checksum
 *   segment GSO SIZE PARTIAL HEX                -> packets, separated by spaces
 *   reset HEX, port HEX, host HEX               -> answer, or "none"
 *   toobig MTU HEX, exceeded SENDER HEX         -> answer, or "none"
 *   echo HEX                                    -> reply, or "none" if it is no request
 *   kill SOURCE PORT DESTINATION PORT SEQ ACK   -> reset from nowhere, or "none"
 *
 * A line that is no command is answered by "error".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/convert.h"
#include "packet/packet.h"
#include "packet/reply.h"
#include "packet/segment.h"

#define WORDS 8

/* A command's words and its packet; the first octets are at odd addresses on purpose. */
struct request {
	char *word[WORDS];
	int words;
	uint8_t octets[1 + PACKET_MAX + 16];
	struct packet p;
};

static uint8_t answer[REPLY_MAX];

static unsigned long
number(const char *text)
{
	return strtoul(text, NULL, 0);
}

static void
print_octets(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", data[i]);
}

static void
print_packet(const struct packet *p)
{
	print_octets(p->data, p->len);
	putchar('\n');
}

static void
print_answer(size_t len)
{
	if (len == 0)
		printf("none");
	print_octets(answer, len);
	putchar('\n');
}

/* Octets of hexadecimal text, or -1. */
static long
read_octets(const char *text, uint8_t *to, size_t size)
{
	size_t len = strlen(text) / 2;
	unsigned value;

	if (strlen(text) % 2 != 0 || len > size)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (sscanf(text + 2 * i, "%2x", &value) != 1)
			return -1;
		to[i] = (uint8_t)value;
	}
	return (long)len;
}

static bool
read_gso(const char *text, uint8_t *gso)
{
	static const char *const names[] = {"none", "tcp4", "tcp6", "udp"};

	for (uint8_t i = 0; i < 4; i++)
		if (strcmp(text, names[i]) == 0) {
			*gso = i;
			return true;
		}
	return false;
}

static bool
read_addr(const char *ip, const char *port, struct addr *addr)
{
	addr->port = (uint16_t)number(port);
	return ip_parse(ip, &addr->ip) == 0;
}

/* Parses the packet; says so and returns false if it is none. */
static bool
parses(struct request *r)
{
	enum drop drop = packet_parse(&r->p);

	if (drop == DROP_none)
		return true;
	printf("drop %s\n", drop_name(drop));
	return false;
}

static void
print_view(const struct packet *p)
{
	char source[IP_TEXT], destination[IP_TEXT];

	printf("version=%d protocol=%d fragment=%d flags=%d transport=%d "
	       "payload=%d len=%u",
	    p->version, p->protocol, p->fragment, p->tcp_flags, p->transport, p->payload, p->len);
	printf(" source=%s sport=%d destination=%s dport=%d", ip_format(&p->source.ip, source),
	    p->source.port, ip_format(&p->destination.ip, destination), p->destination.port);
	printf(" seq=%u ack=%u id=%u offset=%d data=%d more=%d\n", p->tcp_seq, p->tcp_ack,
	    p->fragment_id, p->fragment_offset, p->fragment_len, p->fragment_more);
}

static bool
read_offload(struct request *r)
{
	r->p.gso_size = (uint16_t)number(r->word[2]);
	r->p.partial = number(r->word[3]) != 0;
	return read_gso(r->word[1], &r->p.gso);
}

static bool
do_parse(struct request *r)
{
	if (!read_offload(r))
		return false;
	if (parses(r))
		print_view(&r->p);
	return true;
}

static bool
do_convert(struct request *r)
{
	struct addr source, destination;

	if (!read_addr(r->word[1], r->word[2], &source) ||
	    !read_addr(r->word[3], r->word[4], &destination))
		return false;
	r->p.partial = number(r->word[5]) != 0;
	if (parses(r)) {
		packet_convert(&r->p, &source, &destination);
		print_packet(&r->p);
	}
	return true;
}

static bool
do_ttl(struct request *r)
{
	if (!parses(r))
		return true;
	if (packet_decrement_ttl(&r->p))
		print_packet(&r->p);
	else
		puts("none");
	return true;
}

static bool
do_clamp(struct request *r)
{
	r->p.partial = number(r->word[2]) != 0;
	if (parses(r)) {
		packet_clamp_mss(&r->p, (uint16_t)number(r->word[1]));
		print_packet(&r->p);
	}
	return true;
}

static bool
do_complete(struct request *r)
{
	r->p.partial = true;
	if (parses(r)) {
		packet_complete_checksum(&r->p);
		print_packet(&r->p);
	}
	return true;
}

static bool
do_segment(struct request *r)
{
	struct segmenter s;
	struct segment out;

	if (!read_offload(r))
		return false;
	if (!parses(r))
		return true;
	for (segment_start(&s, &r->p); segment_next(&s, &out);) {
		print_octets(out.header, out.header_len);
		print_octets(out.payload, out.payload_len);
		putchar(s.done ? '\n' : ' ');
	}
	return true;
}

static bool
do_reset(struct request *r)
{
	if (parses(r))
		print_answer(reply_reset(&r->p, answer, sizeof(answer)));
	return true;
}

static bool
do_port(struct request *r)
{
	if (parses(r))
		print_answer(reply_port_unreachable(&r->p, answer, sizeof(answer)));
	return true;
}

static bool
do_host(struct request *r)
{
	if (parses(r))
		print_answer(reply_host_unreachable(&r->p, answer, sizeof(answer)));
	return true;
}

static bool
do_toobig(struct request *r)
{
	uint16_t mtu = (uint16_t)number(r->word[1]);

	if (parses(r))
		print_answer(reply_too_big(&r->p, mtu, answer, sizeof(answer)));
	return true;
}

static bool
do_exceeded(struct request *r)
{
	struct addr sender;

	if (!read_addr(r->word[1], "0", &sender))
		return false;
	if (parses(r))
		print_answer(reply_time_exceeded(&r->p, &sender.ip, answer, sizeof(answer)));
	return true;
}

static bool
do_echo(struct request *r)
{
	if (!parses(r))
		return true;
	if (packet_is_echo_request(&r->p)) {
		packet_make_echo_reply(&r->p);
		print_packet(&r->p);
	} else
		puts("none");
	return true;
}

static bool
do_kill(struct request *r)
{
	struct addr source, destination;

	if (!read_addr(r->word[1], r->word[2], &source) ||
	    !read_addr(r->word[3], r->word[4], &destination))
		return false;
	print_answer(reply_build_reset(&source, &destination, (uint32_t)number(r->word[5]),
	    (uint32_t)number(r->word[6]), answer, sizeof(answer)));
	return true;
}

static const struct command {
	const char *name;
	int words;   /* with the name and the packet */
	bool packet; /* the last word is one */
	bool (*run)(struct request *r);
} commands[] = {
    {"parse", 5, true, do_parse},
    {"convert", 7, true, do_convert},
    {"ttl", 2, true, do_ttl},
    {"clamp", 4, true, do_clamp},
    {"complete", 2, true, do_complete},
    {"segment", 5, true, do_segment},
    {"reset", 2, true, do_reset},
    {"port", 2, true, do_port},
    {"host", 2, true, do_host},
    {"toobig", 3, true, do_toobig},
    {"exceeded", 3, true, do_exceeded},
    {"echo", 2, true, do_echo},
    {"kill", 7, false, do_kill},
};

static bool
split(struct request *r, char *line)
{
	char *word, *rest = line;

	r->words = 0;
	while ((word = strtok_r(NULL, " \n", &rest)) != NULL) {
		if (r->words == WORDS)
			return false;
		r->word[r->words++] = word;
	}
	return r->words > 0;
}

static bool
run(struct request *r, char *line)
{
	const struct command *c = commands;
	const struct command *end = commands + sizeof(commands) / sizeof(commands[0]);
	long len = 0;

	if (!split(r, line))
		return false;
	while (c < end && strcmp(c->name, r->word[0]) != 0)
		c++;
	if (c == end || r->words != c->words)
		return false;
	if (c->packet)
		len = read_octets(r->word[r->words - 1], r->octets + 1, sizeof(r->octets) - 1);
	if (len < 0)
		return false;
	memset(&r->p, 0, sizeof(r->p));
	r->p.data = r->octets + 1;
	r->p.len = (uint32_t)len;
	return c->run(r);
}

int
main(void)
{
	static struct request request;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) != -1) {
		if (!run(&request, line))
			puts("error");
		fflush(stdout);
	}
	free(line);
	return 0;
}
