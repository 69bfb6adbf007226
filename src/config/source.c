#include "config/source.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "config/report.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*"
#define WORD    LETTERS "0123456789-_" /* in the name of a setting, true, false */

/* A place in one file while it is read. */
struct cursor {
	struct source *source;
	struct report *report;
	const char *at, *end;
	size_t file;    /* its index */
	unsigned depth; /* files that lead here by @include */
	unsigned held;  /* newlines after a string that are not written yet */
	bool line_start, after_string;
};

static int expand(struct cursor *c);

static void
put(struct source *source, char octet)
{
	if (source->len + 2 > source->size) {
		source->size = source->size * 2 + 4096;
		source->text = xrealloc_array(source->text, source->size, 1);
	}
	source->text[source->len++] = octet;
	source->text[source->len] = '\0';
	if (octet == '\n')
		source->line++;
}

static void
begin_part(struct source *source, size_t file, unsigned file_line)
{
	source->parts =
	    xrealloc_array(source->parts, source->parts_count + 1, sizeof(*source->parts));
	source->parts[source->parts_count++] =
	    (struct source_part){.line = source->line, .file = file, .file_line = file_line};
}

/* Takes the text over; NULL if there is none to quote. */
static size_t
add_file(struct source *source, const char *name, char *text)
{
	source->files =
	    xrealloc_array(source->files, source->files_count + 1, sizeof(*source->files));
	source->files[source->files_count] =
	    (struct source_file){.name = xstrdup(name), .text = text};
	return source->files_count++;
}

static void
release_newlines(struct cursor *c)
{
	for (; c->held > 0; c->held--)
		put(c->source, '\n');
	c->after_string = false;
}

/*
 * libconfig looks one token beyond a string before it notes the line, so in a list the line
 * would be that of the comma or bracket.  Newlines after a string wait until that is written.
 */
static void
newline(struct cursor *c)
{
	if (c->after_string)
		c->held++;
	else
		put(c->source, '\n');
	c->line_start = true;
}

static void
copy_code(struct cursor *c, char octet)
{
	bool closes = octet == ',' || octet == ']' || octet == ')';

	if (octet == '\n') {
		newline(c);
		return;
	}
	if (octet == ' ' || octet == '\t' || octet == '\r') {
		put(c->source, octet);
		return;
	}
	if (!closes)
		release_newlines(c);
	put(c->source, octet);
	release_newlines(c);
	c->line_start = false;
}

static size_t
span(const struct cursor *c, size_t from, const char *set)
{
	while (c->at + from < c->end && c->at[from] != '\0' && strchr(set, c->at[from]) != NULL)
		from++;
	return from;
}

/*
 * A number without its sign.  libconfig 1.5 reads a decimal integer without the suffix L by
 * atoi(3), so that 4294967376 is 80; therefore each one gets it.
 */
static void
copy_number(struct cursor *c)
{
	static const char digits[] = "0123456789";
	size_t len = span(c, 0, digits), exponent;
	bool integer = true, zero = len == 1 && *c->at == '0';

	if (c->at + len < c->end && c->at[len] == '.') {
		integer = false;
		len = span(c, len + 1, digits);
	}
	if (c->at + len < c->end && strchr("eE", c->at[len]) != NULL) {
		exponent = span(c, len + 1, "+-");
		if (exponent <= len + 2 && span(c, exponent, digits) > exponent) {
			integer = false;
			len = span(c, exponent, digits);
		}
	}
	/* long already, or of another base, which the walk refuses */
	if (integer && c->at + len < c->end &&
	    strchr(zero ? "LxXbBoOqQ" : "L", c->at[len]) != NULL) {
		integer = false;
		len = span(c, len + 1, WORD);
	}
	for (; len > 0; len--)
		copy_code(c, *c->at++);
	if (integer)
		put(c->source, 'L');
}

static void
copy_word(struct cursor *c)
{
	for (size_t len = span(c, 0, WORD); len > 0; len--)
		copy_code(c, *c->at++);
}

static void
skip_line_comment(struct cursor *c)
{
	while (c->at < c->end && *c->at != '\n')
		c->at++;
}

static int
skip_block_comment(struct cursor *c)
{
	unsigned began = c->source->line + c->held;

	put(c->source, ' ');
	for (c->at += 2; c->at + 1 < c->end; c->at++) {
		if (c->at[0] == '*' && c->at[1] == '/') {
			c->at += 2;
			return 0;
		}
		if (*c->at == '\n')
			newline(c);
	}
	report_line(c->report, began, NULL, "the comment that begins here is never closed by */");
	return -1;
}

static int
copy_string(struct cursor *c)
{
	unsigned began;

	release_newlines(c);
	began = c->source->line;
	put(c->source, *c->at++);
	while (c->at < c->end) {
		char octet = *c->at++;

		put(c->source, octet);
		if (octet == '"') {
			c->after_string = true;
			c->line_start = false;
			return 0;
		}
		if (octet == '\\' && c->at < c->end)
			put(c->source, *c->at++);
	}
	report_line(c->report, began, NULL, "the string that begins here is never closed by \"");
	return -1;
}

