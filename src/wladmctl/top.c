/*
 * top: services, sites and servers with their rates, again and again.
 */
#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wladmctl/text.h"
#include "wladmctl/wladmctl.h"

#define COLUMNS(array) (sizeof(array) / sizeof((array)[0]))
#define PERIOD         1.0        /* seconds, unless --watch says */
#define SCREEN         "\033[H"   /* to the upper left corner */
#define LINE_END       "\033[K\n" /* what stood there before ends here */
#define SCREEN_END     "\033[J"

static void
print_head(const json_t *summary, FILE *out)
{
	char up[TEXT_SHORT], live[TEXT_SHORT], fresh[TEXT_SHORT], rate[4][TEXT_SHORT];
	static const char *const keys[] = {"packets_in_per_second", "bytes_in_per_second",
	    "packets_out_per_second", "bytes_out_per_second"};

	for (size_t i = 0; i < COLUMNS(keys); i++)
		text_count(text_number(summary, keys[i]), rate[i]);
	fprintf(out, "site %s, up %s, %s connections, %s new/s\n", text_string(summary, "site"),
	    text_seconds(text_number(summary, "uptime_s"), up),
	    text_count(text_number(summary, "connections"), live),
	    text_count(text_number(summary, "new_per_second"), fresh));
	fprintf(out, "device in %s packets/s, %sB/s; out %s packets/s, %sB/s\n\n", rate[0],
	    rate[1], rate[2], rate[3]);
}

static void
print_services(const json_t *summary, FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"UP", true},
	    {"LOAD", true}, {"ACTIVE", true}, {"TRANSFERRED", true}, {"RECEIVED", true}};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(summary, "services"), i, o) {
		text_cell_string(table, o, "service");
		text_cell_up(table, o);
		text_cell_percent(table, o, "load");
		text_cell_count(table, o, "active");
		text_cell_count(table, o, "transferred_active");
		text_cell_count(table, o, "received_active");
	}
	table_print(table, out, style);
	table_free(table);
	if (i > 0)
		fputc('\n', out);
}

/* The object of the array with the same texts at the keys (NULL ends them), or NULL. */
static const json_t *
same(const json_t *array, const json_t *object, const char *const *keys)
{
	const json_t *o;
	size_t i;

	json_array_foreach (array, i, o) {
		const char *const *key = keys;

		while (*key != NULL &&
		    strcmp(text_string(o, *key), text_string(object, *key)) == 0)
			key++;
		if (*key == NULL)
			return o;
	}
	return NULL;
}

/* What a count grew by in a second; "-" if it is not known, or if the daemon began anew. */
static void
cell_rate(struct table *table, const json_t *before, const json_t *now, const char *key,
    double seconds)
{
	double grown = text_number(now, key) - text_number(before, key);
	char rate[TEXT_SHORT];

	table_cell(table, TABLE_PLAIN, "%s",
	    before != NULL && grown >= 0 && seconds > 0 ? text_count(grown / seconds, rate)
							: "-");
}

static void
print_sites(const struct top_sample *before, const struct top_sample *now, double seconds,
    FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SITE", false}, {"STATE", false},
	    {"RTT", true}, {"LOSS", true}, {"RULE", true}, {"SENT", true}, {"SENT/S", true},
	    {"GOT", true}, {"GOT/S", true}, {"OUT B/S", true}, {"IN B/S", true},
	    {"WHY NOT", false}};
	static const char *const keys[] = {"site", NULL};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o, *old;
	char rtt[TEXT_SHORT];
	size_t i;

	json_array_foreach (json_object_get(now->sites, "sites"), i, o) {
		old = before != NULL ? same(json_object_get(before->sites, "sites"), o, keys)
				     : NULL;
		text_cell_string(table, o, "site");
		text_cell_state(table, o, "state");
		table_cell(table, TABLE_PLAIN, "%s", text_ms(o, "path_rtt_ms", rtt));
		text_cell_percent(table, o, "path_loss");
		text_cell_count(table, o, "rule");
		text_cell_count(table, o, "transferred_active");
		cell_rate(table, old, o, "transferred_total", seconds);
		text_cell_count(table, o, "received_active");
		cell_rate(table, old, o, "received_total", seconds);
		cell_rate(table, old, o, "transfer_bytes_out", seconds);
		cell_rate(table, old, o, "transfer_bytes_in", seconds);
		text_cell_remark(table, o, "reason");
	}
	table_print(table, out, style);
	table_free(table);
	if (i > 0)
		fputc('\n', out);
}

