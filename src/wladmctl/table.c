#include "wladmctl/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define GAP    2 /* blanks between columns */
#define INDENT 4 /* blanks before a further line of a row */

struct cell {
	char *text;
	enum table_colour colour;
};

struct table {
	const struct table_column *columns;
	size_t columns_count;
	struct cell *cells;
	size_t count, size;
	size_t *least; /* widths of the columns of rows that are printed already; NULL: none are */
};

struct table *
table_new(const struct table_column *columns, size_t count)
{
	struct table *table = xcalloc(1, sizeof(*table));

	table->columns = columns;
	table->columns_count = count;
	return table;
}

void
table_free(struct table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table->least);
	free(table);
}

/*
 * What another site said may be shown: it must not command the terminal.  Controls of ASCII
 * and those of ISO 6429 in UTF-8 (U+0080 to U+009F) go.
 */
void
table_harmless(char *text)
{
	for (unsigned char *s = (unsigned char *)text; *s != '\0'; s++) {
		if (*s < 0x20 || *s == 0x7f)
			*s = '?';
		else if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f)
			s[0] = s[1] = '?';
	}
}

void
table_cell(struct table *table, enum table_colour colour, const char *format, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	table_harmless(text);
	if (table->count == table->size) {
		table->size = table->size > 0 ? 2 * table->size : 64;
		table->cells = xrealloc_array(table->cells, table->size, sizeof(*table->cells));
	}
	table->cells[table->count++] = (struct cell){xstrdup(text), colour};
}

void
table_text(FILE *out, const struct table_style *style, enum table_colour colour, const char *text)
{
	static const char *const codes[] = {
	    [TABLE_PLAIN] = "",
	    [TABLE_GOOD] = "\033[32m",
	    [TABLE_WARN] = "\033[33m",
	    [TABLE_BAD] = "\033[31m",
	    [TABLE_HEAD] = "\033[1m",
	};

	if (style->colour && colour != TABLE_PLAIN)
		fprintf(out, "%s%s\033[0m", codes[colour], text);
	else
		fputs(text, out);
}

/* Characters, not octets: names are ASCII, but what is shown need not be. */
static size_t
text_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* Where a column stands: its width (0: left out), and whether its line of the row ends there. */
struct place {
	size_t width;
	bool last;
};

/* At most what fits a line of its own. */
static size_t
column_width(const struct table *table, size_t column, size_t most)
{
	size_t width = table->least != NULL ? table->least[column] : 0, cell;

	for (size_t i = column; i < table->count; i += table->columns_count) {
		cell = text_width(table->cells[i].text);
		if (cell > width)
			width = cell;
	}
	cell = text_width(table->columns[column].head);
	if (width > 0 && width < cell)
		width = cell;
	return width < most ? width : most;
}

/* Spreads the columns over as many lines as the width needs. */
static void
arrange(const struct table *table, size_t width, struct place *places)
{
	size_t used = 0, previous = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		places[i] = (struct place){.width = column_width(table, i, width - INDENT)};
		if (places[i].width == 0)
			continue;
		if (used > 0 && used + GAP + places[i].width > width) {
			places[previous].last = true;
			used = INDENT + places[i].width;
		} else {
			used += (used > 0 ? GAP : 0) + places[i].width;
		}
		previous = i;
	}
	places[previous].last = true;
}

/*
 * Where in a line the output is: blanks wait until text follows, so that no line ends in
 * blanks, and a further line of a row appears only if it has text.
 */
struct line {
	FILE *out;
	const struct table_style *style;
	size_t at, blanks; /* columns printed, and those that wait */
	bool begun;        /* something was printed */
};

/* Octets of text that make at most width columns, up to a blank or comma if there is one. */
static size_t
fold(const char *text, size_t width)
{
	size_t len = 0, good = 0, columns = 0;

	while (text[len] != '\0') {
		columns += ((unsigned char)text[len] & 0xc0) != 0x80;
		if (columns > width)
			return good > 0 ? good : len;
		len++;
		if (text[len - 1] == ' ' || text[len - 1] == ',')
			good = len;
	}
	return len;
}

