#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "health/round.h"

/*
 * One character a report: 'a' and 'b' passed, 'A' and 'B' failed, '1' and '2' could not ask, of
 * the one address and of the other; and what it decides: '+' a pass, '-' a failure, '?' that
 * nobody could ask, '.' nothing.
 */
static const struct row {
	size_t sides;
	const char *reports, *results;
} rows[] = {
    /* a single address decides each time */
    {1, "aaAAaA1a", "++--+-?+"},
    /* a pass is one of both */
    {2, "ababab", ".+.+.+"},
    {2, "abbaab", ".+.+.+"},
    /* a failure is one of either, and does not wait */
    {2, "aBaBaB", ".-.-.-"},
    {2, "BaBaBa", "-.-.-."},
    {2, "ABABAB", "-.-.-."},
    {2, "AAAA", "----"},
    /* who is asked more often begins rounds anew, and passes for nobody else */
    {2, "aaab", "...+"},
    {2, "aaaB", "...-"},
    /* an outage in which each is asked once is one failure, whatever came before */
    {2, "abABab", ".+-..+"},
    {2, "abBAab", ".+-..+"},
    {2, "ababaBAba", ".+.+.-..+"},
    {2, "babaABba", ".+.+-..+"},
    /* twice, two; thrice, three */
    {2, "abaBABAba", ".+.-.-..+"},
    {2, "abaBABABAba", ".+.-.-.-..+"},
    {2, "abABABABab", ".+-.-.-..+"},
    /* but for one that passed once more while the other failed: it has failed anew */
    {2, "abAbAB", ".+-.-."},
    {2, "abAbB", ".+-.-"},
    {2, "aBaA", ".-.-"},
    /* a failure of before does not keep a pass away */
    {2, "aBab", ".-.+"},
    {2, "aBAba", ".-..+"},
    /* after a pass of both each failure counts */
    {2, "abBbaA", ".+-.+-"},
    /* who could not be asked is neither */
    {2, "1b", ".?"},
    {2, "a2", ".?"},
    {2, "12", ".?"},
    {2, "1B", ".-"},
    {2, "a2A", ".?-"},
    {2, "A2a2", "-..?"},
};

static struct probe_result
result_of(char report)
{
	struct probe_result result = {.cause = HEALTH_none, .status = (unsigned char)report};

	if (isupper((unsigned char)report))
		result.cause = HEALTH_refused;
	else if (isdigit((unsigned char)report))
		result.cause = HEALTH_local;
	return result;
}

static char
decision(const struct round *round)
{
	if (round->result.cause == HEALTH_none)
		return '+';
	return round->result.cause == HEALTH_local ? '?' : '-';
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct round round;
		char got[32] = "";

		assert_int_equal(strlen(row->reports), strlen(row->results));
		round_begin(&round, row->sides);
		for (size_t n = 0; row->reports[n] != '\0'; n++) {
			struct probe_result result = result_of(row->reports[n]);
			size_t side = strchr("bB2", row->reports[n]) != NULL;

			got[n] = '.';
			if (round_report(&round, side, &result))
				got[n] = decision(&round);
		}
		if (strcmp(got, row->results) != 0)
			print_message("row %zu: %s\n", i, row->reports);
		assert_string_equal(got, row->results);
	}
}

/* What is reported of a round is whose fault it is. */
static void
test_worst(void **state)
{
	struct probe_result pass = result_of('a'), fault = result_of('B'), local = result_of('1');
	struct round round;

	(void)state;
	round_begin(&round, 2);
	assert_false(round_report(&round, 0, &pass));
	assert_true(round_report(&round, 1, &fault));
	assert_int_equal(round.worst, 1);
	assert_int_equal(round.result.status, 'B');
	assert_false(round_report(&round, 0, &fault));
	assert_int_equal(round.worst, 1);

	round_begin(&round, 2);
	assert_false(round_report(&round, 1, &local));
	assert_true(round_report(&round, 0, &pass));
	assert_int_equal(round.worst, 1);
	assert_int_equal(round.result.cause, HEALTH_local);
}

/* Addresses that come and go do not leave reports behind. */
static void
test_begin(void **state)
{
	struct probe_result pass = result_of('a');
	struct round round;

	(void)state;
	round_begin(&round, 2);
	assert_false(round_report(&round, 0, &pass));
	round_begin(&round, 2);
	assert_false(round_report(&round, 1, &pass));
	round_begin(&round, 1);
	assert_true(round_report(&round, 0, &pass));
}

/*
 * Two addresses at intervals of their own, any phase, out for so long that one is asked so many
 * times at the most: never more failures than that.
 */
static void
test_outages(void **state)
{
	(void)state;
	for (unsigned phase = 0; phase < 100; phase++) {
		for (unsigned begin = 1000; begin < 1100; begin++) {
			for (unsigned length = 1; length < 300; length += 50) {
				unsigned most = (length + 99) / 100, failures = 0;
				struct round round;

				round_begin(&round, 2);
				for (unsigned now = 0; now < 2000; now++) {
					bool out = now >= begin && now < begin + length;
					struct probe_result result = result_of(out ? 'A' : 'a');

					if (now % 100 == 0 && round_report(&round, 0, &result))
						failures += round.failed;
					if (now % 100 == phase && round_report(&round, 1, &result))
						failures += round.failed;
				}
				assert_in_range(failures, length < 100 ? 0 : most - 1, most);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_worst),
	    cmocka_unit_test(test_begin),
	    cmocka_unit_test(test_outages),
	};

	return cmocka_run_group_tests_name("round", tests, NULL, NULL);
}
