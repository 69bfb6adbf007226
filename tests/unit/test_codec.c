#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/codec.h"

/* ---- helpers ---- */

static struct ip
ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static uint16_t web_ports[] = {80, 443, 65535}, dns_ports[] = {53};
static struct addr web_servers[2];
static struct hello_service sample_services[2];

static struct hello
sample_hello(void)
{
	struct hello h = {.version = 1,
	    .site = "tokyo-1.example_net",
	    .boot_id = UINT64_C(0x0102030405060708),
	    .key_index = 0xfedcba98,
	    .cipher = 1,
	    .ciphers = {2, 3},
	    .ciphers_count = 2,
	    .demand_port = 7211,
	    .interval_ms = 1000,
	    .services = sample_services,
	    .services_count = 2};

	h.transfer = (struct addr){ip_of("198.51.100.1"), 7210};
	memset(h.random, 0xab, sizeof(h.random));
	web_servers[0] = (struct addr){ip_of("10.1.0.1"), 8080};
	web_servers[1] = (struct addr){ip_of("2001:db8:1::1"), 0};
	sample_services[0] = (struct hello_service){.name = "web",
	    .client_address = HELLO_CLIENT_PROXY,
	    .number = 0,
	    .protocol = IPPROTO_TCP,
	    .v4 = ip_of("203.0.113.10"),
	    .v6 = ip_of("2001:db8::10"),
	    .ports = web_ports,
	    .ports_count = 3,
	    .servers = web_servers,
	    .servers_count = 2};
	sample_services[1] = (struct hello_service){.name = "dns",
	    .number = 65535,
	    .protocol = IPPROTO_UDP,
	    .v6 = ip_of("2001:db8::53"),
	    .ports = dns_ports,
	    .ports_count = 1};
	return h;
}

static struct load_report_service sample_reports[2];

static struct load_report
sample_load(void)
{
	sample_reports[0] = (struct load_report_service){.number = 0,
	    .servers_up = 3,
	    .servers_not_high = 2,
	    .transferable = 4000000000u,
	    .permitted = true,
	    .load = 1000,
	    .active = 17,
	    .held_from_you = 5,
	    .limited = true,
	    .quota = 0,
	    .new_per_second = UINT32_MAX,
	    .mean_life = 1500};
	sample_reports[1] = (struct load_report_service){.number = 65535};
	return (struct load_report){.sequence = 7,
	    .sent_ms = UINT64_MAX,
	    .echo_ms = 12345678901,
	    .echo_held_ms = 250,
	    .path_mtu = 1400,
	    .direct = 2,
	    .services = sample_reports,
	    .services_count = 2};
}

/* One message whose body is checked to be whole. */
static const uint8_t *
body_of(const struct codec_buffer *b, uint8_t type, size_t *len)
{
	uint8_t got;
	uint32_t body_len;

	assert_int_equal(codec_header(b->data, b->len, &got, &body_len), 1);
	assert_int_equal(got, type);
	assert_int_equal(body_len, b->len - CODEC_HEADER_LEN);
	*len = body_len;
	return b->data + CODEC_HEADER_LEN;
}

/* A body that can be cut up and put together. */
struct body {
	uint8_t data[200000];
	size_t len;
};

static void
add(struct body *b, unsigned tag, const void *value, size_t len)
{
	uint8_t *at = b->data + b->len;

	at[0] = (uint8_t)(tag >> 8);
	at[1] = (uint8_t)tag;
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
	memcpy(at + 4, value, len);
	b->len += 4 + len;
}

/* The TLVs of from without those of one tag. */
static struct body
without(const uint8_t *data, size_t len, unsigned tag)
{
	static struct body b;

	b.len = 0;
	while (len >= 4) {
		unsigned t = (unsigned)(data[0] << 8 | data[1]);
		size_t n = (size_t)(data[2] << 8 | data[3]);

		if (t != tag)
			add(&b, t, data + 4, n);
		data += 4 + n;
		len -= 4 + n;
	}
	return b;
}

/* Decoding from memory of just that size, so that reading beyond it is seen. */
static int
decode_hello(const uint8_t *data, size_t len, struct hello *h)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int ret;

	memcpy(copy, data, len);
	ret = codec_decode_hello(copy, len, h);
	free(copy);
	return ret;
}

static int
decode_load(const uint8_t *data, size_t len, struct load_report *r)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int ret;

	memcpy(copy, data, len);
	ret = codec_decode_load(copy, len, r);
	free(copy);
	return ret;
}

static void
refuse_hello(const struct body *b)
{
	struct hello h;

	assert_int_equal(decode_hello(b->data, b->len, &h), -1);
	assert_null(h.services);
	assert_int_equal(h.services_count, 0);
}

static void
refuse_load(const struct body *b)
{
	struct load_report r;

	assert_int_equal(decode_load(b->data, b->len, &r), -1);
	assert_null(r.services);
}

/* ---- the header ---- */

