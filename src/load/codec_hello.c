/*
 * codec_hello: HELLO, bytes <-> struct.
 */
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/codec_internal.h"

enum hello_tag {
	HELLO_VERSION = 1, /* must (1): version of the protocol, CODEC_VERSION */
	HELLO_SITE = 2,    /* must (1-63): name of the sender, as in its certificate */
	HELLO_BOOT_ID = 3, /* must (8): random, another one after each start */
	HELLO_TRANSFER = 4, /* (18): IPv6 or IPv4-mapped address (16) and port (2) of its transfer
	                      * packets; address zero or tag absent: the session's */
	HELLO_KEY_INDEX = 5, /* (4): for transfer packets to the sender; absent or 0: none offered */
	HELLO_RANDOM = 6,   /* must (16): goes into the exporter's context */
	HELLO_CIPHER = 7,   /* must (1): of transfer packets, the sender's first choice;
	                     * 1 AES-128-GCM, 2 AES-256-GCM, 3 ChaCha20-Poly1305 */
	HELLO_INTERVAL = 8, /* (4): milliseconds between two reports of the sender */
	HELLO_SERVICE = 9,  /* repeats, up to 1024 times: one service, nested; no two have the
	                     * same name or the same number */
	HELLO_DEMAND_PORT = 10, /* (2): where the sender takes connection demands; absent or 0: with
	                         * the rest */
	HELLO_CIPHERS = 11,     /* (1-16): others that it accepts, an octet each, in order of
	                     * preference */
	HELLO_LOAD = 12 /* (18): where the sender takes sessions, as HELLO_TRANSFER; said to
	                     * coordinators, who introduce it to others; absent: nowhere */
};

enum hello_service_tag {
	SERVICE_NAME = 1,     /* must (1-63): services of the same name serve the same */
	SERVICE_NUMBER = 2,   /* must (2): what transfer packets and reports call it */
	SERVICE_PROTOCOL = 3, /* must (1): 6 TCP, 17 UDP */
	SERVICE_IPV4 = 4,     /* (4): service address; this one or the next must be there */
	SERVICE_IPV6 = 5,     /* (16) */
	SERVICE_PORTS = 6, /* must (2 each, 1 to 1024 of them): the service's ports, none is 0 */
	SERVICE_SERVER = 7, /* repeats, up to 4096 times (6 or 18): address (4 or 16) and port (2) of
	                     * one of its servers; port 0: the one that the client asked for */
	SERVICE_CLIENT_ADDRESS = 8 /* (1): 1: its servers want a PROXY header, version 2, in front of
	                            * each connection; absent or anything else: none */
};

/* Address and port. */
#define SERVER_V4_LEN 6
#define SERVER_V6_LEN 18

static void
put_server(struct codec_buffer *b, const struct addr *server)
{
	uint8_t octets[SERVER_V6_LEN];
	size_t len = ip_is_v4(&server->ip) ? SERVER_V4_LEN : SERVER_V6_LEN;

	if (len == SERVER_V4_LEN)
		memcpy(octets, ip_v4(&server->ip), 4);
	else
		memcpy(octets, server->ip.octet, 16);
	tlv_store(octets + len - 2, server->port, 2);
	tlv_put_bytes(b, SERVICE_SERVER, octets, len);
}

void
codec_put_service(struct codec_buffer *b, uint16_t tag, const struct hello_service *s)
{
	size_t start = tlv_nest_begin(b, tag);
	size_t ports_start;

	tlv_put_bytes(b, SERVICE_NAME, s->name, strlen(s->name));
	tlv_put_number(b, SERVICE_NUMBER, s->number, 2);
	tlv_put_number(b, SERVICE_PROTOCOL, s->protocol, 1);
	if (!ip_is_zero(&s->v4))
		tlv_put_bytes(b, SERVICE_IPV4, ip_v4(&s->v4), 4);
	if (!ip_is_zero(&s->v6))
		tlv_put_bytes(b, SERVICE_IPV6, s->v6.octet, 16);
	ports_start = tlv_nest_begin(b, SERVICE_PORTS);
	for (size_t i = 0; i < s->ports_count; i++)
		tlv_store(tlv_append(b, 2), s->ports[i], 2);
	tlv_nest_end(b, ports_start);
	for (size_t i = 0; i < s->servers_count; i++)
		put_server(b, &s->servers[i]);
	if (s->client_address != 0)
		tlv_put_number(b, SERVICE_CLIENT_ADDRESS, s->client_address, 1);
	tlv_nest_end(b, start);
}

