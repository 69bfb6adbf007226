/*
 * Holds wladmctl(8) to the tables of the program, and to what the views write.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>

#include "allocation/sitechoice.h"
#include "control/event.h"
#include "control/grammar.h"
#include "control_fixture.h"
#include "agent/ask.h"
#include "health/health.h"

static char *manual;

static int
read_manual(void **arg)
{
	const char *directory = getenv("srcdir");
	char *path = xasprintf("%s/man/wladmctl.8", directory != NULL ? directory : ".");
	FILE *file = fopen(path, "r");
	size_t len;

	(void)arg;
	if (file == NULL)
		print_error("%s is missing\n", path);
	free(path);
	assert_non_null(file);
	manual = xcalloc(1, 1 << 20);
	len = fread(manual, 1, (1 << 20) - 1, file);
	fclose(file);
	assert_in_range(len, 1000, (1 << 20) - 2);
	return 0;
}

static int
free_manual(void **arg)
{
	(void)arg;
	free(manual);
	return 0;
}

/* ".It Cm NAME" and its help as a sentence. */
static void
assert_item(const char *name, const char *help)
{
	char *item = xasprintf("\n.It Cm %s\n%s.\n", name, help);

	item[strlen("\n.It Cm \n") + strlen(name)] = (char)toupper((unsigned char)help[0]);
	if (strstr(manual, item) == NULL)
		fail_msg("the manual lacks:%s", item);
	free(item);
}

static void
assert_quoted(const char *text)
{
	char *item = xasprintf("\n.It Ql %s\n", text);

	if (strstr(manual, item) == NULL)
		fail_msg("the manual lacks:%s", item);
	free(item);
}

static void
test_counters(void **arg)
{
	(void)arg;
	for (int i = 0; i < COUNTER_COUNT; i++)
		assert_item(counter_name((enum counter)i), counter_help((enum counter)i));
	/* "none" is no reason to drop a packet, and not shown */
	for (int i = DROP_none + 1; i < DROP_COUNT; i++)
		assert_item(drop_name((enum drop)i), drop_help((enum drop)i));
}

static void
test_causes(void **arg)
{
	(void)arg;
#define X(name, text) assert_quoted(text);
	HEALTH_CAUSES(X)
	ASK_FAULTS(X)
#undef X
}

static void
test_reasons(void **arg)
{
	(void)arg;
	for (int i = 0; i < SITECHOICE_REASON_COUNT; i++)
		assert_quoted(sitechoice_reason_text((enum sitechoice_reason)i));
}

/* A line of mdoc as the text that it shows: as much of the language as command lines use. */
struct shown {
	char text[256];
	bool glue, flag;
	int close; /* brackets to close at the end of the line */
};

static void
show_word(struct shown *s, const char *word, size_t len)
{
	size_t used = strlen(s->text);
	bool blank = used > 0 && !s->glue && s->text[used - 1] != '[' && *word != ']';

	snprintf(s->text + used, sizeof(s->text) - used, "%s%s%.*s", blank ? " " : "",
	    s->flag ? "-" : "", (int)len, word);
	s->glue = s->flag = false;
}

static void
show_token(struct shown *s, const char *word, size_t len)
{
	static const char *const silent[] = {".It", ".Ic", ".Op", "Ic", "Ar", "Cm", "Xo", ".Xc"};

	if (len == 2 && memcmp(word, "Ns", 2) == 0)
		s->glue = true;
	else if (len == 2 && memcmp(word, "Fl", 2) == 0)
		s->flag = true;
	else if (len == 2 && memcmp(word, "Oc", 2) == 0)
		show_word(s, "]", 1);
	else if (len == 2 && memcmp(word, "Oo", 2) == 0)
		show_word(s, "[", 1);
	else if ((len == 2 && memcmp(word, "Op", 2) == 0) ||
	    (len == 3 && memcmp(word, ".Op", 3) == 0)) {
		show_word(s, "[", 1);
		s->close++;
	} else {
		for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
			if (strlen(silent[i]) == len && memcmp(silent[i], word, len) == 0)
				return;
		show_word(s, word, len);
	}
}

static const char *
show_line(struct shown *s, const char *line)
{
	size_t len = strcspn(line, "\n"), word;

	for (size_t i = 0; i < len; i += word + (line[i + word] == ' ')) {
		word = strcspn(line + i, " \n");
		show_token(s, line + i, word);
	}
	for (; s->close > 0; s->close--)
		show_word(s, "]", 1);
	return line + len + (line[len] == '\n');
}

/* The item that begins there, over its lines if it has several. */
static void
show_item(struct shown *s, const char *item)
{
	bool several = strncmp(item, ".It Xo\n", 7) == 0;

	memset(s, 0, sizeof(*s));
	do
		item = show_line(s, item);
	while (several && strncmp(item, ".Xc\n", 4) != 0);
}

/* Each item of COMMANDS is a command of the table, in its order, and none is missing. */
static void
test_commands(void **arg)
{
	const char *item = strstr(manual, "\n.Sh COMMANDS\n");
	const char *end = strstr(manual, "\n.Sh PROTOCOL\n");
	char syntax[GRAMMAR_SYNTAX];
	struct shown shown;
	int next = 0;

	(void)arg;
	assert_non_null(item);
	assert_non_null(end);
	while ((item = strstr(item + 1, "\n.It ")) != NULL && item < end) {
		show_item(&shown, item + 1);
		assert_in_range(next, 0, GRAMMAR_COUNT - 1);
		assert_string_equal(shown.text, grammar_syntax((enum grammar_id)next++, syntax));
	}
	assert_int_equal(next, GRAMMAR_COUNT);
}

