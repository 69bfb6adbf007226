/*
 * config: the tables of settings, wlad.conf(5) and the example say the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define KEYS_MAX 256
#define TOP      "Top level" /* the heading of settings outside of any group */

struct names {
	char name[KEYS_MAX][CONFIG_KEY_TEXT];
	size_t count;
};

static bool
has(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->name[i], name) == 0)
			return true;
	return false;
}

static void
add(struct names *names, const char *group, const char *name, size_t len)
{
	assert_true(names->count < KEYS_MAX);
	snprintf(names->name[names->count++], CONFIG_KEY_TEXT, "%s%s%.*s", group,
	    *group != '\0' ? "." : "", (int)len, name);
}

static struct names *
keys_of_tables(void)
{
	struct names *keys = calloc(1, sizeof(*keys));
	char buf[CONFIG_KEY_TEXT];

	assert_non_null(keys);
	for (size_t i = 0; config_key(i, buf) != NULL; i++)
		add(keys, "", buf, strlen(buf));
	return keys;
}

static char *
read_source(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[512], *text;
	size_t size = 256 * 1024, len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", srcdir != NULL ? srcdir : ".", name);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("%s cannot be read", path);
	text = malloc(size);
	assert_non_null(text);
	len = fread(text, 1, size - 1, f);
	assert_true(len > 0 && len < size - 1);
	text[len] = '\0';
	fclose(f);
	return text;
}

/* ".Ss services.check" and under it ".It Cm rise No = ..." make services.check.rise. */
static struct names *
keys_of_manual(void)
{
	struct names *keys = calloc(1, sizeof(*keys));
	char *text = read_source("man/wlad.conf.5"), *rest = text, *line;
	char group[CONFIG_KEY_TEXT] = "";
	bool settings = false;

	assert_non_null(keys);
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (strncmp(line, ".Sh ", 4) == 0)
			settings = strcmp(line, ".Sh SETTINGS") == 0;
		if (settings && strncmp(line, ".Ss ", 4) == 0) {
			bool top = strcmp(line + 4, TOP) == 0;

			snprintf(group, sizeof(group), "%s", top ? "" : line + 4);
			if (!top)
				add(keys, "", group, strlen(group));
		}
		if (settings && strncmp(line, ".It Cm ", 7) == 0)
			add(keys, group, line + 7, strcspn(line + 7, " "));
	}
	free(text);
	return keys;
}

/* A setting's name up to its "=" or ":"; *end is behind that.  0 if none begins here. */
static size_t
setting_at(const char *p, const char **end)
{
	size_t len = 0;

	while (isalnum((unsigned char)p[len]) || p[len] == '_')
		len++;
	*end = p + len + strspn(p + len, " \t\n");
	if (len == 0 || (**end != '=' && **end != ':'))
		return 0;
	*end += 1 + strspn(*end + 1, " \t\n");
	return len;
}

/* Groups are entered at "{" or "({" behind a name and left at "}"; lists of one kind only. */
static struct names *
keys_of_example(void)
{
	struct names *keys = calloc(1, sizeof(*keys));
	char *text = read_source("etc/wlad.conf");
	char group[8][CONFIG_KEY_TEXT] = {""}, last[CONFIG_KEY_TEXT] = "";
	size_t depth = 0, len;
	const char *end;

	assert_non_null(keys);
	for (const char *p = text; *p != '\0';) {
		if (*p == '#' && setting_at(p + 1, &end) > 0)
			p++; /* commented out: what another type of check reads */
		else if (*p == '#')
			p += strcspn(p, "\n");
		else if (*p == '"')
			p += strcspn(p + 1, "\"") + 2;
		else if ((len = setting_at(p, &end)) > 0) {
			add(keys, group[depth], p, len);
			memcpy(last, keys->name[keys->count - 1], sizeof(last));
			p = end;
		} else if (*p == '{') {
			assert_true(++depth < 8);
			memcpy(group[depth], last, sizeof(last));
			p++;
		} else if (*p == '}') {
			memcpy(last, group[depth], sizeof(last));
			assert_true(depth-- > 0);
			p++;
		} else
			p++;
	}
	free(text);
	return keys;
}

/* Names what is in one and not in the other. */
static size_t
lacks(const struct names *names, const char *where, const struct names *of)
{
	size_t count = 0;

	for (size_t i = 0; i < of->count; i++)
		if (!has(names, of->name[i])) {
			print_error("%s lacks %s\n", where, of->name[i]);
			count++;
		}
	return count;
}

static void
test_listing(void **state)
{
	struct names *keys = keys_of_tables();
	char buf[CONFIG_KEY_TEXT];

	(void)state;
	assert_true(keys->count > 50);
	assert_string_equal(keys->name[0], "site");
	assert_string_equal(keys->name[keys->count - 1], "log.level");
	assert_true(has(keys, "services.check.rise"));
	assert_true(has(keys, "services.servers.max_connections"));
	assert_null(config_key(keys->count, buf));
	assert_null(config_key(SIZE_MAX, buf));
	for (size_t i = 0; i < keys->count; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(keys->name[i], keys->name[j]);
	free(keys);
}

static void
test_manual(void **state)
{
	struct names *tables = keys_of_tables(), *manual = keys_of_manual();

	(void)state;
	assert_int_equal(lacks(manual, "man/wlad.conf.5", tables), 0);
	assert_int_equal(lacks(tables, "wlad", manual), 0);
	free(tables);
	free(manual);
}

static void
test_example(void **state)
{
	struct names *tables = keys_of_tables(), *example = keys_of_example();

	(void)state;
	assert_int_equal(lacks(example, "etc/wlad.conf", tables), 0);
	assert_int_equal(lacks(tables, "wlad", example), 0);
	free(tables);
	free(example);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_listing),
	    cmocka_unit_test(test_manual),
	    cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests_name("config_keys", tests, NULL, NULL);
}
