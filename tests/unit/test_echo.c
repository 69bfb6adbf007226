#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "health/echo.h"

/* The Internet checksum, written out: what decode() may not share with the code it tests. */
static void
put_checksum(uint8_t *message, size_t len)
{
	uint32_t sum = 0;

	message[2] = message[3] = 0;
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)message[i] << 8 : message[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	message[2] = (uint8_t)(~sum >> 8);
	message[3] = (uint8_t)~sum;
}

static const uint8_t token_octets[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct echo
sample(void)
{
	struct echo echo = {.id = 0x1234, .sequence = 0xabcd};

	memcpy(&echo.token, token_octets, 8);
	return echo;
}

static void
test_encode(void **state)
{
	static const uint8_t v6[ECHO_SIZE] = {
	    128, 0, 0, 0, 0x12, 0x34, 0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8};
	struct echo echo = sample();
	uint8_t buf[ECHO_SIZE], v4[ECHO_SIZE];

	(void)state;
	echo_encode(false, &echo, buf);
	assert_memory_equal(buf, v6, sizeof(buf));
	echo_encode(true, &echo, buf);
	memcpy(v4, v6, sizeof(v4));
	v4[0] = 8;
	put_checksum(v4, sizeof(v4));
	assert_memory_equal(buf, v4, sizeof(buf));
}

/* An IPv4 packet from 10.1.0.1 to 10.1.0.11 with header octets of header and this message. */
static size_t
packet_v4(uint8_t *packet, size_t header, const uint8_t *message, size_t len)
{
	static const uint8_t addresses[] = {10, 1, 0, 1, 10, 1, 0, 11};

	memset(packet, 0, header);
	packet[0] = (uint8_t)(0x40 | header / 4);
	packet[9] = 1;
	memcpy(packet + 12, addresses, 8);
	memcpy(packet + header, message, len);
	return header + len;
}

static size_t
packet_v6(uint8_t *packet, const uint8_t *message, size_t len)
{
	struct ip to;

	assert_int_equal(ip_parse("2001:db8::11", &to), 0);
	memset(packet, 0, 40);
	packet[0] = 0x60;
	packet[6] = 58;
	memcpy(packet + 24, to.octet, 16);
	memcpy(packet + 40, message, len);
	return 40 + len;
}

/* The reply to a request; returns its length. */
static size_t
reply(bool v4, uint8_t *data)
{
	struct echo echo = sample();
	uint8_t message[ECHO_SIZE];

	echo_encode(v4, &echo, message);
	message[0] = v4 ? 0 : 129;
	if (!v4) {
		memcpy(data, message, sizeof(message));
		return sizeof(message);
	}
	put_checksum(message, sizeof(message));
	return packet_v4(data, 20, message, sizeof(message));
}

static void
test_reply(void **state)
{
	uint8_t data[100];
	struct echo echo, wanted = sample();

	(void)state;
	for (int v4 = 0; v4 <= 1; v4++) {
		size_t len = reply(v4, data);

		memset(&echo, 0, sizeof(echo));
		assert_int_equal(echo_decode(v4, data, len, &echo), ECHO_REPLY);
		assert_int_equal(echo.id, wanted.id);
		assert_int_equal(echo.sequence, wanted.sequence);
		assert_true(echo.token == wanted.token);
		/* shorter or longer is none of ours */
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(echo_decode(v4, data, cut, &echo), ECHO_NONE);
		assert_int_equal(echo_decode(v4, data, len + 4, &echo), ECHO_NONE);
		/* for the other family it is nothing */
		assert_int_equal(echo_decode(!v4, data, len, &echo), ECHO_NONE);
	}
}

static void
test_reply_with_options(void **state)
{
	uint8_t data[100], message[ECHO_SIZE];
	struct echo echo = sample();

	(void)state;
	echo_encode(true, &echo, message);
	message[0] = 0;
	put_checksum(message, sizeof(message));
	for (size_t header = 20; header <= 60; header += 4) {
		size_t len = packet_v4(data, header, message, sizeof(message));

		assert_int_equal(echo_decode(true, data, len, &echo), ECHO_REPLY);
	}
	data[0] = 0x44; /* a header of 16 octets */
	assert_int_equal(echo_decode(true, data, 76, &echo), ECHO_NONE);
}

static void
test_damaged(void **state)
{
	uint8_t data[100];
	struct echo echo;
	size_t len = reply(true, data);

	(void)state;
	for (size_t i = 20; i < len; i++) {
		data[i] ^= 0x10;
		assert_int_equal(echo_decode(true, data, len, &echo), ECHO_NONE);
		data[i] ^= 0x10;
	}
	assert_int_equal(echo_decode(true, data, len, &echo), ECHO_REPLY);
}

/* Requests (those of others, to us) and other types and codes. */
static void
test_other_types(void **state)
{
	uint8_t data[100];
	struct echo echo;

	(void)state;
	for (int v4 = 0; v4 <= 1; v4++) {
		size_t len = reply(v4, data), header = v4 ? 20 : 0;

		for (int type = 0; type < 256; type++) {
			data[header] = (uint8_t)type;
			put_checksum(data + header, len - header);
			assert_int_equal(echo_decode(v4, data, len, &echo),
			    type == (v4 ? 0 : 129) ? ECHO_REPLY : ECHO_NONE);
		}
		data[header] = v4 ? 0 : 129;
		data[header + 1] = 1;
		put_checksum(data + header, len - header);
		assert_int_equal(echo_decode(v4, data, len, &echo), ECHO_NONE);
	}
}

/* "Unreachable" about a request of ours: the first quote octets of it. */
static size_t
unreachable(bool v4, uint8_t *data, uint8_t code, uint8_t quoted_type, size_t quote)
{
	uint8_t message[8 + 100] = {v4 ? 3 : 1, code}, request[ECHO_SIZE];
	struct echo echo = sample();

	echo_encode(v4, &echo, request);
	request[0] = quoted_type;
	if (v4)
		packet_v4(message + 8, 20, request, sizeof(request));
	else
		packet_v6(message + 8, request, sizeof(request));
	put_checksum(message, 8 + quote);
	if (v4)
		return packet_v4(data, 20, message, 8 + quote);
	memcpy(data, message, 8 + quote);
	return 8 + quote;
}

static void
test_unreachable(void **state)
{
	uint8_t data[200];
	struct echo echo, wanted = sample();
	char text[IP_TEXT];

	(void)state;
	for (int v4 = 0; v4 <= 1; v4++) {
		size_t header = v4 ? 20 : 40, len;
		uint8_t request = v4 ? 8 : 128;

		for (size_t quote = header + 8; quote <= header + ECHO_SIZE; quote++) {
			len = unreachable(v4, data, 1, request, quote);
			memset(&echo, 0, sizeof(echo));
			assert_int_equal(echo_decode(v4, data, len, &echo), ECHO_UNREACHABLE);
			assert_int_equal(echo.id, wanted.id);
			assert_int_equal(echo.sequence, wanted.sequence);
			assert_string_equal(ip_format(&echo.destination, text),
			    v4 ? "10.1.0.11" : "2001:db8::11");
		}
		for (size_t quote = 0; quote < header + 8; quote++) {
			len = unreachable(v4, data, 1, request, quote);
			assert_int_equal(echo_decode(v4, data, len, &echo), ECHO_NONE);
		}
		/* about a reply that this host sent */
		len = unreachable(v4, data, 1, v4 ? 0 : 129, header + 8);
		assert_int_equal(echo_decode(v4, data, len, &echo), ECHO_NONE);
	}
	/* "fragmentation needed" is none; in ICMPv6, code 4 is "port unreachable" */
	assert_int_equal(
	    echo_decode(true, data, unreachable(true, data, 4, 8, 36), &echo), ECHO_NONE);
	assert_int_equal(echo_decode(false, data, unreachable(false, data, 4, 128, 56), &echo),
	    ECHO_UNREACHABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_encode),
	    cmocka_unit_test(test_reply),
	    cmocka_unit_test(test_reply_with_options),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_other_types),
	    cmocka_unit_test(test_unreachable),
	};

	return cmocka_run_group_tests_name("echo", tests, NULL, NULL);
}
