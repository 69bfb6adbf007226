/*
 * source: a configuration file and what it includes, as one text.
 *
 * @include is expanded here and not by libconfig, which ends the program when it is pointed
 * at a directory, waits on a FIFO, and knows neither the including file's folder nor a
 * limit.  On the way comments are taken out, integers are marked as 64 bits wide (libconfig
 * cuts others to 32 bits without a word), and a comment or string that is never closed
 * is a fault (libconfig takes the end of the file for its end).
 * Each line of the text can be traced to its file and line.
 */
#ifndef WLAD_CONFIG_SOURCE_H
#define WLAD_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#define SOURCE_MAX   (1024 * 1024) /* octets of all files together */
#define SOURCE_DEPTH 10            /* files that include each other */

struct report;

/* From this line of the text on, the lines are those of that file. */
struct source_part {
	unsigned line;      /* of the text */
	size_t file;        /* index into files */
	unsigned file_line; /* of the file */
};

struct source_file {
	char *name, *text; /* as read, to be quoted in faults */
};

struct source {
	char *text; /* ends with a newline and NUL */
	size_t len, size;
	unsigned line; /* the one that is being written */
	struct source_part *parts;
	size_t parts_count;
	struct source_file *files; /* the first is the configuration file itself */
	size_t files_count;
	bool includes; /* whether @include may open files */
	size_t read;   /* octets so far, of all files */
};

/*
 * Takes a file, or a text under a name, into an empty source.  A text may not include files.
 * Returns 0, or -1 with what is wrong in the report, which has to work on this source.
 */
int source_read_file(struct source *source, const char *file, struct report *report);
int source_read_text(
    struct source *source, const char *text, const char *name, struct report *report);
void source_fini(struct source *source);

/* Where a line of the text comes from. */
void source_locate(
    const struct source *source, unsigned line, const char **file, unsigned *file_line);

/*
 * A line of the text as its file has it, without white space before it, shortened; of a blank
 * line the last one before that is none, and *line is then that one's.  Returns buf.
 */
const char *source_quote(const struct source *source, unsigned *line, char *buf, size_t size);

#endif
