/*
 * write_brief: whether a setting is what it would be if it was not there.
 *
 * Two objects have the same setting if a writer is told the same of both.  So nothing here knows
 * types, and nothing is to be done for a new one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "config/write_internal.h"

/* What a writer is told, as octets. */
struct note {
	char *data;
	size_t len, size;
};

static void
add(struct note *n, char kind, const void *data, size_t len)
{
	while (n->size - n->len < len + 1) {
		n->size = n->size * 2 + 256;
		n->data = xrealloc_array(n->data, n->size, 1);
	}
	n->data[n->len++] = kind;
	memcpy(n->data + n->len, data, len);
	n->len += len;
}

static void
note_begin(void *arg, const char *name, enum config_shape shape)
{
	(void)name;
	add(arg, 'b', &shape, sizeof(shape));
}

static void
note_end(void *arg, const char *name, enum config_shape shape)
{
	(void)name;
	add(arg, 'e', &shape, sizeof(shape));
}

static void
note_text(void *arg, const char *name, const char *value)
{
	(void)name;
	add(arg, 't', value, strlen(value) + 1);
}

static void
note_integer(void *arg, const char *name, uint64_t value)
{
	(void)name;
	add(arg, 'i', &value, sizeof(value));
}

static void
note_real(void *arg, const char *name, double value)
{
	(void)name;
	add(arg, 'r', &value, sizeof(value));
}

static void
note_boolean(void *arg, const char *name, bool value)
{
	(void)name;
	add(arg, 'o', &value, sizeof(value));
}

static void
note_none(void *arg, const char *name)
{
	(void)name;
	add(arg, 'n', "", 0);
}

bool
write_same(const struct key *keys, const struct key *key, const void *a, const void *b)
{
	static const struct config_writer writer = {
	    note_begin, note_end, note_text, note_integer, note_real, note_boolean, note_none};
	struct note x = {0}, y = {0};
	bool same;

	write_setting(&writer, &x, keys, key, a);
	write_setting(&writer, &y, keys, key, b);
	same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
	free(x.data);
	free(y.data);
	return same;
}
