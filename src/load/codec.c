#include "load/codec.h"

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/tlv.h"

/*
 * The tags.  Each message and each nested TLV has its own numbers.  A length in brackets;
 * "must" marks what a message is malformed without; no tag but "repeats" may come twice.
 *
 * Integers are unsigned and big-endian.  A name has 1 to 63 octets out of letters, digits, '-',
 * '.' and '_', and no NUL.
 */
enum hello_tag {
	HELLO_VERSION = 1, /* must (1): version of the protocol, CODEC_VERSION */
	HELLO_SITE = 2,    /* must (1-63): name of the sender, as in its certificate */
	HELLO_BOOT_ID = 3, /* must (8): random, another one after each start */
	HELLO_TRANSFER = 4, /* (18): IPv6 or IPv4-mapped address (16) and port (2) of its transfer
	                      * packets; address zero or tag absent: the session's */
	HELLO_KEY_INDEX = 5, /* (4): for transfer packets to the sender; absent or 0: none offered */
	HELLO_RANDOM = 6,   /* must (16): goes into the exporter's context */
	HELLO_CIPHER = 7,   /* must (1): of transfer packets; 1 AES-128-GCM */
	HELLO_INTERVAL = 8, /* (4): milliseconds between two reports of the sender */
	HELLO_SERVICE = 9   /* repeats, up to 1024 times: one service, nested; no two have the
	                      * same name or the same number */
};

enum hello_service_tag {
	SERVICE_NAME = 1,     /* must (1-63): services of the same name serve the same */
	SERVICE_NUMBER = 2,   /* must (2): what transfer packets and reports call it */
	SERVICE_PROTOCOL = 3, /* must (1): 6 TCP, 17 UDP */
	SERVICE_IPV4 = 4,     /* (4): service address; this one or the next must be there */
	SERVICE_IPV6 = 5,     /* (16) */
	SERVICE_PORTS = 6 /* must (2 each, 1 to 1024 of them): the service's ports, none is 0 */
};

enum key_ready_tag {
	KEY_READY_INDEX = 1 /* must (4): the index of its HELLO, which the sender can receive
	                     * under from now on */
};

enum load_tag {
	LOAD_SEQUENCE = 1,  /* must (4): 1, 2, 3 ... within a session */
	LOAD_SENT = 2,      /* must (8): the sender's clock, milliseconds */
	LOAD_ECHO = 3,      /* (8): LOAD_SENT of the last report that the sender has received */
	LOAD_ECHO_HELD = 4, /* (4): milliseconds since it was received */
	LOAD_SERVICE = 5    /* repeats, up to 1024 times: one service, nested; no two have the
	                     * same number */
};

enum load_service_tag {
	REPORT_NUMBER = 1,       /* must (2): as in the sender's HELLO */
	REPORT_UP = 2,           /* must (4): I, servers that serve */
	REPORT_NOT_HIGH = 3,     /* must (4): I, those of them that are not highly loaded */
	REPORT_TRANSFERABLE = 4, /* must (4): II, connections that could still be taken */
	REPORT_PERMITTED = 5,    /* must (1): III, 1 transfer permitted, 0 prohibited */
	REPORT_LOAD = 6,         /* must (2): IV, load as a converted value, 0 to 1000 */
	REPORT_ACTIVE = 7,       /* (4): connections now */
	REPORT_HELD = 8          /* (4): those of them that the receiver has transferred */
};

enum bye_tag {
	BYE_REASON = 1 /* must (1): 1 the sender stops; 2 it wants a new session, 3 there is
	                * one already: until it is established the keys stay valid, 10 s at most;
	                * 4 the receiver broke the protocol */
};

#define TRANSFER_LEN 18 /* address and port */

void
codec_buffer_fini(struct codec_buffer *b)
{
	free(b->data);
	*b = (struct codec_buffer){0};
}

int
codec_header(const uint8_t *data, size_t len, uint8_t *type, uint32_t *body_len)
{
	if (len < CODEC_HEADER_LEN)
		return 0;
	*type = data[0];
	*body_len = (uint32_t)tlv_fetch(data + 2, 4);
	return data[1] == 0 && *body_len <= CODEC_MESSAGE_MAX ? 1 : -1;
}