/* What HELLO has besides services. */
static void
put_sender(struct codec_buffer *b, const struct hello *hello)
{
	tlv_put_number(b, HELLO_VERSION, hello->version, 1);
	tlv_put_bytes(b, HELLO_SITE, hello->site, strlen(hello->site));
	tlv_put_number(b, HELLO_BOOT_ID, hello->boot_id, 8);
	codec_put_address(b, HELLO_TRANSFER, &hello->transfer);
	if (hello->key_index != 0)
		tlv_put_number(b, HELLO_KEY_INDEX, hello->key_index, 4);
	tlv_put_bytes(b, HELLO_RANDOM, hello->random, KEYS_RANDOM_LEN);
	tlv_put_number(b, HELLO_CIPHER, hello->cipher, 1);
	if (hello->interval_ms != 0)
		tlv_put_number(b, HELLO_INTERVAL, hello->interval_ms, 4);
	if (hello->demand_port != 0)
		tlv_put_number(b, HELLO_DEMAND_PORT, hello->demand_port, 2);
	if (hello->ciphers_count != 0)
		tlv_put_bytes(b, HELLO_CIPHERS, hello->ciphers, hello->ciphers_count);
	if (hello->load.port != 0)
		codec_put_address(b, HELLO_LOAD, &hello->load);
}

int
codec_encode_hello(struct codec_buffer *b, const struct hello *hello)
{
	size_t start = codec_begin(b, MESSAGE_HELLO);

	if (hello->services_count > HELLO_SERVICES_MAX || hello->ciphers_count > HELLO_CIPHERS_MAX)
		return codec_cancel(b, start);
	put_sender(b, hello);
	for (size_t i = 0; i < hello->services_count; i++) {
		const struct hello_service *s = &hello->services[i];

		if (s->ports_count > HELLO_PORTS_MAX || s->servers_count > HELLO_SERVERS_MAX)
			return codec_cancel(b, start);
		codec_put_service(b, HELLO_SERVICE, s);
	}
	return codec_end(b, start);
}

int
codec_take_name(char out[CODEC_NAME_MAX + 1], const uint8_t *value, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";

	for (size_t i = 0; i < len; i++)
		if (value[i] == '\0' || strchr(allowed, value[i]) == NULL)
			return -1;
	memcpy(out, value, len);
	out[len] = '\0';
	return 0;
}

static int
take_service_name(void *out, const uint8_t *value, size_t len)
{
	return codec_take_name(((struct hello_service *)out)->name, value, len);
}

static int
take_service_ipv4(void *out, const uint8_t *value, size_t len)
{
	((struct hello_service *)out)->v4 = ip_from_v4(value);
	return tlv_fetch(value, len) != 0 ? 0 : -1;
}

static int
take_service_ipv6(void *out, const uint8_t *value, size_t len)
{
	struct ip *ip = &((struct hello_service *)out)->v6;

	(void)len;
	*ip = ip_from_v6(value);
	return ip_is_zero(ip) || ip_is_v4(ip) ? -1 : 0;
}

static int
take_service_ports(void *out, const uint8_t *value, size_t len)
{
	struct hello_service *s = out;

	if (len % 2 != 0)
		return -1;
	s->ports = xcalloc(len / 2, sizeof(s->ports[0]));
	s->ports_count = len / 2;
	for (size_t i = 0; i < s->ports_count; i++) {
		s->ports[i] = (uint16_t)tlv_fetch(value + 2 * i, 2);
		if (s->ports[i] == 0)
			return -1;
	}
	return 0;
}

static int
take_server(void *out, const uint8_t *value, size_t len)
{
	struct hello_service *s = out;
	struct addr *servers, server;

	if (len != SERVER_V4_LEN && len != SERVER_V6_LEN)
		return -1;
	server.ip = len == SERVER_V4_LEN ? ip_from_v4(value) : ip_from_v6(value);
	server.port = (uint16_t)tlv_fetch(value + len - 2, 2);
	if (tlv_fetch(value, 4) == 0 && len == SERVER_V4_LEN)
		return -1;
	if (len == SERVER_V6_LEN && (ip_is_zero(&server.ip) || ip_is_v4(&server.ip)))
		return -1;
	servers =
	    codec_grow(s->servers, s->servers_count, HELLO_SERVERS_MAX, sizeof(s->servers[0]));
	if (servers == NULL)
		return -1;
	s->servers = servers;
	s->servers[s->servers_count++] = server;
	return 0;
}

static const struct tlv_field service_fields[] = {
    [SERVICE_NAME] = TLV_BYTES(1, CODEC_NAME_MAX, true, take_service_name),
    [SERVICE_NUMBER] = TLV_NUMBER(struct hello_service, number, true, 0),
    [SERVICE_PROTOCOL] = TLV_NUMBER(struct hello_service, protocol, true, 0),
    [SERVICE_IPV4] = TLV_BYTES(4, 4, false, take_service_ipv4),
    [SERVICE_IPV6] = TLV_BYTES(16, 16, false, take_service_ipv6),
    [SERVICE_PORTS] = TLV_BYTES(2, 2 * HELLO_PORTS_MAX, true, take_service_ports),
    [SERVICE_SERVER] = TLV_NESTED(take_server),
    [SERVICE_CLIENT_ADDRESS] = TLV_NUMBER(struct hello_service, client_address, false, 0),
};

