#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "health/hysteresis.h"

/*
 * One character a result: '+' passed, '-' failed; and the state after it: 'U' up, 'D'
 * down, upper case if the call said that it changed, lower case if not.
 */
static const struct row {
	unsigned rise, fall;
	const char *results, *states;
} rows[] = {
    /* the first result decides, whatever rise and fall are */
    {2, 3, "+", "U"},
    {2, 3, "-", "D"},
    {100, 100, "+", "U"},
    {100, 100, "-", "D"},
    /* fall failures in a row */
    {2, 3, "+---", "UuuD"},
    {2, 3, "+--+---", "UuuuuuD"},
    {2, 3, "+--+--+--+---", "UuuuuuuuuuuuD"},
    {1, 1, "+-", "UD"},
    /* rise passes in a row */
    {2, 3, "-++", "DdU"},
    {2, 3, "-+-+-++", "DdddddU"},
    {1, 1, "-+-+", "DUDU"},
    /* agreeing results neither change nor count */
    {2, 3, "+++++---", "UuuuuuuD"},
    {2, 3, "------++", "DddddddU"},
    /* a change starts the count anew */
    {2, 3, "+---++---", "UuuDdUuuD"},
    {3, 1, "+-++-+++-",
	"UDddddd"
	"UD"},
    {1, 3, "-+---+", "DUuuDU"},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct hysteresis h = {false, false, 0};
		char got[32] = "";

		assert_int_equal(strlen(row->results), strlen(row->states));
		for (size_t n = 0; row->results[n] != '\0'; n++) {
			bool changed =
			    hysteresis_result(&h, row->results[n] == '+', row->rise, row->fall);

			assert_true(h.known);
			got[n] = h.up ? (changed ? 'U' : 'u') : (changed ? 'D' : 'd');
		}
		if (strcmp(got, row->states) != 0)
			fail_msg(
			    "row %zu: %s gives %s, not %s", i, row->results, got, row->states);
	}
}

/* rise and fall may be lowered by a reload while a run is under way. */
static void
test_limits_change(void **state)
{
	struct hysteresis h = {false, false, 0};

	(void)state;
	assert_true(hysteresis_result(&h, true, 2, 10));
	for (int i = 0; i < 5; i++)
		assert_false(hysteresis_result(&h, false, 2, 10));
	assert_true(hysteresis_result(&h, false, 2, 3));
	assert_false(h.up);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_limits_change),
	};

	return cmocka_run_group_tests_name("hysteresis", tests, NULL, NULL);
}