static size_t
message_begin(struct codec_buffer *b, enum message_type type)
{
	uint8_t *at = tlv_append(b, CODEC_HEADER_LEN);

	memset(at, 0, CODEC_HEADER_LEN);
	at[0] = type;
	return b->len;
}

static int
message_cancel(struct codec_buffer *b, size_t start)
{
	b->len = start - CODEC_HEADER_LEN;
	return -1;
}

static int
message_end(struct codec_buffer *b, size_t start)
{
	if (b->len - start > CODEC_MESSAGE_MAX)
		return message_cancel(b, start);
	tlv_store(b->data + start - 4, b->len - start, 4);
	return 0;
}

/* Marks a number in a set of 65536; true if it was in there. */
static bool
marked(uint8_t set[65536 / 8], uint16_t number)
{
	uint8_t bit = (uint8_t)(1 << number % 8);
	bool was = (set[number / 8] & bit) != 0;

	set[number / 8] |= bit;
	return was;
}

/* Room for one more element, zeroed, at the end; NULL if there are HELLO_SERVICES_MAX. */
static void *
grow(void *array, size_t count, size_t size)
{
	if (count >= HELLO_SERVICES_MAX)
		return NULL;
	if ((count & (count - 1)) == 0)
		array = xrealloc_array(array, count == 0 ? 1 : count * 2, size);
	memset((char *)array + count * size, 0, size);
	return array;
}

/* ---- HELLO ---- */

static void
put_hello_service(struct codec_buffer *b, const struct hello_service *s)
{
	size_t start = tlv_nest_begin(b, HELLO_SERVICE);
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
	tlv_nest_end(b, start);
}

int
codec_encode_hello(struct codec_buffer *b, const struct hello *hello)
{
	size_t start = message_begin(b, MESSAGE_HELLO);
	uint8_t transfer[TRANSFER_LEN];

	if (hello->services_count > HELLO_SERVICES_MAX)
		return message_cancel(b, start);
	tlv_put_number(b, HELLO_VERSION, hello->version, 1);
	tlv_put_bytes(b, HELLO_SITE, hello->site, strlen(hello->site));
	tlv_put_number(b, HELLO_BOOT_ID, hello->boot_id, 8);
	memcpy(transfer, hello->transfer.ip.octet, 16);
	tlv_store(transfer + 16, hello->transfer.port, 2);
	tlv_put_bytes(b, HELLO_TRANSFER, transfer, sizeof(transfer));
	if (hello->key_index != 0)
		tlv_put_number(b, HELLO_KEY_INDEX, hello->key_index, 4);
	tlv_put_bytes(b, HELLO_RANDOM, hello->random, KEYS_RANDOM_LEN);
	tlv_put_number(b, HELLO_CIPHER, hello->cipher, 1);
	if (hello->interval_ms != 0)
		tlv_put_number(b, HELLO_INTERVAL, hello->interval_ms, 4);
	for (size_t i = 0; i < hello->services_count; i++) {
		if (hello->services[i].ports_count > HELLO_PORTS_MAX)
			return message_cancel(b, start);
		put_hello_service(b, &hello->services[i]);
	}
	return message_end(b, start);
}

static int
take_name(char out[CODEC_NAME_MAX + 1], const uint8_t *value, size_t len)
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
	return take_name(((struct hello_service *)out)->name, value, len);
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

static const struct tlv_field service_fields[] = {
    [SERVICE_NAME] = TLV_BYTES(1, CODEC_NAME_MAX, true, take_service_name),
    [SERVICE_NUMBER] = TLV_NUMBER(struct hello_service, number, true, 0),
    [SERVICE_PROTOCOL] = TLV_NUMBER(struct hello_service, protocol, true, 0),
    [SERVICE_IPV4] = TLV_BYTES(4, 4, false, take_service_ipv4),
    [SERVICE_IPV6] = TLV_BYTES(16, 16, false, take_service_ipv6),
    [SERVICE_PORTS] = TLV_BYTES(2, 2 * HELLO_PORTS_MAX, true, take_service_ports),
};

