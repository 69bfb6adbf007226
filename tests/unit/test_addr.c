#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/addr.h"

static struct ip
ip(const char *text)
{
	struct ip result;

	if (ip_parse(text, &result) == -1)
		fail_msg("%s is no address", text);
	return result;
}

static struct addr
addr(const char *text)
{
	struct addr result;

	if (addr_parse(text, &result) == -1)
		fail_msg("%s is no address with port", text);
	return result;
}

static void
test_from_octets(void **state)
{
	static const uint8_t four[4] = {192, 0, 2, 1};
	static const uint8_t sixteen[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
	struct ip v4 = ip_from_v4(four), v6 = ip_from_v6(sixteen);

	(void)state;
	assert_true(ip_is_v4(&v4));
	assert_memory_equal(ip_v4(&v4), four, 4);
	assert_memory_equal(v4.octet, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01", 16);
	assert_false(ip_is_v4(&v6));
	assert_memory_equal(v6.octet, sixteen, 16);
	assert_false(ip_equal(&v4, &v6));
}

static void
test_is_v4(void **state)
{
	struct ip a = ip("1.2.3.4");

	(void)state;
	assert_true(ip_is_v4(&a));
	/* one wrong bit in the prefix, and it is none */
	for (int i = 0; i < 12; i++) {
		a = ip("1.2.3.4");
		a.octet[i] ^= 0x10;
		assert_false(ip_is_v4(&a));
	}
	a = ip("::ffff:1.2.3.4");
	assert_true(ip_is_v4(&a));
	a = ip("::1.2.3.4");
	assert_false(ip_is_v4(&a));
}

static void
test_zero(void **state)
{
	struct ip a = ip("::");

	(void)state;
	assert_true(ip_is_zero(&a));
	for (int i = 0; i < 16; i++) {
		memset(&a, 0, sizeof(a));
		a.octet[i] = 1;
		assert_false(ip_is_zero(&a));
	}
	/* 0.0.0.0 is an address that says nothing, but it is not the absence of one */
	a = ip("0.0.0.0");
	assert_false(ip_is_zero(&a));
}

static void
test_parse_ip(void **state)
{
	static const char *const good[] = {"0.0.0.0", "255.255.255.255", "10.1.0.11",
	    "::", "::1", "2001:db8::20", "2001:db8:1:2:3:4:5:6", "fe80::1"};
	static const char *const bad[] = {"", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256",
	    "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "0x7f.0.0.1", "1.2.3.4/24", "1.2.3.4:80", ":",
	    ":::", "1::2::3", "12345::", "2001:db8::g", "[::1]", "fe80::1%eth0",
	    "1:2:3:4:5:6:7:8:9", "localhost", "2001:db8::/64"};
	struct ip untouched = ip("192.0.2.9"), result;
	char text[IP_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(ip_parse(good[i], &result), 0);
		assert_string_equal(ip_format(&result, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		result = untouched;
		if (ip_parse(bad[i], &result) != -1)
			fail_msg("\"%s\" taken for an address", bad[i]);
		assert_true(ip_equal(&result, &untouched));
	}
}

static void
test_parse_addr(void **state)
{
	static const char too_long[] =
	    "[1111111111111111111111111111111111111111111111111111111]:80";
	static const char *const bad[] = {"", ":", ":80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0",
	    "1.2.3.4:65536", "1.2.3.4:99999", "1.2.3.4:100000", "1.2.3.4:4294967376",
	    "1.2.3.4:18446744073709551696", "1.2.3.4:-1", "1.2.3.4:+80", "1.2.3.4: 80",
	    "1.2.3.4:80 ", "1.2.3.4:80x", "1.2.3.4:0x50", "1.2.3.4:http", "1.2.3.4::80",
	    "[1.2.3.4]:80", "::1", "::1:80", "2001:db8::1:80", "[::1]", "[::1]80",
	    "[::1]:", "[::1]:0", "[::1", "::1]:80", "[]:80", "[:80", "]:80", "[[::1]]:80",
	    "[::1]]:80", "host:80", "[::g]:80", too_long, too_long + 1};
	struct addr a = addr("192.0.2.1:80");

	(void)state;
	assert_int_equal(a.port, 80);
	assert_memory_equal(ip_v4(&a.ip), "\xc0\0\x02\x01", 4);
	a = addr("[2001:db8::1]:65535");
	assert_int_equal(a.port, 65535);
	assert_int_equal(a.ip.octet[15], 1);
	assert_int_equal(addr("0.0.0.0:1").port, 1);
	assert_int_equal(addr("1.2.3.4:00080").port, 80);
	assert_int_equal(addr("[1111:2222:3333:4444:5555:6666:7777:8888]:12345").port, 12345);
	a = addr("[::ffff:255.255.255.255]:12345");
	assert_true(ip_is_v4(&a.ip));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (addr_parse(bad[i], &a) != -1)
			fail_msg("\"%s\" taken for an address with port", bad[i]);
	}
}

static void
test_format(void **state)
{
	char text[ADDR_TEXT], text_ip[IP_TEXT];
	struct addr a = addr("192.0.2.1:80");
	struct ip longest;

	(void)state;
	assert_ptr_equal(addr_format(&a, text), text);
	assert_string_equal(text, "192.0.2.1:80");
	a = addr("[2001:db8:0:0:0:0:0:1]:443");
	assert_string_equal(addr_format(&a, text), "[2001:db8::1]:443");
	a.port = 0;
	assert_string_equal(addr_format(&a, text), "[2001:db8::1]:0");
	/* the longest there is fits */
	memset(&longest, 0xff, sizeof(longest));
	assert_string_equal(
	    ip_format(&longest, text_ip), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	a = (struct addr){.ip = longest, .port = 65535};
	assert_string_equal(
	    addr_format(&a, text), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	a = addr("255.255.255.255:65535");
	assert_string_equal(addr_format(&a, text), "255.255.255.255:65535");
}

static void
test_round_trip(void **state)
{
	char text[ADDR_TEXT];
	uint32_t x = 12345;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct addr a, b;

		for (size_t j = 0; j < sizeof(a.ip.octet); j++) {
			x = x * 1664525 + 1013904223;
			/* runs of zeros are what the text form shortens */
			a.ip.octet[j] = x >> 30 == 0 ? (uint8_t)(x >> 16) : 0;
		}
		if (i % 3 == 0)
			a.ip = ip_from_v4(a.ip.octet);
		a.port = (uint16_t)(1 + (x >> 8) % 65535);
		assert_int_equal(addr_parse(addr_format(&a, text), &b), 0);
		assert_true(addr_equal(&a, &b));
		assert_int_equal(addr_compare(&a, &b), 0);
	}
}

static void
test_compare(void **state)
{
	static const char *const sorted[] = {"[::]:1", "[::1]:1", "0.0.0.0:7", "1.2.3.4:80",
	    "1.2.3.4:81", "1.2.3.4:256", "1.2.3.4:65535", "1.2.3.5:1", "200.0.0.1:1",
	    "[2001:db8::1]:5", "[2001:db8::1]:500", "[ff02::1]:1"};
	const size_t count = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			struct addr a = addr(sorted[i]), b = addr(sorted[j]);
			int order = addr_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
			assert_int_equal(addr_equal(&a, &b), i == j);
		}
	}
}

static void
test_martians(void **state)
{
	static const char *const martians[] = {"0.0.0.0", "0.255.255.255", "127.0.0.1",
	    "127.255.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	    "::", "::1", "ff00::", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "::ffff:127.0.0.1", "::ffff:224.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1",
	    "::10.0.0.1", "::2"};
	static const char *const fine[] = {"1.0.0.0", "10.0.0.1", "126.255.255.255",
	    "128.0.0.0", "192.168.0.1", "203.0.113.10", "223.255.255.255", "2001:db8::1",
	    "fe80::1", "fc00::1", "feff::1", "::1:0:0:0", "64:ff9b::1"};
	struct ip a;

	(void)state;
	for (size_t i = 0; i < sizeof(martians) / sizeof(martians[0]); i++) {
		a = ip(martians[i]);
		if (!ip_is_martian(&a))
			fail_msg("%s is a martian", martians[i]);
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		a = ip(fine[i]);
		if (ip_is_martian(&a))
			fail_msg("%s is no martian", fine[i]);
	}
}

static void
test_sockaddr(void **state)
{
	static const char *const texts[] = {"192.0.2.1:80", "[2001:db8::1]:65535", "0.0.0.0:1"};
	struct sockaddr_storage ss;
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	struct addr a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		a = addr(texts[i]);
		memset(&ss, 0xa5, sizeof(ss));
		assert_int_equal(addr_to_sockaddr(&a, &ss),
		    ip_is_v4(&a.ip) ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		memset(&b, 0xa5, sizeof(b));
		assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &b), 0);
		assert_true(addr_equal(&a, &b));
	}
	a = addr("192.0.2.1:80");
	addr_to_sockaddr(&a, &ss);
	assert_int_equal(ss.ss_family, AF_INET);
	assert_int_equal(in->sin_port, htons(80));
	assert_int_equal(in->sin_addr.s_addr, htonl(0xc0000201));
	a = addr("[2001:db8::1]:443");
	addr_to_sockaddr(&a, &ss);
	assert_int_equal(ss.ss_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(443));
	/* nothing left over from before that would send it elsewhere */
	assert_int_equal(in6->sin6_scope_id, 0);
	assert_int_equal(in6->sin6_flowinfo, 0);
}

static void
test_sockaddr_of_another_family(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct addr before = addr("192.0.2.1:80"), a = before;

	(void)state;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&un, &a), -1);
	un.sun_family = AF_UNSPEC;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&un, &a), -1);
	assert_true(addr_equal(&a, &before));
}

/* A socket that speaks IPv6 gives IPv4 peers as mapped addresses: the same as IPv4's. */
static void
test_mapped_sockaddr(void **state)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	struct addr a, b = addr("192.0.2.1:80");

	(void)state;
	in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(in6.sin6_addr.s6_addr + 12, "\xc0\0\x02\x01", 4);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6, &a), 0);
	assert_true(addr_equal(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_from_octets),
	    cmocka_unit_test(test_is_v4),
	    cmocka_unit_test(test_zero),
	    cmocka_unit_test(test_parse_ip),
	    cmocka_unit_test(test_parse_addr),
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_compare),
	    cmocka_unit_test(test_martians),
	    cmocka_unit_test(test_sockaddr),
	    cmocka_unit_test(test_sockaddr_of_another_family),
	    cmocka_unit_test(test_mapped_sockaddr),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
