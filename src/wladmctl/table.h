/*
 * table: rows and columns as aligned text.
 *
 * Columns are as wide as their widest cell.  A column without any text is left out.  What
 * does not fit the width goes on in further, indented lines of the same row, a long text in
 * as many as it needs, so nothing is ever cut off.
 */
#ifndef WLAD_WLADMCTL_TABLE_H
#define WLAD_WLADMCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum table_colour { TABLE_PLAIN, TABLE_GOOD, TABLE_WARN, TABLE_BAD, TABLE_HEAD };

struct table_style {
	bool colour;
	size_t width; /* columns of the terminal, 20 or more */
};

struct table_column {
	const char *head;
	bool right; /* aligned to the right: numbers */
};

struct table;

/* columns: borrowed until table_free(). */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);

/* The next cell: rows fill from left to right. */
void table_cell(struct table *table, enum table_colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints the head and the rows; nothing if there are none. */
void table_print(const struct table *table, FILE *out, const struct table_style *style);

/* The same with the rows so far, of which it forgets the text: those that follow go on below them.
 * Columns keep their widths, but for what needs more; a column that comes to be shown has heads
 * printed anew. */
void table_flush(struct table *table, FILE *out, const struct table_style *style);

/* Makes text from outside harmless to a terminal, in place; table_cell() does so by itself. */
void table_harmless(char *text);

/* Text in a colour, if the style has colours. */
void table_text(
    FILE *out, const struct table_style *style, enum table_colour colour, const char *text);

#endif
