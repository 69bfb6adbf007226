/*
 * write_text: config_text(), the walk's findings as libconfig reads them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "config/write.h"

#define REAL_TEXT 40

/* The text as it grows. */
struct text {
	char *data;
	size_t len, size;
	unsigned depth; /* of groups: how far lines are indented */
	bool next;      /* in a list or an array: a sibling stands before */
};

static void
add(struct text *t, const char *part)
{
	size_t len = strlen(part);

	while (t->size - t->len <= len) {
		t->size = t->size * 2 + 4096;
		t->data = xrealloc_array(t->data, t->size, 1);
	}
	memcpy(t->data + t->len, part, len + 1);
	t->len += len;
}

static void
indent(struct text *t)
{
	for (unsigned i = 0; i < t->depth; i++)
		add(t, "  ");
}

/* What stands before a value: its name, or a comma if it is not the first. */
static void
lead(struct text *t, const char *name)
{
	if (name != NULL) {
		indent(t);
		add(t, name);
		add(t, " = ");
	} else if (t->next) {
		add(t, ", ");
	}
}

static void
trail(struct text *t, const char *name)
{
	if (name != NULL)
		add(t, ";\n");
	t->next = true;
}

static void
put_begin(void *arg, const char *name, enum config_shape shape)
{
	static const char *const opens[] = {"{\n", "( ", "[ "};
	struct text *t = arg;

	lead(t, name);
	add(t, opens[shape]);
	if (shape == CONFIG_SHAPE_GROUP)
		t->depth++;
	t->next = false;
}

static void
put_end(void *arg, const char *name, enum config_shape shape)
{
	static const char *const closes[] = {"}", ")", "]"};
	struct text *t = arg;

	if (shape == CONFIG_SHAPE_GROUP) {
		t->depth--;
		indent(t);
	} else if (t->next) {
		add(t, " ");
	}
	add(t, closes[shape]);
	trail(t, name);
}

static void
put_text(void *arg, const char *name, const char *value)
{
	struct text *t = arg;
	char octet[8];

	lead(t, name);
	add(t, "\"");
	for (const unsigned char *s = (const unsigned char *)value; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			snprintf(octet, sizeof(octet), "\\%c", *s);
		else if (*s < 0x20 || *s > 0x7e)
			snprintf(octet, sizeof(octet), "\\x%02x", *s);
		else
			snprintf(octet, sizeof(octet), "%c", *s);
		add(t, octet);
	}
	add(t, "\"");
	trail(t, name);
}

static void
put_integer(void *arg, const char *name, uint64_t value)
{
	struct text *t = arg;
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	lead(t, name);
	add(t, text);
	trail(t, name);
}

/* As many digits as it takes to be the same number again, and always a point. */
static void
put_real(void *arg, const char *name, double value)
{
	struct text *t = arg;
	char text[REAL_TEXT];

	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value && strchr(text, 'e') == NULL)
			break;
	}
	if (strpbrk(text, ".e") == NULL)
		strcat(text, ".0");
	lead(t, name);
	add(t, text);
	trail(t, name);
}

static void
put_boolean(void *arg, const char *name, bool value)
{
	struct text *t = arg;

	lead(t, name);
	add(t, value ? "true" : "false");
	trail(t, name);
}

/* A setting that is not there is how it is written. */
static void
put_none(void *arg, const char *name)
{
	(void)arg;
	(void)name;
}

static const struct config_writer writer = {
    put_begin, put_end, put_text, put_integer, put_real, put_boolean, put_none};

char *
config_text(const struct config *config)
{
	struct text t = {0};

	add(&t, "");
	config_walk(config, &writer, &t);
	return t.data;
}

char *
config_text_brief(const struct config *config)
{
	struct text t = {0};

	add(&t, "");
	config_walk_brief(config, &writer, &t);
	return t.data;
}
