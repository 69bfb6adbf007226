/*
 * listing: an answer in pieces, printed as it comes.
 *
 * JSON goes on as it is.  For text it is read line by line: the daemon begins a line with each
 * connection, so that none has to wait for the end of the answer, and memory stays small.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "wladmctl/text.h"
#include "wladmctl/wladmctl.h"

#define LINE_MAX_OCTETS 65536

struct listing {
	bool json;
	FILE *out;
	struct table_style style;
	struct table *table;
	char *line; /* what has come of one */
	size_t len, size;
	enum { LISTING_HEAD, LISTING_ROWS, LISTING_END } at;
	bool foreign, failed; /* it is none that is known; it cannot be written */
};

struct listing *
listing_new(const struct options *options, FILE *out, const struct table_style *style)
{
	struct listing *l = xcalloc(1, sizeof(*l));

	l->json = options->json;
	l->out = out;
	l->style = *style;
	l->table = text_connections_table();
	return l;
}

void
listing_free(struct listing *l)
{
	if (l == NULL)
		return;
	table_free(l->table);
	free(l->line);
	free(l);
}

/* What the line is part of an object of, if text before and after makes it one. */
static json_t *
value_of(const char *before, const char *line, size_t len, const char *after)
{
	char *text = xasprintf("%s%.*s%s", before, (int)len, line, after);
	json_t *value = json_loads(text, 0, NULL);

	free(text);
	return value;
}

static bool
is_connections(const json_t *head)
{
	return strcmp(text_string(head, "view"), "connections") == 0 &&
	    json_is_array(json_object_get(head, "connections"));
}

/* {..., "connections":[ and a connection a line, with commas, and ], ...} */
static void
take_line(struct listing *l, const char *line, size_t len)
{
	json_t *value;

	if (l->at == LISTING_HEAD) {
		value = value_of("", line, len, "]}");
		l->foreign = value == NULL || !is_connections(value);
		l->at = LISTING_ROWS;
	} else if (l->at == LISTING_ROWS && len > 2 && line[0] == ']' && line[1] == ',') {
		value = value_of("{", line + 2, len - 2, "");
		l->foreign = value == NULL;
		table_flush(l->table, l->out, &l->style);
		if (!l->foreign)
			text_connections_end(value, l->out);
		l->at = LISTING_END;
	} else {
		if (len > 0 && line[len - 1] == ',')
			len--;
		value = value_of("", line, len, "");
		l->foreign = l->at == LISTING_END || !json_is_object(value);
		if (!l->foreign)
			text_connections_row(l->table, value);
	}
	json_decref(value);
}

static void
keep_part(struct listing *l, const char *data, size_t len)
{
	if (l->len + len > LINE_MAX_OCTETS) {
		l->foreign = true;
		return;
	}
	if (l->line == NULL || l->len + len > l->size) {
		l->size = 2 * (l->len + len + 1);
		l->line = xrealloc_array(l->line, l->size, 1);
	}
	memcpy(l->line + l->len, data, len);
	l->len += len;
}

static void
take_text(struct listing *l, const char *data, size_t len)
{
	while (len > 0 && !l->foreign) {
		const char *end = memchr(data, '\n', len);
		size_t part = end != NULL ? (size_t)(end - data) : len;

		keep_part(l, data, part);
		if (end == NULL || l->foreign)
			break;
		take_line(l, l->line, l->len);
		l->len = 0;
		data += part + 1;
		len -= part + 1;
	}
	table_flush(l->table, l->out, &l->style);
}

int
listing_piece(void *arg, const char *data, size_t len)
{
	struct listing *l = arg;

	if (l->json)
		fwrite(data, 1, len, l->out);
	else
		take_text(l, data, len);
	l->failed = fflush(l->out) != 0 || ferror(l->out);
	return l->foreign || l->failed;
}

bool
listing_is_whole(const struct listing *l)
{
	if (l->failed)
		perror("wladmctl: cannot write the answer");
	else if (l->foreign || (!l->json && l->at != LISTING_END))
		fputs("wladmctl: the daemon's answer is none that this version knows\n", stderr);
	else
		return true;
	return false;
}
