#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "config/statuses.h"

static void
test_single(void **state)
{
	struct statuses s = {0};

	(void)state;
	assert_int_equal(statuses_parse("204", &s), 0);
	for (unsigned code = 0; code < 1000; code++)
		assert_int_equal(statuses_have(&s, code), code == 204);
}

static void
test_list(void **state)
{
	struct statuses s = {0};

	(void)state;
	assert_int_equal(statuses_parse(" 200 - 202 ,304,\t500-500", &s), 0);
	for (unsigned code = 0; code < 1000; code++)
		assert_int_equal(statuses_have(&s, code),
		    (code >= 200 && code <= 202) || code == 304 || code == 500);
}

static void
test_limits(void **state)
{
	struct statuses s = {0};

	(void)state;
	assert_int_equal(statuses_parse("100-599", &s), 0);
	assert_false(statuses_have(&s, 99));
	assert_true(statuses_have(&s, 100));
	assert_true(statuses_have(&s, 599));
	assert_false(statuses_have(&s, 600));
	assert_int_equal(statuses_parse("201,202,203,204,205,206,207,208", &s), 0);
	assert_true(statuses_have(&s, 208));
	assert_false(statuses_have(&s, 209));
}

static void
test_refused(void **state)
{
	static const char *const texts[] = {"", " ", ",", "200,", ",200", "20", "2000", "200-",
	    "-200", "200-199", "099", "600", "200-600", "200--300", "200 300", "2oo", "200;300",
	    "200-300-400", "2 00", "+200", "201,202,203,204,205,206,207,208,209"};
	struct statuses s = {0};

	(void)state;
	assert_int_equal(statuses_parse("418", &s), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (statuses_parse(texts[i], &s) != -1)
			fail_msg("\"%s\" was taken", texts[i]);
	/* and nothing was lost */
	assert_true(statuses_have(&s, 418));
	assert_false(statuses_have(&s, 200));
}

static void
test_none(void **state)
{
	struct statuses s = {0};

	(void)state;
	for (unsigned code = 0; code < 1000; code++)
		assert_false(statuses_have(&s, code));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests_name("statuses", tests, NULL, NULL);
}
