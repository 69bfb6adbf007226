#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "config/question.h"

static void
assert_question(
    const char *text, uint16_t type, const char *name, size_t len, const char *formatted)
{
	struct dns_question q;
	char buf[QUESTION_TEXT];

	assert_int_equal(question_parse(text, &q), 0);
	assert_int_equal(q.type, type);
	assert_int_equal(q.len, len);
	assert_memory_equal(q.name, name, len);
	assert_string_equal(question_format(&q, buf), formatted);
}

static void
test_parse(void **state)
{
	(void)state;
	assert_question(".", QUESTION_NS, "", 1, ". NS");
	assert_question(". SOA", QUESTION_SOA, "", 1, ". SOA");
	assert_question("a", QUESTION_A, "\1a", 3, "a A");
	assert_question(
	    "www.Example.net", QUESTION_A, "\3www\7Example\3net", 17, "www.Example.net A");
	assert_question("www.example.net. AAAA", QUESTION_AAAA, "\3www\7example\3net", 17,
	    "www.example.net AAAA");
	assert_question("_x-1.net TXT", QUESTION_TXT, "\4_x-1\3net", 10, "_x-1.net TXT");
	assert_question("a MX", QUESTION_MX, "\1a", 3, "a MX");
}

static void
test_bad(void **state)
{
	static const char *const bad[] = {"", " ", " A", "..", "...", ".a", "a..", "a..b",
	    "a b", "a A ", "a  A", "a a", "a\tA", "a!", "\xc3\xa4", "a/b", "a CNAME"};
	struct dns_question q = {.type = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (question_parse(bad[i], &q) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(q.type, 77);
}

static void
test_lengths(void **state)
{
	struct dns_question q, again;
	char text[300], buf[QUESTION_TEXT];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	assert_int_equal(question_parse(text, &q), 0);
	assert_int_equal(q.len, 65);
	text[63] = 'a';
	text[64] = '\0';
	assert_int_equal(question_parse(text, &q), -1);

	/* 63 + 63 + 63 + 61 octets, four lengths and the end are 255 */
	text[63] = text[127] = text[191] = '.';
	text[64] = 'a';
	text[253] = '\0';
	assert_int_equal(question_parse(text, &q), 0);
	assert_int_equal(q.len, QUESTION_NAME);
	assert_int_equal(question_parse(question_format(&q, buf), &again), 0);
	assert_true(question_equal(&q, &again));
	again.type = QUESTION_NS;
	assert_false(question_equal(&q, &again));
	text[253] = 'a';
	text[254] = '\0';
	assert_int_equal(question_parse(text, &q), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests_name("question", tests, NULL, NULL);
}