static void
test_choices(void **arg)
{
	(void)arg;
	for (int i = 0; i < GRAMMAR_COUNT; i++) {
		for (int k = 0; k < GRAMMAR_ARGUMENTS_MAX; k++) {
			const char *c = grammar_command((enum grammar_id)i)->arguments[k].choices;

			for (; c != NULL && *c != '\0'; c += strspn(c, "|")) {
				char *word = xasprintf("Cm %.*s", (int)strcspn(c, "|"), c);

				if (strstr(manual, word) == NULL)
					fail_msg("the manual lacks \"%s\"", word);
				free(word);
				c += strcspn(c, "|");
			}
		}
	}
}

/* Every key stands in a line of keys. */
static void
assert_key(const char *key)
{
	for (const char *at = manual; (at = strstr(at, key)) != NULL; at++) {
		size_t len = strlen(key);
		const char *line = at;

		if (at[-1] != ' ' || strchr(" \n[{", at[len]) == NULL)
			continue;
		while (line > manual && line[-1] != '\n')
			line--;
		if (strncmp(line, ".Cm ", 4) == 0 || strncmp(line, ".It Cm ", 7) == 0)
			return;
	}
	fail_msg("the manual lacks the key \"%s\"", key);
}

static void
assert_keys(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	json_array_foreach (value, i, member)
		assert_keys(member);
	json_object_foreach (value, key, member) {
		assert_key(key);
		assert_keys(member);
	}
}

static int
fake_reload(void *arg, char *error, size_t size)
{
	(void)arg;
	snprintf(error, size, "a fault");
	return -1;
}

static void
fake_probe(void *arg, uint32_t site)
{
	(void)arg;
	(void)site;
}

static int64_t
fake_expiry(void *arg)
{
	(void)arg;
	return 1;
}

/* So that every array of show errors and show keys has something in it. */
static void
everything_wrong(struct control_fixture *f, struct control_reload *last)
{
	static const uint8_t direction[KEYS_SECRET_LEN];
	struct keyring *ring = keyring_new(&f->random);

	keyring_set_tx(ring, OSAKA, transfer_tx_new(KEYS_AES_128_GCM, direction, 1));
	f->parts.keyring = ring;
	f->parts.reload = fake_reload;
	f->parts.probe = fake_probe;
	f->parts.certificate_expiry = fake_expiry;
	f->parts.last_reload = last;
	last->at = NOW;
	last->faults = xstrdup("a fault");
	counter_drop(&f->counters, DROP_ttl);
	load_table_server_set_state(f->parts.load, WEB_B, SERVER_DOWN, "no answer in time", NOW);
}

static void
test_keys(void **arg)
{
	static const char *const requests[][2] = {
	    {"show summary", "summary"},
	    {"show services", "services"},
	    {"show servers", "servers"},
	    {"show sites", "sites"},
	    {"show connections", "connections"},
	    {"show counters", "counters"},
	    {"explain 192.0.2.1:4000 web", "explain"},
	    {"server web/a drain", "server"},
	    {"log error", "log"},
	    {"version", "version"},
	    {"help", "help"},
	    {"show keys", "keys"},
	    {"show config", "config"},
	    {"show errors", "errors"},
	    {"server web/a weight 3", "server"},
	    {"reload", "reload"},
	    {"site osaka enable", "site"},
	    {"transfer permit", "transfer"},
	    {"probe osaka", "probe"},
	};
	struct control_reload last = {0};
	struct control_fixture f;

	(void)arg;
	control_fixture_init(&f, SITE_TEXT, 64);
	control_fixture_osaka(&f, 100);
	control_fixture_connect(&f, 1, 4000, false);
	everything_wrong(&f, &last);
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		json_t *root = ask(&f, requests[i][0], requests[i][1]);
		char *view = xasprintf("View\n.Cm %s :\n", requests[i][1]);

		/* those in it are described in wlad.conf(5), which has a test of its own */
		json_object_clear(json_object_get(root, "config"));
		assert_keys(root);
		if (strstr(manual, view) == NULL)
			fail_msg("the manual lacks: %s", view);
		free(view);
		json_decref(root);
	}
	keyring_free((struct keyring *)f.parts.keyring);
	free(last.faults);
	control_fixture_fini(&f);
}

/* The object of an event as well, which has no view. */
static void
test_event_keys(void **arg)
{
	struct json json;
	json_t *root;

	(void)arg;
	json_init(&json);
	event_json(&json, LOG_LEVEL_INFO, "server up", 0);
	root = json_loadb(json.data, json.len, 0, NULL);
	assert_keys(root);
	json_decref(root);
	json_fini(&json);
	assert_non_null(strstr(manual, "\n.Ql monitor is too slow\n"));
	assert_non_null(strstr(manual, "\n.Cm lost ,\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counters),
	    cmocka_unit_test(test_causes),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_commands),
	    cmocka_unit_test(test_choices),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_event_keys),
	};

	return cmocka_run_group_tests_name("control_manual", tests, read_manual, free_manual);
}