/* Takes a file in, where the text has got to. */
static int
take(struct source *source, struct report *report, size_t file, size_t len, unsigned depth)
{
	const char *data = source->files[file].text;
	struct cursor c = {.source = source,
	    .report = report,
	    .at = data,
	    .end = data + len,
	    .file = file,
	    .depth = depth,
	    .line_start = true};

	begin_part(source, file, 1);
	source->read += len;
	if (source->read > SOURCE_MAX) {
		report_line(report, source->line, NULL,
		    "a configuration may have %d octets with all files that it includes",
		    SOURCE_MAX);
		return -1;
	}
	if (memchr(data, '\0', len) != NULL) {
		report_line(
		    report, source->line, NULL, "this is no text: it holds a NUL character");
		return -1;
	}
	return expand(&c);
}

static char *
resolve(const char *including, const char *name)
{
	const char *slash = strrchr(including, '/');

	if (name[0] == '/' || slash == NULL)
		return xstrdup(name);
	return xasprintf("%.*s/%s", (int)(slash - including), including, name);
}

static int
include(struct cursor *c, const char *name, unsigned line)
{
	struct source *source = c->source;
	char *path, *data;
	size_t len, room = SOURCE_MAX + 1 - source->read;
	unsigned file_line;
	const char *file;
	int result = -1;

	source_locate(source, line, &file, &file_line);
	if (!source->includes) {
		report_line(c->report, line, NULL, "@include works in files only");
		return -1;
	}
	if (c->depth + 1 >= SOURCE_DEPTH) {
		report_line(c->report, line, NULL,
		    "@include \"%s\": at most %d files may include each other", name,
		    SOURCE_DEPTH);
		return -1;
	}
	path = resolve(source->files[c->file].name, name);
	data = file_read(path, room, &len);
	if (data == NULL)
		report_line(c->report, line, NULL, "@include \"%s\": cannot read %s: %s", name,
		    path, file_error(errno));
	else {
		result = take(source, c->report, add_file(source, path, data), len, c->depth + 1);
		put(source, '\n');
		begin_part(source, c->file, file_line);
	}
	free(path);
	return result;
}

/* The octets of "@include", white space and the quote if they begin here, else 0. */
static size_t
include_prefix(const struct cursor *c)
{
	static const char word[] = "@include";
	const char *p = c->at;

	if (!c->line_start || (size_t)(c->end - p) < sizeof(word) - 1 ||
	    memcmp(p, word, sizeof(word) - 1) != 0)
		return 0;
	p += sizeof(word) - 1;
	while (p < c->end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == c->end || *p != '"' || p == c->at + sizeof(word) - 1)
		return 0;
	return (size_t)(p + 1 - c->at);
}

static int
copy_include(struct cursor *c, size_t prefix)
{
	const char *quote = memchr(c->at + prefix, '"', (size_t)(c->end - c->at) - prefix);
	const char *lf = memchr(c->at + prefix, '\n', (size_t)(c->end - c->at) - prefix);
	unsigned line;
	char *name;
	int result;

	release_newlines(c);
	line = c->source->line;
	if (quote == NULL || (lf != NULL && lf < quote)) {
		report_line(
		    c->report, line, NULL, "the name after @include is never closed by \"");
		return -1;
	}
	name = xasprintf("%.*s", (int)(quote - (c->at + prefix)), c->at + prefix);
	c->at = quote + 1;
	c->line_start = false;
	result = include(c, name, line);
	free(name);
	return result;
}

/* No @ outside a string gets any further, so libconfig never sees an @include. */
static int
refuse_at(struct cursor *c)
{
	report_line(c->report, c->source->line + c->held, NULL,
	    "'@' begins only @include \"FILE\", at the start of a line");
	return -1;
}

static int
expand(struct cursor *c)
{
	while (c->at < c->end) {
		size_t prefix, left = (size_t)(c->end - c->at);
		int result = 0;

		if (*c->at == '"')
			result = copy_string(c);
		else if ((prefix = include_prefix(c)) > 0)
			result = copy_include(c, prefix);
		else if (*c->at == '@')
			result = refuse_at(c);
		else if (*c->at == '#' || (left > 1 && memcmp(c->at, "//", 2) == 0))
			skip_line_comment(c);
		else if (left > 1 && memcmp(c->at, "/*", 2) == 0)
			result = skip_block_comment(c);
		else if (strchr(".0123456789", *c->at) != NULL)
			copy_number(c);
		else if (strchr(LETTERS, *c->at) != NULL)
			copy_word(c);
		else
			copy_code(c, *c->at++);
		if (result == -1)
			return -1;
	}
	release_newlines(c);
	return 0;
}

int
source_read_file(struct source *source, const char *file, struct report *report)
{
	size_t len;
	char *data = file_read(file, SOURCE_MAX + 1, &len);
	int error = errno, result;

	source->line = 1;
	source->includes = true;
	add_file(source, file, data);
	if (data == NULL) {
		report_line(
		    report, 0, NULL, "cannot read the configuration: %s", file_error(error));
		return -1;
	}
	result = take(source, report, 0, len, 0);
	put(source, '\n');
	return result;
}

int
source_read_text(struct source *source, const char *text, const char *name, struct report *report)
{
	int result;

	source->line = 1;
	result = take(source, report, add_file(source, name, xstrdup(text)), strlen(text), 0);
	put(source, '\n');
	return result;
}

void
source_fini(struct source *source)
{
	free(source->text);
	free(source->parts);
	for (size_t i = 0; i < source->files_count; i++) {
		free(source->files[i].name);
		free(source->files[i].text);
	}
	free(source->files);
	memset(source, 0, sizeof(*source));
}
