#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void
report_init(struct report *report, const struct source *source)
{
	memset(report, 0, sizeof(*report));
	report->source = source;
}

static int
compare_faults(const void *a, const void *b)
{
	const struct report_fault *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

void
report_finish(struct report *report, struct config_faults *faults)
{
	if (report->faults_count > 0) {
		qsort(report->faults, report->faults_count, sizeof(*report->faults),
		    compare_faults);
		faults->text = xcalloc(report->faults_count, sizeof(*faults->text));
	}
	for (size_t i = 0; i < report->faults_count; i++)
		faults->text[i] = report->faults[i].text;
	faults->count = report->faults_count;
	free(report->faults);
	for (size_t i = 0; i < report->marks_count; i++)
		free(report->marks[i].path);
	free(report->marks);
	report_init(report, NULL);
}

void
report_mark(struct report *report, const void *field, unsigned line, const char *path, bool bad)
{
	if (report->marks_count == report->marks_size) {
		report->marks_size = report->marks_size * 2 + 64;
		report->marks =
		    xrealloc_array(report->marks, report->marks_size, sizeof(*report->marks));
	}
	report->marks[report->marks_count++] = (struct report_mark){
	    .field = field, .line = line, .bad = bad, .path = xstrdup(path)};
	report->sorted = false;
}

static int
compare_marks(const void *a, const void *b)
{
	const struct report_mark *x = a, *y = b;
	const char *p = x->field, *q = y->field;

	return p < q ? -1 : p > q;
}

static const struct report_mark *
find_mark(struct report *report, const void *field)
{
	struct report_mark key = {.field = field};

	if (report->marks_count == 0)
		return NULL;
	if (!report->sorted) {
		qsort(report->marks, report->marks_count, sizeof(*report->marks), compare_marks);
		report->sorted = true;
	}
	return bsearch(
	    &key, report->marks, report->marks_count, sizeof(*report->marks), compare_marks);
}

static unsigned
line_of(const struct report_mark *mark)
{
	return mark != NULL ? mark->line : 0;
}

static char *
xvasprintf(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return xstrdup(format);
	return text;
}

static void
add(struct report *report, unsigned line, const char *path, const char *format, va_list args)
{
	char *sentence = xvasprintf(format, args), *text;
	const char *colon = path != NULL ? ": " : "", *file;
	unsigned file_line;

	if (path == NULL)
		path = "";
	source_locate(report->source, line, &file, &file_line);
	if (line == 0)
		text = xasprintf("%s: %s%s%s", file, path, colon, sentence);
	else
		text = xasprintf("%s:%u: %s%s%s", file, file_line, path, colon, sentence);
	free(sentence);

	if (report->faults_count == report->faults_size) {
		report->faults_size = report->faults_size * 2 + 16;
		report->faults =
		    xrealloc_array(report->faults, report->faults_size, sizeof(*report->faults));
	}
	report->faults[report->faults_count] =
	    (struct report_fault){.line = line, .number = report->faults_count, .text = text};
	report->faults_count++;
}

void
report_line(struct report *report, unsigned line, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(report, line, path, format, args);
	va_end(args);
}

void
report_field(struct report *report, const void *field, const char *format, ...)
{
	const struct report_mark *mark = find_mark(report, field);
	va_list args;

	va_start(args, format);
	add(report, line_of(mark), mark != NULL ? mark->path : NULL, format, args);
	va_end(args);
}

void
report_missing(
    struct report *report, const void *asking, const char *path, const char *format, ...)
{
	const struct report_mark *mark = find_mark(report, asking);
	va_list args;

	va_start(args, format);
	add(report, line_of(mark), path, format, args);
	va_end(args);
}

bool
report_set(struct report *report, const void *field)
{
	return find_mark(report, field) != NULL;
}

bool
report_bad(struct report *report, const void *field)
{
	const struct report_mark *mark = find_mark(report, field);

	return mark != NULL && mark->bad;
}

const char *
report_place(struct report *report, const void *field, const void *from, char buf[REPORT_PLACE])
{
	const struct report_mark *mark = find_mark(report, field);
	const struct report_mark *origin = find_mark(report, from);
	const char *file, *from_file;
	unsigned line, from_line;

	source_locate(report->source, line_of(mark), &file, &line);
	source_locate(report->source, line_of(origin), &from_file, &from_line);
	if (file == from_file)
		snprintf(buf, REPORT_PLACE, "line %u", line);
	else
		snprintf(buf, REPORT_PLACE, "%s line %u", file, line);
	return buf;
}

unsigned
report_file_line(struct report *report, unsigned line)
{
	const char *file;
	unsigned file_line;

	source_locate(report->source, line, &file, &file_line);
	return file_line;
}