static void
header(void **state)
{
	uint8_t type;
	uint32_t len;
	static const uint8_t good[] = {7, 0, 0, 1, 0, 0}, long_[] = {7, 0, 0, 1, 0, 1},
			     reserved[] = {7, 1, 0, 0, 0, 0},
			     huge[] = {1, 0, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	for (size_t i = 0; i < sizeof(good); i++)
		assert_int_equal(codec_header(good, i, &type, &len), 0);
	assert_int_equal(codec_header(good, sizeof(good), &type, &len), 1);
	assert_int_equal(type, 7);
	assert_int_equal(len, 65536);
	assert_int_equal(codec_header(long_, sizeof(long_), &type, &len), -1);
	assert_int_equal(codec_header(reserved, sizeof(reserved), &type, &len), -1);
	assert_int_equal(codec_header(huge, sizeof(huge), &type, &len), -1);
}

/* ---- round trips ---- */

static void
hello_round_trip(void **state)
{
	struct hello h = sample_hello(), got;
	struct codec_buffer b = {0};
	const uint8_t *body;
	size_t len;

	(void)state;
	assert_int_equal(codec_encode_hello(&b, &h), 0);
	body = body_of(&b, MESSAGE_HELLO, &len);
	assert_int_equal(decode_hello(body, len, &got), 0);
	assert_int_equal(got.version, 1);
	assert_string_equal(got.site, h.site);
	assert_true(got.boot_id == h.boot_id);
	assert_true(addr_equal(&got.transfer, &h.transfer));
	assert_int_equal(got.key_index, h.key_index);
	assert_memory_equal(got.random, h.random, sizeof(h.random));
	assert_int_equal(got.cipher, 1);
	assert_int_equal(got.interval_ms, 1000);
	assert_int_equal(got.demand_port, 7211);
	assert_int_equal(got.ciphers_count, 2);
	assert_int_equal(got.ciphers[0], 2);
	assert_int_equal(got.ciphers[1], 3);
	assert_int_equal(got.services_count, 2);
	assert_int_equal(got.services[0].servers_count, 2);
	assert_true(addr_equal(&got.services[0].servers[0], &web_servers[0]));
	assert_true(addr_equal(&got.services[0].servers[1], &web_servers[1]));
	assert_int_equal(got.services[1].servers_count, 0);
	assert_int_equal(got.services[0].client_address, HELLO_CLIENT_PROXY);
	assert_int_equal(got.services[1].client_address, 0);
	assert_string_equal(got.services[0].name, "web");
	assert_int_equal(got.services[0].number, 0);
	assert_int_equal(got.services[0].protocol, IPPROTO_TCP);
	assert_true(ip_equal(&got.services[0].v4, &h.services[0].v4));
	assert_true(ip_equal(&got.services[0].v6, &h.services[0].v6));
	assert_int_equal(got.services[0].ports_count, 3);
	assert_memory_equal(got.services[0].ports, web_ports, sizeof(web_ports));
	assert_int_equal(got.services[1].number, 65535);
	assert_true(ip_is_zero(&got.services[1].v4));
	assert_int_equal(got.services[1].ports[0], 53);
	hello_fini(&got);
	codec_buffer_fini(&b);
}

/* The wire format itself, against octets written by hand. */
static void
hello_octets(void **state)
{
	/* a line a field */
	/* clang-format off */
	static const uint8_t expected[] = {
	    1, 0, 0, 0, 0, 103 + 6 + 7 + 10 + 22,
	    0, 1, 0, 1, 1,
	    0, 2, 0, 1, 'x',
	    0, 3, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9,
	    0, 4, 0, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0x1c, 0x2a,
	    0, 6, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 7, 0, 1, 1,
	    0, 10, 0, 2, 0x1c, 0x2b,
	    0, 11, 0, 3, 3, 2, 200,
	    0, 9, 0, 30 + 10 + 22,
	    0, 1, 0, 1, 'w', 0, 2, 0, 2, 0, 3, 0, 3, 0, 1, 6, 0, 4, 0, 4, 10, 0, 0, 1,
	    0, 6, 0, 2, 0, 80,
	    0, 7, 0, 6, 10, 1, 0, 2, 0x1f, 0x90,
	    0, 7, 0, 18, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0,
	};
	/* clang-format on */
	uint16_t port = 80;
	struct addr servers[] = {{ip_of("10.1.0.2"), 8080}, {ip_of("2001:db8::2"), 0}};
	struct hello_service s = {.name = "w",
	    .number = 3,
	    .protocol = 6,
	    .v4 = ip_of("10.0.0.1"),
	    .ports = &port,
	    .ports_count = 1,
	    .servers = servers,
	    .servers_count = 2};
	struct hello h = {.version = 1,
	    .site = "x",
	    .boot_id = 9,
	    .cipher = 1,
	    .ciphers = {3, 2, 200},
	    .ciphers_count = 3,
	    .demand_port = 7211,
	    .services = &s,
	    .services_count = 1,
	    .transfer = {ip_of("192.0.2.1"), 7210}};
	struct codec_buffer b = {0};

	(void)state;
	assert_int_equal(codec_encode_hello(&b, &h), 0);
	assert_int_equal(b.len, sizeof(expected));
	assert_memory_equal(b.data, expected, sizeof(expected));
	codec_buffer_fini(&b);
}

static void
load_round_trip(void **state)
{
	struct load_report r = sample_load(), got;
	struct codec_buffer b = {0};
	const uint8_t *body;
	size_t len;

	(void)state;
	assert_int_equal(codec_encode_load(&b, &r), 0);
	body = body_of(&b, MESSAGE_LOAD, &len);
	assert_int_equal(decode_load(body, len, &got), 0);
	assert_int_equal(got.sequence, 7);
	assert_true(got.sent_ms == UINT64_MAX);
	assert_true(got.echo_ms == r.echo_ms);
	assert_int_equal(got.echo_held_ms, 250);
	assert_int_equal(got.path_mtu, 1400);
	assert_int_equal(got.direct, 2);
	assert_int_equal(got.services_count, 2);
	assert_int_equal(got.services[0].servers_up, 3);
	assert_int_equal(got.services[0].servers_not_high, 2);
	assert_true(got.services[0].transferable == 4000000000u);
	assert_true(got.services[0].permitted);
	assert_int_equal(got.services[0].load, 1000);
	assert_int_equal(got.services[0].active, 17);
	assert_int_equal(got.services[0].held_from_you, 5);
	assert_true(got.services[0].limited); /* to none is a limit, too */
	assert_int_equal(got.services[0].quota, 0);
	assert_true(got.services[0].new_per_second == UINT32_MAX);
	assert_int_equal(got.services[0].mean_life, 1500);
	assert_false(got.services[1].limited);
	assert_int_equal(got.services[1].number, 65535);
	assert_false(got.services[1].permitted);
	load_report_fini(&got);
	codec_buffer_fini(&b);
}

static void
small_messages(void **state)
{
	static const uint8_t expected[] = {2, 0, 0, 0, 0, 8, 0, 1, 0, 4, 0xde, 0xad, 0xbe, 0xef,
	    7, 0, 0, 0, 0, 5, 0, 1, 0, 1, 3};
	struct codec_buffer b = {0};
	uint32_t index = 0;
	enum bye_reason reason = 0;

	(void)state;
	/* appended one after the other */
	assert_int_equal(codec_encode_key_ready(&b, 0xdeadbeef), 0);
	assert_int_equal(codec_encode_bye(&b, BYE_REPLACED), 0);
	assert_int_equal(b.len, sizeof(expected));
	assert_memory_equal(b.data, expected, sizeof(expected));
	assert_int_equal(codec_decode_key_ready(b.data + 6, 8, &index), 0);
	assert_true(index == 0xdeadbeef);
	assert_int_equal(codec_decode_bye(b.data + 20, 5, &reason), 0);
	assert_int_equal(reason, BYE_REPLACED);
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(codec_decode_key_ready(b.data + 6, n, &index), -1);
	for (size_t n = 0; n < 5; n++)
		assert_int_equal(codec_decode_bye(b.data + 20, n, &reason), -1);
	codec_buffer_fini(&b);
}

static void
small_messages_malformed(void **state)
{
	static const uint8_t zero_index[] = {0, 1, 0, 4, 0, 0, 0, 0},
			     short_index[] = {0, 1, 0, 3, 0, 0, 1},
			     long_index[] = {0, 1, 0, 5, 0, 0, 0, 1, 1},
			     twice[] = {0, 1, 0, 4, 0, 0, 0, 1, 0, 1, 0, 4, 0, 0, 0, 1},
			     reason0[] = {0, 1, 0, 1, 0}, reason6[] = {0, 1, 0, 1, 6},
			     reason_twice[] = {0, 1, 0, 1, 1, 0, 1, 0, 1, 1},
			     other_tag[] = {0, 2, 0, 1, 1},
			     with_unknown[] = {0, 9, 0, 0, 0, 1, 0, 1, 1, 0xff, 0xff, 0, 1, 7};
	uint32_t index;
	enum bye_reason reason;

	(void)state;
	assert_int_equal(codec_decode_key_ready(zero_index, sizeof(zero_index), &index), -1);
	assert_int_equal(codec_decode_key_ready(short_index, sizeof(short_index), &index), -1);
	assert_int_equal(codec_decode_key_ready(long_index, sizeof(long_index), &index), -1);
	assert_int_equal(codec_decode_key_ready(twice, sizeof(twice), &index), -1);
	assert_int_equal(codec_decode_key_ready(twice, 8, &index), 0);
	assert_int_equal(codec_decode_bye(reason0, sizeof(reason0), &reason), -1);
	assert_int_equal(codec_decode_bye(reason6, sizeof(reason6), &reason), -1);
	assert_int_equal(codec_decode_bye(reason_twice, sizeof(reason_twice), &reason), -1);
	assert_int_equal(codec_decode_bye(other_tag, sizeof(other_tag), &reason), -1);
	assert_int_equal(codec_decode_bye(with_unknown, sizeof(with_unknown), &reason), 0);
	assert_int_equal(reason, BYE_STOP);
}

/* ---- truncation, duplicates, what must be there ---- */

/*
 * Cut anywhere.  Between two services, or before a tag that need not be there, what is left is a
 * whole message; everywhere else it is not.
 */
static void
hello_truncated(void **state)
{
	struct hello h = sample_hello(), got;
	struct codec_buffer b = {0};
	const uint8_t *body;
	size_t len, whole = 0;

	(void)state;
	assert_int_equal(codec_encode_hello(&b, &h), 0);
	body = body_of(&b, MESSAGE_HELLO, &len);
	for (size_t n = 0; n < len; n++) {
		if (decode_hello(body, n, &got) == 0) {
			assert_true(got.services_count < 2);
			hello_fini(&got);
			whole++;
		}
	}
	/* behind CIPHER, INTERVAL, DEMAND_PORT, CIPHERS, the first service */
	assert_int_equal(whole, 5);
	codec_buffer_fini(&b);
}

static void
load_truncated(void **state)
{
	struct load_report r = sample_load(), got;
	struct codec_buffer b = {0};
	const uint8_t *body;
	size_t len, whole = 0;

	(void)state;
	assert_int_equal(codec_encode_load(&b, &r), 0);
	body = body_of(&b, MESSAGE_LOAD, &len);
	for (size_t n = 0; n < len; n++) {
		if (decode_load(body, n, &got) == 0) {
			assert_true(got.services_count < 2);
			load_report_fini(&got);
			whole++;
		}
	}
	/* behind SENT, ECHO, ECHO_HELD, PATH_MTU, DIRECT, the first service */
	assert_int_equal(whole, 6);
	codec_buffer_fini(&b);
}

static void
hello_must_and_once(void **state)
{
	struct hello h = sample_hello(), got;
	struct codec_buffer b = {0};
	const uint8_t *body;
	size_t len;

	(void)state;
	assert_int_equal(codec_encode_hello(&b, &h), 0);
	body = body_of(&b, MESSAGE_HELLO, &len);
	for (unsigned tag = 1; tag <= 11; tag++) {
		struct body cut = without(body, len, tag), twice;
		bool may_lack = tag == 4 || tag == 5 || tag == 8 || tag == 10 || tag == 11;

		if (tag == 9)
			continue;

		assert_true(cut.len < len);
		if (may_lack) {
			assert_int_equal(decode_hello(cut.data, cut.len, &got), 0);
			if (tag == 4)
				assert_true(ip_is_zero(&got.transfer.ip));
			if (tag == 5)
				assert_int_equal(got.key_index, 0);
			if (tag == 10)
				assert_int_equal(got.demand_port, 0);
			if (tag == 11)
				assert_int_equal(got.ciphers_count, 0);
			hello_fini(&got);
		} else {
			refuse_hello(&cut);
		}
		/* the message and then the same without services: each tag comes twice */
		twice.len = len;
		memcpy(twice.data, body, len);
		cut = without(body, len, 9);
		for (unsigned other = 1; other <= 11; other++)
			if (other != tag)
				cut = without(cut.data, cut.len, other);
		memcpy(twice.data + twice.len, cut.data, cut.len);
		twice.len += cut.len;
		refuse_hello(&twice);
	}
	codec_buffer_fini(&b);
}

static void
load_must_and_once(void **state)
{
	struct load_report r = sample_load(), got;
	struct codec_buffer b = {0};
	const uint8_t *body;
	size_t len;

	(void)state;
	assert_int_equal(codec_encode_load(&b, &r), 0);
	body = body_of(&b, MESSAGE_LOAD, &len);
	for (unsigned tag = 1; tag <= 7; tag++) {
		static const size_t lengths_of[] = {0, 4, 8, 8, 4, 0, 4, 1};
		struct body cut = without(body, len, tag);
		static struct body twice;

		if (tag == 5)
			continue;
		if (tag <= 2) {
			refuse_load(&cut);
		} else {
			assert_int_equal(decode_load(cut.data, cut.len, &got), 0);
			assert_int_equal(got.path_mtu, tag == 6 ? 0 : 1400);
			assert_int_equal(got.direct, tag == 7 ? 0 : 2);
			load_report_fini(&got);
		}
		memcpy(twice.data, body, len);
		twice.len = len;
		add(&twice, tag, "\0\0\0\0\0\0\0\1", lengths_of[tag]);
		refuse_load(&twice);
	}
	codec_buffer_fini(&b);
}

/* The same inside of services. */
static const uint8_t *
first_service(const uint8_t *body, unsigned tag, size_t *len)
{
	while ((unsigned)(body[0] << 8 | body[1]) != tag)
		body += 4 + (body[2] << 8 | body[3]);
	*len = (size_t)(body[2] << 8 | body[3]);
	return body + 4;
}

static void
hello_service_must_and_once(void **state)
{
	struct hello h = sample_hello(), got;
	struct codec_buffer b = {0};
	const uint8_t *body, *service;
	size_t len, service_len;

	(void)state;
	assert_int_equal(codec_encode_hello(&b, &h), 0);
	body = body_of(&b, MESSAGE_HELLO, &len);
	service = first_service(body, 9, &service_len);
	for (unsigned tag = 1; tag <= 6; tag++) {
		struct body cut = without(service, service_len, tag), bare, only;

		bare = without(body, len, 9);
		add(&bare, 9, cut.data, cut.len);
		if (tag == 4 || tag == 5) {
			assert_int_equal(decode_hello(bare.data, bare.len, &got), 0);
			hello_fini(&got);
		} else {
			refuse_hello(&bare);
		}
		only.len = 0;
		memcpy(only.data, service, service_len);
		only.len = service_len;
		for (unsigned other = 1; other <= 6; other++)
			if (other == tag) {
				size_t n;
				const uint8_t *value = first_service(service, tag, &n);

				add(&only, tag, value, n);
			}
		bare = without(body, len, 9);
		add(&bare, 9, only.data, only.len);
		refuse_hello(&bare);
	}
	/* neither address */
	{
		struct body cut = without(service, service_len, 4), bare;

		cut = without(cut.data, cut.len, 5);
		bare = without(body, len, 9);
		add(&bare, 9, cut.data, cut.len);
		refuse_hello(&bare);
	}
	codec_buffer_fini(&b);
}

static void
load_service_must(void **state)
{
	struct load_report r = sample_load(), got;
	struct codec_buffer b = {0};
	const uint8_t *body, *service;
	size_t len, service_len;

	(void)state;
	assert_int_equal(codec_encode_load(&b, &r), 0);
	body = body_of(&b, MESSAGE_LOAD, &len);
	service = first_service(body, 5, &service_len);
	for (unsigned tag = 1; tag <= 8; tag++) {
		struct body cut = without(service, service_len, tag),
			    bare = without(body, len, 5);

		add(&bare, 5, cut.data, cut.len);
		if (tag >= 7) {
			assert_int_equal(decode_load(bare.data, bare.len, &got), 0);
			load_report_fini(&got);
		} else {
			refuse_load(&bare);
		}
	}
	codec_buffer_fini(&b);
}

/* ---- values ---- */

/* A HELLO with one TLV replaced. */
static struct body
hello_with(unsigned tag, const void *value, size_t value_len)
{
	struct hello h = sample_hello();
	struct codec_buffer b = {0};
	const uint8_t *body;
	struct body cut;
	size_t len;

	assert_int_equal(codec_encode_hello(&b, &h), 0);
	body = body_of(&b, MESSAGE_HELLO, &len);
	cut = without(body, len, tag);
	add(&cut, tag, value, value_len);
	codec_buffer_fini(&b);
	return cut;
}

static void
names(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {{"", 0}, {"a b", 3}, {"a/b", 3}, {"\"", 1}, {"a\0b", 3}, {"\0", 1},
	    {"caf\xc3\xa9", 5}, {"a\n", 2}, {"a=b", 3}};
	char long_name[65];
	struct hello got;
	struct body b;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b = hello_with(2, bad[i].text, bad[i].len);
		refuse_hello(&b);
	}
	memset(long_name, 'n', sizeof(long_name));
	b = hello_with(2, long_name, 64);
	refuse_hello(&b);
	b = hello_with(2, long_name, 63);
	assert_int_equal(decode_hello(b.data, b.len, &got), 0);
	assert_int_equal(strlen(got.site), 63);
	hello_fini(&got);
	b = hello_with(2, "A-z_0.9", 7);
	assert_int_equal(decode_hello(b.data, b.len, &got), 0);
	assert_string_equal(got.site, "A-z_0.9");
	hello_fini(&got);
}

