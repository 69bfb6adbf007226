#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "health/dns_message.h"

#define ID 0x1234

struct rig {
	struct dns_question question;
	uint8_t message[600];
	size_t len;
	unsigned rcode;
};

/* The query turned into its answer, without records. */
static void
answer(struct rig *r, const char *question)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(question_parse(question, &r->question), 0);
	r->len = dns_message_query(&r->question, ID, r->message);
	r->message[2] |= 0x80;
	r->rcode = 99;
}

static bool
answers(struct rig *r)
{
	uint8_t copy[sizeof(r->message)];

	memcpy(copy, r->message, r->len);
	return dns_message_answers(copy, r->len, &r->question, ID, &r->rcode);
}

static void
test_query(void **state)
{
	static const uint8_t expected[] = {0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 3,
	    'w', 'w', 'w', 2, 'a', 'b', 0, 0, 28, 0, 1};
	struct dns_question question;
	uint8_t buf[DNS_QUERY_MAX];

	(void)state;
	assert_int_equal(question_parse("www.ab AAAA", &question), 0);
	assert_int_equal(dns_message_query(&question, ID, buf), sizeof(expected));
	assert_memory_equal(buf, expected, sizeof(expected));
	assert_int_equal(question_parse(".", &question), 0);
	assert_int_equal(dns_message_query(&question, ID, buf), DNS_HEADER + 5);
}

static void
test_answers(void **state)
{
	struct rig r;

	(void)state;
	answer(&r, "www.ab");
	assert_true(answers(&r));
	assert_int_equal(r.rcode, 0);
	r.message[13] = 'W'; /* in whatever case */
	assert_true(answers(&r));
	r.message[3] |= 5;
	assert_true(answers(&r));
	assert_int_equal(r.rcode, 5);
	/* truncated, with records, authoritative */
	answer(&r, ".");
	r.message[2] |= 0x06;
	r.message[7] = 13;
	r.len += 100;
	assert_true(answers(&r));
	assert_int_equal(r.rcode, 0);
}

static void
test_no_question(void **state)
{
	struct rig r;

	(void)state;
	answer(&r, "www.ab");
	r.message[5] = 0;
	r.len = DNS_HEADER;
	assert_false(answers(&r));
	r.message[3] |= 1; /* a format error */
	assert_true(answers(&r));
	assert_int_equal(r.rcode, 1);
}

static void
test_others(void **state)
{
	static const size_t places[] = {0, 1, 4, 5, 12, 14, 17, 19, 20, 21, 22, 23};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		answer(&r, "www.ab");
		r.message[places[i]] ^= 1;
		if (answers(&r))
			fail_msg("octet %zu may be another", places[i]);
	}
	answer(&r, "www.ab");
	r.message[2] &= 0x7f; /* a query */
	assert_false(answers(&r));
	answer(&r, "www.ab");
	r.message[2] |= 0x10; /* another operation */
	assert_false(answers(&r));
}

static void
test_short(void **state)
{
	struct rig r;

	(void)state;
	answer(&r, "www.ab");
	for (size_t len = r.len; r.len > 0; r.len--)
		assert_int_equal(answers(&r), r.len == len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_query),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_no_question),
	    cmocka_unit_test(test_others),
	    cmocka_unit_test(test_short),
	};

	return cmocka_run_group_tests_name("dns_message", tests, NULL, NULL);
}
