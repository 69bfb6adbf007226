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
	char text[512];
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
table_text(FILE *out, const struct table_style *style, enum table_colour colour,
    const char *text)
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

/* Where a column stands: its width (0: left out), and the line of the row that it is on. */
struct place {
	size_t width;
	unsigned line;
	bool last; /* of its line */
};

static size_t
column_width(const struct table *table, size_t column)
{
	size_t width = 0, cell;

	for (size_t i = column; i < table->count; i += table->columns_count) {
		cell = text_width(table->cells[i].text);
		if (cell > width)
			width = cell;
	}
	cell = text_width(table->columns[column].head);
	return width == 0 || width > cell ? width : cell;
}

/* Spreads the columns over as many lines as the width needs. */
static void
arrange(const struct table *table, size_t width, struct place *places)
{
	unsigned line = 0;
	size_t used = 0, previous = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		places[i] = (struct place){.width = column_width(table, i)};
		if (places[i].width == 0)
			continue;
		if (used > 0 && used + GAP + places[i].width > width) {
			places[previous].last = true;
			line++;
			used = INDENT + places[i].width;
		} else {
			used += (used > 0 ? GAP : 0) + places[i].width;
		}
		places[i].line = line;
		previous = i;
	}
	places[previous].last = true;
}

static void
print_cell(FILE *out, const struct table_style *style, const struct place *place, bool right,
    enum table_colour colour, const char *text)
{
	size_t pad = place->width - text_width(text);

	if (right)
		fprintf(out, "%*s", (int)pad, "");
	table_text(out, style, colour, text);
	if (place->last)
		fputc('\n', out);
	else
		fprintf(out, "%*s", (int)(right ? GAP : pad + GAP), "");
}

static void
print_row(const struct table *table, FILE *out, const struct table_style *style,
    const struct place *places, const struct cell *cells)
{
	unsigned line = 0;

	for (size_t i = 0; i < table->columns_count; i++) {
		if (places[i].width == 0)
			continue;
		if (places[i].line != line) {
			line = places[i].line;
			fprintf(out, "%*s", INDENT, "");
		}
		if (cells == NULL)
			print_cell(out, style, &places[i], table->columns[i].right, TABLE_HEAD,
			    table->columns[i].head);
		else
			print_cell(out, style, &places[i], table->columns[i].right, cells[i].colour,
			    cells[i].text);
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