int
codec_take_service(void *out, const uint8_t *value, size_t len)
{
	struct hello *hello = out;
	struct hello_service *s =
	    codec_grow(hello->services, hello->services_count, HELLO_SERVICES_MAX, sizeof(*s));

	if (s == NULL)
		return -1;
	hello->services = s;
	s = &hello->services[hello->services_count++];
	if (tlv_read(value, len, TLV_TABLE(service_fields), s) != 0)
		return -1;
	if (s->protocol != IPPROTO_TCP && s->protocol != IPPROTO_UDP)
		return -1;
	return ip_is_zero(&s->v4) && ip_is_zero(&s->v6) ? -1 : 0;
}

static int
take_site(void *out, const uint8_t *value, size_t len)
{
	return codec_take_name(((struct hello *)out)->site, value, len);
}

static int
take_transfer(void *out, const uint8_t *value, size_t len)
{
	(void)len;
	((struct hello *)out)->transfer = codec_fetch_address(value);
	return 0;
}

static int
take_load(void *out, const uint8_t *value, size_t len)
{
	(void)len;
	((struct hello *)out)->load = codec_fetch_address(value);
	return 0;
}

static int
take_random(void *out, const uint8_t *value, size_t len)
{
	memcpy(((struct hello *)out)->random, value, len);
	return 0;
}

static int
take_ciphers(void *out, const uint8_t *value, size_t len)
{
	struct hello *hello = out;

	memcpy(hello->ciphers, value, len);
	hello->ciphers_count = len;
	return 0;
}

static const struct tlv_field hello_fields[] = {
    [HELLO_VERSION] = TLV_NUMBER(struct hello, version, true, 0),
    [HELLO_SITE] = TLV_BYTES(1, CODEC_NAME_MAX, true, take_site),
    [HELLO_BOOT_ID] = TLV_NUMBER(struct hello, boot_id, true, 0),
    [HELLO_TRANSFER] = TLV_BYTES(CODEC_ADDRESS_LEN, CODEC_ADDRESS_LEN, false, take_transfer),
    [HELLO_KEY_INDEX] = TLV_NUMBER(struct hello, key_index, false, 0),
    [HELLO_RANDOM] = TLV_BYTES(KEYS_RANDOM_LEN, KEYS_RANDOM_LEN, true, take_random),
    [HELLO_CIPHER] = TLV_NUMBER(struct hello, cipher, true, 0),
    [HELLO_INTERVAL] = TLV_NUMBER(struct hello, interval_ms, false, 0),
    [HELLO_SERVICE] = TLV_NESTED(codec_take_service),
    [HELLO_DEMAND_PORT] = TLV_NUMBER(struct hello, demand_port, false, 0),
    [HELLO_CIPHERS] = TLV_BYTES(1, HELLO_CIPHERS_MAX, false, take_ciphers),
    [HELLO_LOAD] = TLV_BYTES(CODEC_ADDRESS_LEN, CODEC_ADDRESS_LEN, false, take_load),
};

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* True if two services have one name, or one number: reports could not be told apart. */
bool
codec_ambiguous_services(const struct hello *hello)
{
	uint8_t numbers[65536 / 8] = {0};
	const char *names[HELLO_SERVICES_MAX];

	for (size_t i = 0; i < hello->services_count; i++) {
		if (codec_mark(numbers, hello->services[i].number))
			return true;
		names[i] = hello->services[i].name;
	}
	qsort(names, hello->services_count, sizeof(names[0]), compare_names);
	for (size_t i = 1; i < hello->services_count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return true;
	return false;
}

int
codec_decode_hello(const uint8_t *body, size_t len, struct hello *hello)
{
	*hello = (struct hello){0};
	if (tlv_read(body, len, TLV_TABLE(hello_fields), hello) == 0 &&
	    !codec_ambiguous_services(hello))
		return 0;
	hello_fini(hello);
	return -1;
}

void
hello_forget_servers(struct hello *hello)
{
	for (size_t i = 0; i < hello->services_count; i++) {
		free(hello->services[i].servers);
		hello->services[i].servers = NULL;
		hello->services[i].servers_count = 0;
	}
}

void
hello_fini(struct hello *hello)
{
	hello_forget_servers(hello);
	for (size_t i = 0; i < hello->services_count; i++)
		free(hello->services[i].ports);
	free(hello->services);
	*hello = (struct hello){0};
}