static int
take_service(void *out, const uint8_t *value, size_t len)
{
	struct hello *hello = out;
	struct hello_service *s = grow(hello->services, hello->services_count, sizeof(*s));

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
	return take_name(((struct hello *)out)->site, value, len);
}

static int
take_transfer(void *out, const uint8_t *value, size_t len)
{
	struct addr *transfer = &((struct hello *)out)->transfer;

	transfer->ip = ip_from_v6(value);
	transfer->port = (uint16_t)tlv_fetch(value + 16, len - 16);
	return 0;
}

static int
take_random(void *out, const uint8_t *value, size_t len)
{
	memcpy(((struct hello *)out)->random, value, len);
	return 0;
}

static const struct tlv_field hello_fields[] = {
    [HELLO_VERSION] = TLV_NUMBER(struct hello, version, true, 0),
    [HELLO_SITE] = TLV_BYTES(1, CODEC_NAME_MAX, true, take_site),
    [HELLO_BOOT_ID] = TLV_NUMBER(struct hello, boot_id, true, 0),
    [HELLO_TRANSFER] = TLV_BYTES(TRANSFER_LEN, TRANSFER_LEN, false, take_transfer),
    [HELLO_KEY_INDEX] = TLV_NUMBER(struct hello, key_index, false, 0),
    [HELLO_RANDOM] = TLV_BYTES(KEYS_RANDOM_LEN, KEYS_RANDOM_LEN, true, take_random),
    [HELLO_CIPHER] = TLV_NUMBER(struct hello, cipher, true, 0),
    [HELLO_INTERVAL] = TLV_NUMBER(struct hello, interval_ms, false, 0),
    [HELLO_SERVICE] = TLV_NESTED(take_service),
};

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* True if two services have one name, or one number: reports could not be told apart. */
static bool
hello_ambiguous(const struct hello *hello)
{
	uint8_t numbers[65536 / 8] = {0};
	const char *names[HELLO_SERVICES_MAX];

	for (size_t i = 0; i < hello->services_count; i++) {
		if (marked(numbers, hello->services[i].number))
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
	if (tlv_read(body, len, TLV_TABLE(hello_fields), hello) == 0 && !hello_ambiguous(hello))
		return 0;
	hello_fini(hello);
	return -1;
}

void
hello_fini(struct hello *hello)
{
	for (size_t i = 0; i < hello->services_count; i++)
		free(hello->services[i].ports);
	free(hello->services);
	*hello = (struct hello){0};
}

/* ---- KEY_READY ---- */

struct key_ready {
	uint32_t index;
};

static const struct tlv_field key_ready_fields[] = {
    [KEY_READY_INDEX] = TLV_NUMBER(struct key_ready, index, true, 0),
};

int
codec_encode_key_ready(struct codec_buffer *b, uint32_t key_index)
{
	size_t start = message_begin(b, MESSAGE_KEY_READY);

	tlv_put_number(b, KEY_READY_INDEX, key_index, 4);
	return message_end(b, start);
}

int
codec_decode_key_ready(const uint8_t *body, size_t len, uint32_t *key_index)
{
	struct key_ready message = {0};

	if (tlv_read(body, len, TLV_TABLE(key_ready_fields), &message) != 0 || message.index == 0)
		return -1;
	*key_index = message.index;
	return 0;
}

/* ---- LOAD ---- */

static void
put_load_service(struct codec_buffer *b, const struct load_report_service *s)
{
	size_t start = tlv_nest_begin(b, LOAD_SERVICE);

	tlv_put_number(b, REPORT_NUMBER, s->number, 2);
	tlv_put_number(b, REPORT_UP, s->servers_up, 4);
	tlv_put_number(b, REPORT_NOT_HIGH, s->servers_not_high, 4);
	tlv_put_number(b, REPORT_TRANSFERABLE, s->transferable, 4);
	tlv_put_number(b, REPORT_PERMITTED, s->permitted, 1);
	tlv_put_number(b, REPORT_LOAD, s->load, 2);
	tlv_put_number(b, REPORT_ACTIVE, s->active, 4);
	tlv_put_number(b, REPORT_HELD, s->held_from_you, 4);
	tlv_nest_end(b, start);
}

int
codec_encode_load(struct codec_buffer *b, const struct load_report *report)
{
	size_t start = message_begin(b, MESSAGE_LOAD);

	if (report->services_count > HELLO_SERVICES_MAX)
		return message_cancel(b, start);
	tlv_put_number(b, LOAD_SEQUENCE, report->sequence, 4);
	tlv_put_number(b, LOAD_SENT, report->sent_ms, 8);
	if (report->echo_ms != 0) {
		tlv_put_number(b, LOAD_ECHO, report->echo_ms, 8);
		tlv_put_number(b, LOAD_ECHO_HELD, report->echo_held_ms, 4);
	}
	for (size_t i = 0; i < report->services_count; i++)
		put_load_service(b, &report->services[i]);
	return message_end(b, start);
}

static const struct tlv_field report_fields[] = {
    [REPORT_NUMBER] = TLV_NUMBER(struct load_report_service, number, true, 0),
    [REPORT_UP] = TLV_NUMBER(struct load_report_service, servers_up, true, 0),
    [REPORT_NOT_HIGH] = TLV_NUMBER(struct load_report_service, servers_not_high, true, 0),
    [REPORT_TRANSFERABLE] = TLV_NUMBER(struct load_report_service, transferable, true, 0),
    [REPORT_PERMITTED] = TLV_NUMBER(struct load_report_service, permitted, true, 1),
    [REPORT_LOAD] = TLV_NUMBER(struct load_report_service, load, true, 1000),
    [REPORT_ACTIVE] = TLV_NUMBER(struct load_report_service, active, false, 0),
    [REPORT_HELD] = TLV_NUMBER(struct load_report_service, held_from_you, false, 0),
};

static int
take_report(void *out, const uint8_t *value, size_t len)
{
	struct load_report *report = out;
	struct load_report_service *s =
	    grow(report->services, report->services_count, sizeof(*s));

	if (s == NULL)
		return -1;
	report->services = s;
	s = &report->services[report->services_count++];
	return tlv_read(value, len, TLV_TABLE(report_fields), s);
}

static const struct tlv_field load_fields[] = {
    [LOAD_SEQUENCE] = TLV_NUMBER(struct load_report, sequence, true, 0),
    [LOAD_SENT] = TLV_NUMBER(struct load_report, sent_ms, true, 0),
    [LOAD_ECHO] = TLV_NUMBER(struct load_report, echo_ms, false, 0),
    [LOAD_ECHO_HELD] = TLV_NUMBER(struct load_report, echo_held_ms, false, 0),
    [LOAD_SERVICE] = TLV_NESTED(take_report),
};

static bool
load_ambiguous(const struct load_report *report)
{
	uint8_t numbers[65536 / 8] = {0};

	for (size_t i = 0; i < report->services_count; i++)
		if (marked(numbers, report->services[i].number))
			return true;
	return false;
}

int
codec_decode_load(const uint8_t *body, size_t len, struct load_report *report)
{
	*report = (struct load_report){0};
	if (tlv_read(body, len, TLV_TABLE(load_fields), report) == 0 && !load_ambiguous(report))
		return 0;
	load_report_fini(report);
	return -1;
}

void
load_report_fini(struct load_report *report)
{
	free(report->services);
	*report = (struct load_report){0};
}

/* ---- BYE ---- */

struct bye {
	uint8_t reason;
};

static const struct tlv_field bye_fields[] = {
    [BYE_REASON] = TLV_NUMBER(struct bye, reason, true, BYE_PROTOCOL),
};

int
codec_encode_bye(struct codec_buffer *b, enum bye_reason reason)
{
	size_t start = message_begin(b, MESSAGE_BYE);

	tlv_put_number(b, BYE_REASON, reason, 1);
	return message_end(b, start);
}

int
codec_decode_bye(const uint8_t *body, size_t len, enum bye_reason *reason)
{
	struct bye message = {0};

	if (tlv_read(body, len, TLV_TABLE(bye_fields), &message) != 0 || message.reason < BYE_STOP)
		return -1;
	*reason = (enum bye_reason)message.reason;
	return 0;
}