/* The blanks that wait, and text. */
static void
print_text(struct line *line, enum table_colour colour, const char *text)
{
	fprintf(line->out, "%*s", (int)line->blanks, "");
	table_text(line->out, line->style, colour, text);
	line->at += line->blanks + text_width(text);
	line->blanks = 0;
	line->begun = true;
}

/* A text that is wider than its column goes on below itself. */
static void
print_folded(
    struct line *line, const struct place *place, enum table_colour colour, const char *text)
{
	size_t start = line->at + line->blanks;

	while (*text != '\0') {
		size_t len = fold(text, place->width), shown = len;
		char *part;

		while (shown > 0 && text[shown - 1] == ' ')
			shown--;
		part = xasprintf("%.*s", (int)shown, text);
		print_text(line, colour, part);
		free(part);
		text += len;
		if (*text == '\0')
			break;
		fputc('\n', line->out);
		line->at = 0;
		line->blanks = start;
	}
	line->blanks = start + place->width - line->at + GAP;
}

static void
print_cell(struct line *line, const struct place *place, bool right, enum table_colour colour,
    const char *text)
{
	size_t width = text_width(text);
	size_t pad = place->width > width ? place->width - width : 0;

	if (width > place->width) {
		print_folded(line, place, colour, text);
		return;
	}
	if (*text == '\0') {
		line->blanks += place->width + GAP;
		return;
	}
	if (right)
		line->blanks += pad;
	print_text(line, colour, text);
	line->blanks = (right ? 0 : pad) + GAP;
}

/* A row, or with cells NULL the heads of the columns. */
static void
print_row(const struct table *table, FILE *out, const struct table_style *style,
    const struct place *places, const struct cell *cells)
{
	struct line line = {.out = out, .style = style};

	for (size_t i = 0; i < table->columns_count; i++) {
		if (places[i].width == 0)
			continue;
		if (cells == NULL)
			print_cell(&line, &places[i], table->columns[i].right, TABLE_HEAD,
			    table->columns[i].head);
		else
			print_cell(&line, &places[i], table->columns[i].right, cells[i].colour,
			    cells[i].text);
		if (places[i].last) {
			if (line.begun)
				fputc('\n', out);
			line.begun = false;
			line.at = 0;
			line.blanks = INDENT;
		}
	}
}

void
table_print(const struct table *table, FILE *out, const struct table_style *style)
{
	struct place *places;

	if (table->count == 0)
		return;
	places = xcalloc(table->columns_count, sizeof(*places));
	arrange(table, style->width, places);
	print_row(table, out, style, places, NULL);
	for (size_t i = 0; i + table->columns_count <= table->count; i += table->columns_count)
		print_row(table, out, style, places, &table->cells[i]);
	free(places);
}

/* Whether there are columns that no head was printed of. */
static bool
has_new(const struct table *table, const struct place *places)
{
	for (size_t i = 0; i < table->columns_count; i++)
		if (places[i].width > 0 && (table->least == NULL || table->least[i] == 0))
			return true;
	return false;
}

void
table_flush(struct table *table, FILE *out, const struct table_style *style)
{
	struct place *places;

	if (table->count == 0)
		return;
	places = xcalloc(table->columns_count, sizeof(*places));
	arrange(table, style->width, places);
	if (has_new(table, places))
		print_row(table, out, style, places, NULL);
	for (size_t i = 0; i + table->columns_count <= table->count; i += table->columns_count)
		print_row(table, out, style, places, &table->cells[i]);
	if (table->least == NULL)
		table->least = xcalloc(table->columns_count, sizeof(*table->least));
	for (size_t i = 0; i < table->columns_count; i++)
		table->least[i] = places[i].width;
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	table->count = 0;
	free(places);
}