static void
print_servers(const struct top_sample *before, const struct top_sample *now, double seconds,
    FILE *out, const struct table_style *style)
{
	static const struct table_column columns[] = {{"SERVICE", false}, {"SERVER", false},
	    {"STATE", false}, {"ADMIN", false}, {"LOAD", true}, {"ACTIVE", true},
	    {"NEW/S", true}, {"IN B/S", true}, {"OUT B/S", true}};
	static const char *const keys[] = {"service", "name", "address", NULL};
	struct table *table = table_new(columns, COLUMNS(columns));
	const json_t *o, *old;
	size_t i;

	json_array_foreach (json_object_get(now->servers, "servers"), i, o) {
		old = before != NULL ? same(json_object_get(before->servers, "servers"), o, keys)
				     : NULL;
		text_cell_string(table, o, "service");
		text_cell_string(table, o, "name");
		text_cell_state(table, o, "state");
		text_cell_state(table, o, "admin");
		text_cell_percent(table, o, "load");
		text_cell_count(table, o, "active");
		cell_rate(table, old, o, "total", seconds);
		cell_rate(table, old, o, "bytes_in", seconds);
		cell_rate(table, old, o, "bytes_out", seconds);
	}
	table_print(table, out, style);
	table_free(table);
}

void
top_print(const struct top_sample *before, const struct top_sample *now, double seconds,
    FILE *out, const struct table_style *style)
{
	print_head(now->summary, out);
	print_services(now->summary, out, style);
	print_sites(before, now, seconds, out, style);
	print_servers(before, now, seconds, out, style);
}

static void
sample_fini(struct top_sample *sample)
{
	json_decref(sample->summary);
	json_decref(sample->servers);
	json_decref(sample->sites);
	*sample = (struct top_sample){0};
}

/* An exit status: a sample that is not whole is of no use. */
static int
sample_take(const struct options *options, struct top_sample *sample)
{
	int status;

	sample->summary = wladmctl_ask(options, "show summary", &status);
	if (status == EXIT_DONE)
		sample->servers = wladmctl_ask(options, "show servers", &status);
	if (status == EXIT_DONE)
		sample->sites = wladmctl_ask(options, "show sites", &status);
	if (status != EXIT_DONE)
		sample_fini(sample);
	return status;
}

/* Over what stood there, and no more lines than the terminal has: it must not scroll. */
static void
draw(const char *picture)
{
	struct winsize size;
	unsigned rows = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		rows = size.ws_row;
	fputs(SCREEN, stdout);
	for (unsigned row = 1; *picture != '\0' && (rows == 0 || row < rows); row++) {
		size_t len = strcspn(picture, "\n");

		fwrite(picture, 1, len, stdout);
		fputs(LINE_END, stdout);
		picture += len + (picture[len] == '\n');
	}
	fputs(SCREEN_END, stdout);
}

static int
show(const struct top_sample *before, const struct top_sample *now, double seconds, bool batch)
{
	struct table_style style = wladmctl_style();
	char *picture = NULL;
	size_t len;
	FILE *out = open_memstream(&picture, &len);

	if (out == NULL)
		return EXIT_REFUSED;
	top_print(before, now, seconds, out, &style);
	fclose(out);
	if (batch)
		printf("%s\n", picture);
	else
		draw(picture);
	free(picture);
	return fflush(stdout) != 0 || ferror(stdout) ? EXIT_REFUSED : EXIT_DONE;
}

static double
clock_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
top_main(const struct options *options, bool batch)
{
	double period = options->watch > 0 ? options->watch : PERIOD, then = 0, now;
	struct timespec pause = {.tv_sec = (time_t)period};
	struct top_sample before = {0}, sample = {0};
	int status;

	pause.tv_nsec = (long)((period - (double)pause.tv_sec) * 1e9);
	if (!isatty(STDOUT_FILENO))
		batch = true;
	if (!batch)
		fputs(SCREEN SCREEN_END, stdout);
	for (;;) {
		status = sample_take(options, &sample);
		now = clock_seconds();
		if (status == EXIT_DONE)
			status = show(before.summary != NULL ? &before : NULL, &sample,
			    now - then, batch);
		sample_fini(&before);
		if (status != EXIT_DONE)
			break;
		before = sample;
		sample = (struct top_sample){0};
		then = now;
		nanosleep(&pause, NULL);
	}
	sample_fini(&sample);
	return status;
}