static void
lengths(void **state)
{
	static const size_t right[] = {0, 1, 0, 8, 18, 4, 16, 1, 4, 0, 2};
	static const uint8_t octets[32] = {
	    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	struct hello got;
	struct body b;

	(void)state;
	for (unsigned tag = 1; tag <= 10; tag++) {
		if (tag == 2 || tag == 9)
			continue;
		for (size_t len = 0; len <= 20; len++) {
			b = hello_with(tag, octets, len);
			if (len != right[tag]) {
				refuse_hello(&b);
				continue;
			}
			assert_int_equal(decode_hello(b.data, b.len, &got), 0);
			hello_fini(&got);
		}
	}
}

/* A HELLO with one service, given as TLVs. */
static struct body
hello_with_service(const struct body *service)
{
	return hello_with(9, service->data, service->len);
}

static struct body
service_with(unsigned tag, const void *value, size_t len)
{
	struct body s = {.len = 0}, cut;

	add(&s, 1, "web", 3);
	add(&s, 2, "\0\5", 2);
	add(&s, 3, "\6", 1);
	add(&s, 4, "\12\0\0\1", 4);
	add(&s, 6, "\0\120", 2);
	cut = without(s.data, s.len, tag);
	add(&cut, tag, value, len);
	return cut;
}

static int
decodes_service(unsigned tag, const void *value, size_t len)
{
	struct body s = service_with(tag, value, len), b = hello_with_service(&s);
	struct hello got;
	int ret = decode_hello(b.data, b.len, &got);

	if (ret == 0)
		hello_fini(&got);
	return ret;
}

static void
service_values(void **state)
{
	static uint8_t ports[2 * 1025];

	(void)state;
	assert_int_equal(decodes_service(1, "web", 3), 0);
	assert_int_equal(decodes_service(1, "", 0), -1);
	assert_int_equal(decodes_service(1, "w\0b", 3), -1);
	assert_int_equal(decodes_service(2, "\1", 1), -1);
	assert_int_equal(decodes_service(2, "\1\1\1", 3), -1);
	assert_int_equal(decodes_service(3, "\21", 1), 0);
	assert_int_equal(decodes_service(3, "\1", 1), -1);
	assert_int_equal(decodes_service(3, "\0", 1), -1);
	assert_int_equal(decodes_service(4, "\0\0\0\0", 4), -1);
	assert_int_equal(decodes_service(4, "\1\1\1", 3), -1);
	assert_int_equal(decodes_service(5, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 16), 0);
	assert_int_equal(decodes_service(5, "\0\0\0\0\0\0\0\0\0\0\377\377\12\0\0\1", 16), -1);
	assert_int_equal(decodes_service(5, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16), -1);
	assert_int_equal(decodes_service(6, "", 0), -1);
	assert_int_equal(decodes_service(6, "\0\1\2", 3), -1);
	assert_int_equal(decodes_service(6, "\0\1\0\0", 4), -1);
	memset(ports, 1, sizeof(ports));
	assert_int_equal(decodes_service(6, ports, 2 * 1024), 0);
	assert_int_equal(decodes_service(6, ports, 2 * 1025), -1);
	assert_int_equal(decodes_service(7, "\12\0\0\1\37\220", 6), 0);
	assert_int_equal(decodes_service(7, "\12\0\0\1\0\0", 6), 0);
	assert_int_equal(decodes_service(7, "\0\0\0\0\0\1", 6), -1);
	assert_int_equal(decodes_service(7, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\0\1", 18), 0);
	/* an address has one form */
	assert_int_equal(decodes_service(7, "\0\0\0\0\0\0\0\0\0\0\377\377\12\0\0\1\0\1", 18), -1);
	assert_int_equal(decodes_service(7, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 18), -1);
	for (size_t len = 0; len < 30; len++)
		if (len != 6 && len != 18)
			assert_int_equal(decodes_service(7, ports, len), -1);
}

static int
decodes_report(unsigned tag, const void *value, size_t len)
{
	struct body s = {.len = 0}, cut, b = {.len = 0};
	struct load_report got;
	int ret;

	add(&s, 1, "\0\5", 2);
	for (unsigned t = 2; t <= 4; t++)
		add(&s, t, "\0\0\0\3", 4);
	add(&s, 5, "\1", 1);
	add(&s, 6, "\0\3", 2);
	add(&s, 7, "\0\0\0\3", 4);
	cut = without(s.data, s.len, tag);
	add(&cut, tag, value, len);
	add(&b, 1, "\0\0\0\1", 4);
	add(&b, 2, "\0\0\0\0\0\0\0\1", 8);
	add(&b, 5, cut.data, cut.len);
	ret = decode_load(b.data, b.len, &got);
	if (ret == 0)
		load_report_fini(&got);
	return ret;
}

static void
report_values(void **state)
{
	(void)state;
	assert_int_equal(decodes_report(5, "\0", 1), 0);
	assert_int_equal(decodes_report(5, "\2", 1), -1);
	assert_int_equal(decodes_report(5, "\0\1", 2), -1);
	assert_int_equal(decodes_report(6, "\3\350", 2), 0);
	assert_int_equal(decodes_report(6, "\3\351", 2), -1);
	assert_int_equal(decodes_report(6, "\1", 1), -1);
	for (unsigned tag = 2; tag <= 8; tag++) {
		assert_int_equal(decodes_report(tag, "", 0), -1);
		assert_int_equal(decodes_report(tag, "\0\0\0\0\0", 5), -1);
	}
	assert_int_equal(decodes_report(8, "\0\0\0\1", 4), 0);
}

/* A LOAD with one TLV of the sender's own. */
static int
decodes_load(unsigned tag, const void *value, size_t len)
{
	struct load_report r = sample_load(), got;
	struct codec_buffer b = {0};
	const uint8_t *body;
	struct body cut;
	size_t body_len;
	int ret;

	assert_int_equal(codec_encode_load(&b, &r), 0);
	body = body_of(&b, MESSAGE_LOAD, &body_len);
	cut = without(body, body_len, tag);
	add(&cut, tag, value, len);
	codec_buffer_fini(&b);
	ret = decode_load(cut.data, cut.len, &got);
	if (ret == 0)
		load_report_fini(&got);
	return ret;
}

static void
load_values(void **state)
{
	(void)state;
	assert_int_equal(decodes_load(6, "\0\0\377\377", 4), 0);
	assert_int_equal(decodes_load(6, "\0\1\0\0", 4), -1);
	assert_int_equal(decodes_load(6, "\0\0\0\0", 4), 0);
	assert_int_equal(decodes_load(6, "\5\0", 2), -1);
	for (uint8_t direct = 0; direct < 10; direct++)
		assert_int_equal(decodes_load(7, &direct, 1), direct <= 2 ? 0 : -1);
	assert_int_equal(decodes_load(7, "", 0), -1);
	assert_int_equal(decodes_load(7, "\0\1", 2), -1);
}

static void
cipher_lists(void **state)
{
	static const uint8_t octets[17] = {1, 2, 3, 255, 255, 0};
	struct hello got;
	struct body b;

	(void)state;
	for (size_t len = 0; len <= 17; len++) {
		b = hello_with(11, octets, len);
		if (len == 0 || len == 17) {
			refuse_hello(&b);
			continue;
		}
		assert_int_equal(decode_hello(b.data, b.len, &got), 0);
		assert_int_equal(got.ciphers_count, len);
		assert_memory_equal(got.ciphers, octets, len);
		hello_fini(&got);
	}
}

static void
servers_are_limited(void **state)
{
	struct body s, b;
	struct hello got;
	uint8_t octets[6] = {10, 0, 0, 0, 0, 80};

	(void)state;
	s = service_with(99, "", 0);
	for (unsigned i = 0; i < HELLO_SERVERS_MAX; i++) {
		octets[2] = (uint8_t)(i >> 8);
		octets[3] = (uint8_t)i;
		add(&s, 7, octets, 6);
	}
	b = hello_with_service(&s);
	assert_int_equal(decode_hello(b.data, b.len, &got), 0);
	assert_int_equal(got.services[0].servers_count, HELLO_SERVERS_MAX);
	assert_int_equal(got.services[0].servers[4095].ip.octet[14], 15);
	assert_int_equal(got.services[0].servers[4095].ip.octet[15], 255);
	hello_forget_servers(&got);
	assert_int_equal(got.services[0].servers_count, 0);
	assert_int_equal(got.services_count, 1);
	hello_fini(&got);
	add(&s, 7, octets, 6);
	b = hello_with_service(&s);
	refuse_hello(&b);
}

/* ---- CLOSED and PROBE ---- */

static struct connection_closed
closed_of(const char *client, const char *service, unsigned n)
{
	return (struct connection_closed){.client = {ip_of(client), (uint16_t)(1000 + n)},
	    .service = {ip_of(service), 443},
	    .protocol = n % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP,
	    .reset = n % 3 == 0,
	    .from_transferor = n % 5 == 1,
	    .seq = 0xfffffff0 + n};
}

static void
same_closed(const struct connection_closed *a, const struct connection_closed *b)
{
	assert_true(addr_equal(&a->client, &b->client));
	assert_true(addr_equal(&a->service, &b->service));
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(a->reset, b->reset);
	assert_int_equal(a->from_transferor, b->from_transferor);
	assert_true(a->seq == b->seq);
}

static int
decode_closed(const uint8_t *data, size_t len, struct closed *closed)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int ret;

	memcpy(copy, data, len);
	ret = codec_decode_closed(copy, len, closed);
	free(copy);
	return ret;
}

static void
closed_octets(void **state)
{
	/* clang-format off */
	static const uint8_t expected[] = {
	    4, 0, 0, 0, 0, 4 + 18 + 4 + 42,
	    0, 1, 0, 18,
	    192, 0, 2, 7, 0x03, 0xe9, 203, 0, 113, 10, 0x01, 0xbb, 17, 2, 0xff, 0xff, 0xff, 0xf1,
	    0, 2, 0, 42,
	    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0x03, 0xe8,
	    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x01, 0xbb,
	    6, 1, 0xff, 0xff, 0xff, 0xf0,
	};
	/* clang-format on */
	struct connection_closed entries[] = {closed_of("2001:db8::7", "2001:db8::9", 0),
	    closed_of("192.0.2.7", "203.0.113.10", 1)};
	struct codec_buffer b = {0};
	struct closed got;

	(void)state;
	assert_int_equal(codec_encode_closed(&b, entries, 2), 0);
	assert_int_equal(b.len, sizeof(expected));
	assert_memory_equal(b.data, expected, sizeof(expected));
	assert_int_equal(decode_closed(b.data + 6, b.len - 6, &got), 0);
	assert_int_equal(got.count, 2);
	same_closed(&got.entries[0], &entries[1]);
	same_closed(&got.entries[1], &entries[0]);
	closed_fini(&got);
	codec_buffer_fini(&b);
}

static void
closed_limits(void **state)
{
	static struct connection_closed entries[CLOSED_ENTRIES_MAX + 1];
	struct codec_buffer b = {0};
	struct closed got;

	(void)state;
	for (unsigned i = 0; i <= CLOSED_ENTRIES_MAX; i++)
		entries[i] = closed_of("2001:db8::7", "2001:db8::9", i);
	assert_int_equal(codec_encode_closed(&b, entries, CLOSED_ENTRIES_MAX + 1), -1);
	assert_int_equal(b.len, 0);
	assert_int_equal(codec_encode_closed(&b, entries, CLOSED_ENTRIES_MAX), 0);
	assert_int_equal(decode_closed(b.data + 6, b.len - 6, &got), 0);
	assert_int_equal(got.count, CLOSED_ENTRIES_MAX);
	for (unsigned i = 0; i < CLOSED_ENTRIES_MAX; i++)
		same_closed(&got.entries[i], &entries[i]);
	closed_fini(&got);
	b.len = 0;
	/* none at all is a message, too */
	assert_int_equal(codec_encode_closed(&b, NULL, 0), 0);
	assert_int_equal(b.len, 6);
	assert_int_equal(decode_closed(b.data + 6, 0, &got), 0);
	assert_int_equal(got.count, 0);
	closed_fini(&got);
	b.len = 0;
	entries[3] = closed_of("192.0.2.7", "2001:db8::9", 1);
	assert_int_equal(codec_encode_closed(&b, entries, 5), -1);
	assert_int_equal(b.len, 0);
	codec_buffer_fini(&b);
}

/* 1024 of both families together, however they are spread. */
static void
closed_of_both_families_are_limited(void **state)
{
	static struct body b;
	static uint8_t v4[18 * 1024], v6[42 * 1024];
	struct closed got;

	(void)state;
	for (size_t i = 0; i < 1024; i++) {
		v4[18 * i] = 10;
		v4[18 * i + 12] = v6[42 * i + 36] = 6;
		v6[42 * i] = v6[42 * i + 18] = 0x20;
	}
	b.len = 0;
	add(&b, 1, v4, 18 * 1000);
	add(&b, 2, v6, 42 * 24);
	assert_int_equal(decode_closed(b.data, b.len, &got), 0);
	assert_int_equal(got.count, 1024);
	closed_fini(&got);
	b.len = 0;
	add(&b, 1, v4, 18 * 1000);
	add(&b, 2, v6, 42 * 25);
	assert_int_equal(decode_closed(b.data, b.len, &got), -1);
	assert_null(got.entries);
	b.len = 0;
	add(&b, 1, v4, 18 * 1024);
	add(&b, 2, v6, 42);
	assert_int_equal(decode_closed(b.data, b.len, &got), -1);
}

static void
closed_malformed(void **state)
{
	struct connection_closed entry = closed_of("192.0.2.7", "203.0.113.10", 2);
	struct codec_buffer b = {0};
	struct closed got;
	uint8_t *record;

	(void)state;
	assert_int_equal(codec_encode_closed(&b, &entry, 1), 0);
	record = b.data + 10;
	for (size_t n = 1; n < b.len - 6; n++)
		assert_int_equal(decode_closed(b.data + 6, n, &got), -1);
	for (unsigned protocol = 0; protocol < 256; protocol++) {
		record[12] = (uint8_t)protocol;
		assert_int_equal(decode_closed(b.data + 6, b.len - 6, &got),
		    protocol == 6 || protocol == 17 ? 0 : -1);
		closed_fini(&got);
	}
	/* flags that are not known say nothing */
	record[12] = 6;
	record[13] = 0xfc;
	assert_int_equal(decode_closed(b.data + 6, b.len - 6, &got), 0);
	assert_false(got.entries[0].reset);
	assert_false(got.entries[0].from_transferor);
	closed_fini(&got);
	codec_buffer_fini(&b);

	entry = closed_of("2001:db8::7", "2001:db8::9", 2);
	assert_int_equal(codec_encode_closed(&b, &entry, 1), 0);
	record = b.data + 10;
	memcpy(record + 18, "\0\0\0\0\0\0\0\0\0\0\377\377", 12);
	assert_int_equal(decode_closed(b.data + 6, b.len - 6, &got), -1);
	codec_buffer_fini(&b);
}

static void
probe(void **state)
{
	static const uint8_t expected[] = {
	    5, 0, 0, 0, 0, 12, 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 0xff};
	struct probe_seen seen = {UINT64_C(0x01020304050607ff)}, got;
	struct codec_buffer b = {0};

	(void)state;
	assert_int_equal(codec_encode_probe(&b, &seen), 0);
	assert_int_equal(b.len, sizeof(expected));
	assert_memory_equal(b.data, expected, sizeof(expected));
	assert_int_equal(codec_decode_probe(b.data + 6, 12, &got), 0);
	assert_true(got.id == seen.id);
	for (size_t n = 0; n < 12; n++)
		assert_int_equal(codec_decode_probe(b.data + 6, n, &got), -1);
	codec_buffer_fini(&b);
}

/* ---- several services ---- */

static void
number_service(struct body *b, unsigned tag, unsigned number, const char *name)
{
	struct body s = {.len = 0};
	uint8_t octets[2] = {(uint8_t)(number >> 8), (uint8_t)number};

	if (tag == 9) {
		add(&s, 1, name, strlen(name));
		add(&s, 2, octets, 2);
		add(&s, 3, "\6", 1);
		add(&s, 4, "\12\0\0\1", 4);
		add(&s, 6, "\0\120", 2);
	} else {
		add(&s, 1, octets, 2);
		for (unsigned t = 2; t <= 4; t++)
			add(&s, t, "\0\0\0\3", 4);
		add(&s, 5, "\1", 1);
		add(&s, 6, "\0\3", 2);
	}
	add(b, tag, s.data, s.len);
}

static struct body
hello_without_services(void)
{
	struct body b = hello_with(99, "", 0);

	return without(b.data, b.len, 9);
}

static void
services_must_differ(void **state)
{
	struct body b = hello_without_services(), load = {.len = 0};
	struct hello got;
	struct load_report report;

	(void)state;
	number_service(&b, 9, 1, "a");
	number_service(&b, 9, 2, "b");
	assert_int_equal(decode_hello(b.data, b.len, &got), 0);
	assert_int_equal(got.services_count, 2);
	hello_fini(&got);
	number_service(&b, 9, 3, "a");
	refuse_hello(&b);
	b = hello_without_services();
	number_service(&b, 9, 256, "a");
	number_service(&b, 9, 256, "b");
	refuse_hello(&b);

	add(&load, 1, "\0\0\0\1", 4);
	add(&load, 2, "\0\0\0\0\0\0\0\1", 8);
	number_service(&load, 5, 1, NULL);
	number_service(&load, 5, 257, NULL);
	assert_int_equal(decode_load(load.data, load.len, &report), 0);
	load_report_fini(&report);
	number_service(&load, 5, 1, NULL);
	refuse_load(&load);
}

static void
services_are_limited(void **state)
{
	struct body b = hello_without_services(), load = {.len = 0};
	struct hello got;
	struct load_report report;
	char name[8];

	(void)state;
	add(&load, 1, "\0\0\0\1", 4);
	add(&load, 2, "\0\0\0\0\0\0\0\1", 8);
	for (unsigned i = 0; i < 1024; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		number_service(&b, 9, i, name);
		number_service(&load, 5, i, NULL);
	}
	assert_int_equal(decode_hello(b.data, b.len, &got), 0);
	assert_int_equal(got.services_count, 1024);
	assert_string_equal(got.services[1023].name, "s1023");
	hello_fini(&got);
	assert_int_equal(decode_load(load.data, load.len, &report), 0);
	assert_int_equal(report.services_count, 1024);
	assert_int_equal(report.services[1023].number, 1023);
	load_report_fini(&report);
	number_service(&b, 9, 1024, "s1024");
	refuse_hello(&b);
	number_service(&load, 5, 1024, NULL);
	refuse_load(&load);
}

/* ---- unknown tags, everywhere ---- */

static void
unknown_tags_are_skipped(void **state)
{
	struct body s = service_with(200, "later", 5), b = hello_with_service(&s);
	struct hello got;

	(void)state;
	add(&b, 0, "", 0);
	add(&b, 30, "x", 1);
	add(&b, 31, "x", 1);
	add(&b, 32, "x", 1);
	add(&b, 33, "x", 1); /* 33 - 32 is a known tag */
	add(&b, 65535, "yz", 2);
	add(&b, 65535, "yz", 2);
	assert_int_equal(decode_hello(b.data, b.len, &got), 0);
	assert_int_equal(got.services_count, 1);
	assert_int_equal(got.version, 1);
	hello_fini(&got);
}

/* ---- the encoder's limits ---- */

static void
encoder_refuses_what_is_too_large(void **state)
{
	static struct hello_service services[1025];
	static struct load_report_service reports[1025];
	static uint16_t ports[1025];
	struct hello h = sample_hello();
	struct load_report r = sample_load();
	struct codec_buffer b = {0};
	size_t before;

	(void)state;
	assert_int_equal(codec_encode_bye(&b, BYE_STOP), 0);
	before = b.len;
	for (int i = 0; i < 1025; i++) {
		ports[i] = (uint16_t)(i + 1);
		services[i] = sample_services[0];
		services[i].number = (uint16_t)i;
		services[i].ports = ports;
		services[i].ports_count = 1;
		reports[i].number = (uint16_t)i;
	}
	h.services = services;
	r.services = reports;
	h.services_count = r.services_count = 1025;
	assert_int_equal(codec_encode_hello(&b, &h), -1);
	assert_int_equal(codec_encode_load(&b, &r), -1);
	h.services_count = 1;
	services[0].ports_count = 1025;
	assert_int_equal(codec_encode_hello(&b, &h), -1);
	services[0].ports_count = 1;
	services[0].servers_count = HELLO_SERVERS_MAX + 1;
	assert_int_equal(codec_encode_hello(&b, &h), -1);
	services[0].servers_count = 0;
	h.ciphers_count = HELLO_CIPHERS_MAX + 1;
	assert_int_equal(codec_encode_hello(&b, &h), -1);
	h.ciphers_count = 0;
	/* each within its limit, all together over 64 KiB */
	h.services_count = 40;
	for (int i = 0; i < 40; i++)
		services[i].ports_count = 1024;
	assert_int_equal(codec_encode_hello(&b, &h), -1);
	assert_int_equal(b.len, before);
	/* as many reports as there can be do fit */
	r.services_count = 1024;
	assert_int_equal(codec_encode_load(&b, &r), 0);
	assert_true(b.len - before <= CODEC_HEADER_LEN + CODEC_MESSAGE_MAX);
	codec_buffer_fini(&b);
	assert_null(b.data);
	codec_buffer_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header),
	    cmocka_unit_test(hello_round_trip),
	    cmocka_unit_test(hello_octets),
	    cmocka_unit_test(load_round_trip),
	    cmocka_unit_test(small_messages),
	    cmocka_unit_test(small_messages_malformed),
	    cmocka_unit_test(hello_truncated),
	    cmocka_unit_test(load_truncated),
	    cmocka_unit_test(hello_must_and_once),
	    cmocka_unit_test(load_must_and_once),
	    cmocka_unit_test(hello_service_must_and_once),
	    cmocka_unit_test(load_service_must),
	    cmocka_unit_test(names),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(service_values),
	    cmocka_unit_test(report_values),
	    cmocka_unit_test(load_values),
	    cmocka_unit_test(cipher_lists),
	    cmocka_unit_test(servers_are_limited),
	    cmocka_unit_test(closed_octets),
	    cmocka_unit_test(closed_limits),
	    cmocka_unit_test(closed_of_both_families_are_limited),
	    cmocka_unit_test(closed_malformed),
	    cmocka_unit_test(probe),
	    cmocka_unit_test(services_must_differ),
	    cmocka_unit_test(services_are_limited),
	    cmocka_unit_test(unknown_tags_are_skipped),
	    cmocka_unit_test(encoder_refuses_what_is_too_large),
	};

	return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
