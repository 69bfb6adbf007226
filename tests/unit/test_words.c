#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/meaning.h"
#include "agent/words.h"

#define NONE UINT32_MAX

/* A line and what it says; 0 of an enumeration: nothing, NONE of a number likewise. */
struct sequence {
	const char *line;
	enum words_operation operation;
	enum words_admin admin;
	uint32_t percent, absolute, maxconn;
	unsigned known, unknown;
	const char *description;
};

#define SAYS(o, a, p, w, m, k, u, d) WORDS_##o, WORDS_##a, p, w, m, k, u, d

/* Sequences of the protocol as HAProxy's manual describes it. */
static const struct sequence sequences[] = {
    /* each word by itself */
    {"up\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"down\n", SAYS(DOWN, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"fail\n", SAYS(FAIL, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"stopped\n", SAYS(STOPPED, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"ready\n", SAYS(UNTOLD, READY, NONE, NONE, NONE, 1, 0, "")},
    {"drain\n", SAYS(UNTOLD, DRAIN, NONE, NONE, NONE, 1, 0, "")},
    {"maint\n", SAYS(UNTOLD, MAINT, NONE, NONE, NONE, 1, 0, "")},
    {"75%\n", SAYS(UNTOLD, NO_ADMIN, 75, NONE, NONE, 1, 0, "")},
    {"0%\n", SAYS(UNTOLD, NO_ADMIN, 0, NONE, NONE, 1, 0, "")},
    {"250%\n", SAYS(UNTOLD, NO_ADMIN, 250, NONE, NONE, 1, 0, "")},
    {"weight:75%\n", SAYS(UNTOLD, NO_ADMIN, 75, NONE, NONE, 1, 0, "")},
    {"weight:75\n", SAYS(UNTOLD, NO_ADMIN, NONE, 75, NONE, 1, 0, "")},
    {"weight:0\n", SAYS(UNTOLD, NO_ADMIN, NONE, 0, NONE, 1, 0, "")},
    {"maxconn:30\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, 30, 1, 0, "")},
    {"maxconn:0\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, 0, 1, 0, "")},

    /* several, in any order, behind each separator and several of them */
    {"75%,maxconn:30,maint,down\n", SAYS(DOWN, MAINT, 75, NONE, 30, 4, 0, "")},
    {"down maint maxconn:30 75%\n", SAYS(DOWN, MAINT, 75, NONE, 30, 4, 0, "")},
    {"maint\tup\t100%\n", SAYS(UP, MAINT, 100, NONE, NONE, 3, 0, "")},
    {"up ready 63% maxconn:900\n", SAYS(UP, READY, 63, NONE, 900, 4, 0, "")},
    {" ,\t up ,, ready\t,\n", SAYS(UP, READY, NONE, NONE, NONE, 2, 0, "")},
    {"ready,up,weight:12,maxconn:4\n", SAYS(UP, READY, NONE, 12, 4, 4, 0, "")},

    /* the last of a kind holds */
    {"up down\n", SAYS(DOWN, NO_ADMIN, NONE, NONE, NONE, 2, 0, "")},
    {"down up\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 2, 0, "")},
    {"drain maint ready\n", SAYS(UNTOLD, READY, NONE, NONE, NONE, 3, 0, "")},
    {"10% 20% 30%\n", SAYS(UNTOLD, NO_ADMIN, 30, NONE, NONE, 3, 0, "")},
    {"10% weight:9\n", SAYS(UNTOLD, NO_ADMIN, NONE, 9, NONE, 2, 0, "")},
    {"weight:9 weight:10%\n", SAYS(UNTOLD, NO_ADMIN, 10, NONE, NONE, 2, 0, "")},
    {"maxconn:1 maxconn:2\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, 2, 2, 0, "")},
    {"stopped,up,fail\n", SAYS(FAIL, NO_ADMIN, NONE, NONE, NONE, 3, 0, "")},

    /* the line ends at the first CR or LF */
    {"up\r\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"up\rdown\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"up\ndown\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"up\n#down", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},

    /* why, behind a sharp */
    {"down#no database\n", SAYS(DOWN, NO_ADMIN, NONE, NONE, NONE, 1, 0, "no database")},
    {"down #no database\n", SAYS(DOWN, NO_ADMIN, NONE, NONE, NONE, 1, 0, "no database")},
    {"fail # up 50%\n", SAYS(FAIL, NO_ADMIN, NONE, NONE, NONE, 1, 0, "up 50%")},
    {"drain,stopped#for tonight, maint#2\r\n",
	SAYS(STOPPED, DRAIN, NONE, NONE, NONE, 2, 0, "for tonight, maint#2")},
    {"down#\n", SAYS(DOWN, NO_ADMIN, NONE, NONE, NONE, 1, 0, "")},
    {"down#a\033[31mb\302\251\n", SAYS(DOWN, NO_ADMIN, NONE, NONE, NONE, 1, 0, "a?[31mb??")},

    /* case says nothing */
    {"UP Ready 5% MaxConn:7\n", SAYS(UP, READY, 5, NONE, 7, 4, 0, "")},
    {"Down,WEIGHT:3\n", SAYS(DOWN, NO_ADMIN, NONE, 3, NONE, 2, 0, "")},

    /* what is no word is passed over, and counted */
    {"up later\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"hello 20% world\n", SAYS(UNTOLD, NO_ADMIN, 20, NONE, NONE, 1, 2, "")},
    {"up 75\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up -5%\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up +5%\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up %\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up 7.5%\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up 5%%\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up 50 %\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 2, "")},
    {"up 65535%\n", SAYS(UP, NO_ADMIN, 65535, NONE, NONE, 2, 0, "")},
    {"up 65536%\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up weight:65536\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up weight:\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up weight: 5%\n", SAYS(UP, NO_ADMIN, 5, NONE, NONE, 2, 1, "")},
    {"up weight:%\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up weight:1e3\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up maxconn:\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up maxconn:-1\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up maxconn:5 maxconn:x\n", SAYS(UP, NO_ADMIN, NONE, NONE, 5, 2, 1, "")},
    {"up maxconn:4294967294\n", SAYS(UP, NO_ADMIN, NONE, NONE, 4294967294u, 2, 0, "")},
    {"up maxconn:4294967296\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up 18446744073709551617%\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 1, "")},
    {"up upper downright\n", SAYS(UP, NO_ADMIN, NONE, NONE, NONE, 1, 2, "")},
    {"up;down\n drain", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, NONE, 0, 1, "")},
    {"007% up\n", SAYS(UP, NO_ADMIN, 7, NONE, NONE, 2, 0, "")},

    /* no word at all */
    {"\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, NONE, 0, 0, "")},
    {"\r\nup\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, NONE, 0, 0, "")},
    {" ,\t\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, NONE, 0, 0, "")},
    {"HTTP/1.1 200 OK\r\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, NONE, 0, 3, "")},
    {"none untold\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, NONE, 0, 2, "")},
    {"#down\n", SAYS(UNTOLD, NO_ADMIN, NONE, NONE, NONE, 0, 0, "down")},
};

static void
check_sequence(const struct sequence *s)
{
	struct words words;
	enum words_result result = words_parse(&words, s->line, strlen(s->line));

	if (result != (s->known > 0 ? WORDS_FOUND : WORDS_BAD))
		fail_msg("%s: result %d", s->line, (int)result);
	if (words.operation != s->operation || words.admin != s->admin)
		fail_msg("%s: operation %d, admin %d", s->line, (int)words.operation,
		    (int)words.admin);
	if ((words.kind == WORDS_PERCENT) != (s->percent != NONE) ||
	    (words.kind == WORDS_ABSOLUTE) != (s->absolute != NONE) ||
	    (s->percent != NONE && words.weight != s->percent) ||
	    (s->absolute != NONE && words.weight != s->absolute))
		fail_msg("%s: weight %u, kind %d", s->line, words.weight, (int)words.kind);
	if (words.limited != (s->maxconn != NONE) ||
	    (words.limited && words.max_connections != s->maxconn))
		fail_msg("%s: maxconn %u", s->line, words.max_connections);
	if (words.known != s->known || words.unknown != s->unknown)
		fail_msg("%s: %u known, %u unknown", s->line, words.known, words.unknown);
	if (strcmp(words.description, s->description) != 0)
		fail_msg("%s: description \"%s\"", s->line, words.description);
}

static void
test_sequences(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++)
		check_sequence(&sequences[i]);
}

/* However it is cut, a line is nothing until its end has come. */
static void
test_pieces(void **state)
{
	struct words words, whole;

	(void)state;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		const char *line = sequences[i].line;
		size_t end = strcspn(line, "\r\n") + 1;
		enum words_result result = words_parse(&whole, line, strlen(line));

		for (size_t n = 0; n < end; n++)
			assert_int_equal(words_parse(&words, line, n), WORDS_MORE);
		assert_int_equal(words_parse(&words, line, end), result);
		assert_memory_equal(&words, &whole, sizeof(words));
	}
}

/* A line is complete in itself: nothing of what was in words before stays. */
static void
test_each_complete(void **state)
{
	struct words words;

	(void)state;
	assert_int_equal(words_parse(&words, "down maint 5% maxconn:3 #x\n", 27), WORDS_FOUND);
	assert_int_equal(words_parse(&words, "ready\n", 6), WORDS_FOUND);
	assert_int_equal(words.operation, WORDS_UNTOLD);
	assert_int_equal(words.kind, WORDS_NO_WEIGHT);
	assert_false(words.limited);
	assert_string_equal(words.description, "");
}

static void
test_length(void **state)
{
	char line[WORDS_LINE + 8];
	struct words words;

	(void)state;
	memset(line, ' ', sizeof(line));
	memcpy(line, "up", 2);
	line[WORDS_LINE - 1] = '\n';
	assert_int_equal(words_parse(&words, line, WORDS_LINE - 1), WORDS_MORE);
	assert_int_equal(words_parse(&words, line, WORDS_LINE), WORDS_FOUND);
	line[WORDS_LINE - 1] = ' ';
	line[WORDS_LINE] = '\n';
	assert_int_equal(words_parse(&words, line, WORDS_LINE), WORDS_LONG);
	assert_int_equal(words_parse(&words, line, WORDS_LINE + 1), WORDS_LONG);
	memset(line, 'x', sizeof(line));
	memcpy(line, "down#", 5);
	line[WORDS_LINE - 1] = '\n';
	assert_int_equal(words_parse(&words, line, WORDS_LINE), WORDS_FOUND);
	assert_int_equal(strlen(words.description), WORDS_DESCRIPTION - 1);
}

/* An octet of zero belongs to a word, which is then none. */
static void
test_nul(void **state)
{
	static const char line[] = "up\0down drain\n";
	struct words words;

	(void)state;
	assert_int_equal(words_parse(&words, line, sizeof(line) - 1), WORDS_FOUND);
	assert_int_equal(words.operation, WORDS_UNTOLD);
	assert_int_equal(words.admin, WORDS_DRAIN);
	assert_int_equal(words.unknown, 1);
}

static void
test_format(void **state)
{
	static const char *const lines[] = {"up ready 63% maxconn:900\n", "drain\n", "maint\n",
	    "up drain\n", "down #no server up\n", "fail weight:3\n", "stopped 0%\n",
	    "up ready 1% #other sites serve\n"};
	char line[WORDS_LINE];
	struct words words;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(words_parse(&words, lines[i], strlen(lines[i])), WORDS_FOUND);
		assert_int_equal(words_format(&words, line), strlen(lines[i]));
		assert_string_equal(line, lines[i]);
	}
	memset(&words, 0, sizeof(words));
	assert_int_equal(words_format(&words, line), 1);
	assert_string_equal(line, "\n");
	assert_string_equal(words_operation_name(WORDS_STOPPED), "stopped");
	assert_string_equal(words_admin_name(WORDS_READY), "ready");
	assert_string_equal(words_operation_name((enum words_operation)77), "untold");
	assert_string_equal(words_admin_name((enum words_admin)77), "none");
}

static struct server_agent
meaning(const char *line)
{
	struct words words;

	assert_int_equal(words_parse(&words, line, strlen(line)), WORDS_FOUND);
	return meaning_of(&words);
}

static void
test_meaning(void **state)
{
	struct server_agent a;

	(void)state;
	a = meaning("up ready\n");
	assert_false(a.down || a.drain || a.maint || a.absolute);
	assert_null(a.why);
	assert_true(a.load < 0);
	assert_int_equal(a.weight, 100);
	assert_int_equal(a.max_connections, 0);
	a = meaning("75%,maxconn:30,maint,down\n");
	assert_true(a.down && a.maint && !a.drain);
	assert_string_equal(a.why, "agent says down");
	assert_int_equal(a.weight, 75);
	assert_float_equal(a.load, 0.25, 1e-9);
	assert_int_equal(a.max_connections, 30);
	a = meaning("fail\n");
	assert_true(a.down);
	assert_string_equal(a.why, "agent says fail");
	a = meaning("stopped drain\n");
	assert_true(a.down && a.drain);
	assert_string_equal(a.why, "agent says stopped");
	assert_string_equal(meaning("drain\n").why, "agent says drain");
	assert_string_equal(meaning("maint\n").why, "agent says maint");
	assert_float_equal(meaning("0%\n").load, 1, 1e-9);
	assert_float_equal(meaning("300%\n").load, 0, 1e-9);
	assert_int_equal(meaning("300%\n").weight, 300);
	a = meaning("weight:7\n");
	assert_true(a.absolute && a.load < 0);
	assert_int_equal(a.weight, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sequences),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_each_complete),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_meaning),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
