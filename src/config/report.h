/*
 * report: collects faults, and knows where in the file each field of a struct config was set.
 *
 * The walk over the file marks each field that it fills; checks over the finished struct
 * name the field they complain about and get its line and path.  A line is one of the
 * source's text; it is traced to its file when the fault is written.
 */
#ifndef WLAD_CONFIG_REPORT_H
#define WLAD_CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/source.h"

#define REPORT_PLACE 160 /* octets that hold any report_place() */

struct report_mark {
	const void *field;
	unsigned line;
	bool bad; /* the setting is there, but its value could not be taken */
	char *path;
};

struct report_fault {
	unsigned line;
	size_t number; /* in the order of discovery */
	char *text;
};

struct report {
	const struct source *source;
	struct report_mark *marks;
	size_t marks_count, marks_size;
	bool sorted;
	struct report_fault *faults;
	size_t faults_count, faults_size;
};

void report_init(struct report *report, const struct source *source);

/* Moves the faults, in the order of the file, to the caller and frees the rest. */
void report_finish(struct report *report, struct config_faults *faults);

/* Notes where a field was set.  All marks precede the first question about one. */
void report_mark(
    struct report *report, const void *field, unsigned line, const char *path, bool bad);

/* A fault at a line of the text (0: none) about a path (NULL: none). */
void report_line(struct report *report, unsigned line, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A fault about a marked field: its line, its path. */
void report_field(struct report *report, const void *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A fault about a setting that is not there: the line is that of a field that asks for it. */
void report_missing(struct report *report, const void *asking, const char *path,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* True if the field was set to something that could not be taken (and that was reported). */
bool report_bad(struct report *report, const void *field);

/* True if the file sets the field, well or badly. */
bool report_set(struct report *report, const void *field);

/* The line of a field for the reader: "line 12", or "other.conf line 12"; returns buf. */
const char *report_place(
    struct report *report, const void *field, const void *from, char buf[REPORT_PLACE]);

/* The same line as a number of its file, for struct config; 0 if it is not marked. */
unsigned report_file_line(struct report *report, unsigned line);

#endif
