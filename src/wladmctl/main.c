/*
 * wladmctl: asks and tells a running wlad.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "version.h"
#include "wladmctl/cert.h"
#include "wladmctl/text.h"
#include "wladmctl/wladmctl.h"

#define SOCKET_DEFAULT "/run/wlad/wlad.sock"
#define WATCH_MIN      0.1
#define WATCH_MAX      86400.0
#define LINE_LIMIT     1024 /* octets that the daemon takes as a request */

static void
usage(FILE *out)
{
	char syntax[GRAMMAR_SYNTAX];

	fputs("usage: wladmctl [-hjV] [-s SOCKET] [--watch SECONDS] COMMAND ...\n"
	      "\n"
	      "  -j  JSON as the daemon sends it     -s  the daemon's socket\n"
	      "  -h  this text                       -V  version\n"
	      "  --watch  again and again\n"
	      "\n"
	      "Commands; as many letters of a word as make it unique suffice:\n",
	    out);
	for (int i = 0; i < GRAMMAR_COUNT; i++)
		fprintf(out, "  %s\n        %s%s\n", grammar_syntax((enum grammar_id)i, syntax),
		    grammar_command((enum grammar_id)i)->help,
		    grammar_command((enum grammar_id)i)->right == GRAMMAR_CHANGE ? " (*)" : "");
	fputs("(*) root and the daemon's user only\n", out);
}

static int
parse_watch(const char *text, double *watch)
{
	char *end;

	*watch = strtod(text, &end);
	if (*text != '\0' && *end == '\0' && isfinite(*watch) && *watch >= WATCH_MIN &&
	    *watch <= WATCH_MAX)
		return 0;
	fprintf(stderr, "wladmctl: --watch takes seconds, %.1f to %.0f\n", WATCH_MIN, WATCH_MAX);
	return -1;
}

/* Reads the options.  Returns -1 to go on, or an exit status. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
	    {"watch", required_argument, NULL, 'w'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+hjs:V", longs, NULL)) != -1) {
		switch (c) {
		case 'h':
			usage(stdout);
			return EXIT_DONE;
		case 'V':
			printf("wladmctl %s\n", version_string());
			return EXIT_DONE;
		case 'j':
			options->json = true;
			break;
		case 's':
			options->socket = optarg;
			break;
		case 'w':
			if (parse_watch(optarg, &options->watch) < 0)
				return EXIT_USAGE;
			break;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return -1;
	usage(stderr);
	return EXIT_USAGE;
}

/* The request; NULL after a message if the words cannot be sent. */
static char *
join_words(int count, char **words)
{
	char *line = xstrdup(""), *longer;

	for (int i = 0; i < count; i++) {
		longer = xasprintf("%s%s%s", line, i > 0 ? " " : "", words[i]);
		free(line);
		line = longer;
	}
	if (strlen(line) <= LINE_LIMIT && strpbrk(line, "\r\n") == NULL)
		return line;
	fputs("wladmctl: too long, or not one line\n", stderr);
	free(line);
	return NULL;
}

/* An answer, not an error, though what was asked for did not happen. */
static bool
is_refusal(const json_t *answer)
{
	const char *view = text_string(answer, "view");

	if (strcmp(view, "probe") == 0)
		return !text_true(answer, "answered");
	return strcmp(view, "reload") == 0 && !text_true(answer, "reloaded");
}

static int
ask(const char *line, const struct options *options)
{
	struct table_style style = wladmctl_style();
	struct listing *listing = listing_new(options, stdout, &style);
	int status;
	json_t *answer = wladmctl_list(options, line, listing_piece, listing, &status);

	if (answer == NULL && status == EXIT_DONE && !listing_is_whole(listing))
		status = EXIT_REFUSED;
	listing_free(listing);
	if (answer == NULL)
		return status;
	if (!options->json)
		text_print(answer, stdout, &style);
	if (is_refusal(answer))
		status = EXIT_REFUSED;
	json_decref(answer);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("wladmctl: cannot write the answer");
		return EXIT_REFUSED;
	}
	return status;
}

/* Until something fails, or a signal ends it. */
static int
watch(const char *line, const struct options *options)
{
	struct timespec pause;
	bool terminal = isatty(STDOUT_FILENO);
	int status;

	pause.tv_sec = (time_t)options->watch;
	pause.tv_nsec = (long)((options->watch - (double)pause.tv_sec) * 1e9);
	for (;;) {
		if (terminal)
			fputs("\033[H\033[2J", stdout);
		status = ask(line, options);
		if (status != EXIT_DONE)
			return status;
		if (!terminal && !options->json) {
			fputc('\n', stdout);
			fflush(stdout);
		}
		nanosleep(&pause, NULL);
	}
}

/* A command that the tool does by itself: cert. */
static int
run_cert(int argc, char **argv)
{
	argv[0] = (char[]){"cert"};
	return cert_main(argc, argv);
}

/* True if the first word begins a command of the tool, so that its faults are the tool's to tell. */
static bool
is_local(const char *word)
{
	for (int i = 0; i < GRAMMAR_COUNT; i++) {
		const struct grammar_command *command = grammar_command((enum grammar_id)i);

		if (*word != '\0' && command->right == GRAMMAR_TOOL &&
		    strncmp(command->words, word, strlen(word)) == 0)
			return true;
	}
	return false;
}

static int
wrong(const char *error)
{
	fprintf(stderr, "wladmctl: %s\n", error);
	return EXIT_USAGE;
}

/* config save, top and topology: several requests, and what the tool makes of the answers. */
static int
run_local(enum grammar_id id, int used, int argc, char **argv, const struct options *options)
{
	struct grammar_match match;
	char error[400];

	if (grammar_arguments(id, argv + used, argc - used, &match, error, sizeof(error)) < 0)
		return wrong(error);
	if (id == GRAMMAR_CONFIG_SAVE && options->watch > 0)
		return wrong("--watch is not for config save");
	if (id == GRAMMAR_CONFIG_SAVE)
		return save_main(options, match.value[0], match.value[1] != NULL);
	if (options->json)
		return wrong("this is for people: take -j with show");
	if (id == GRAMMAR_TOPOLOGY && options->watch > 0)
		return wrong("--watch is not for topology");
	return id == GRAMMAR_TOP ? top_main(options, match.value[0] != NULL)
				 : topology_main(options, match.value[0] != NULL);
}

/* What is asked of the daemon; what the tool does not know, another version of it may. */
static int
run_request(bool known, enum grammar_id id, const char *line, const struct options *options)
{
	if (known && id == GRAMMAR_MONITOR)
		return options->watch > 0 ? wrong("--watch is not for monitor")
					  : monitor_main(options, line);
	/* "version" says the tool's own before it asks for the daemon's */
	if (known && id == GRAMMAR_VERSION && !options->json) {
		printf("wladmctl %s\n", version_string());
		fflush(stdout);
	}
	return options->watch > 0 ? watch(line, options) : ask(line, options);
}

int
main(int argc, char **argv)
{
	struct options options = {.socket = SOCKET_DEFAULT};
	int status = parse_options(argc, argv, &options), used;
	char *line, error[400];
	enum grammar_id id = GRAMMAR_COUNT;

	if (status >= 0)
		return status;
	argc -= optind;
	argv += optind;
	used = grammar_find_any(argv, argc, &id, error, sizeof(error));
	if (strlen(argv[0]) > 1 && strncmp("cert", argv[0], strlen(argv[0])) == 0)
		return run_cert(argc, argv); /* which has options of its own, and its usage */
	if (used < 0 && is_local(argv[0]))
		return wrong(error);
	if (used > 0 && grammar_command(id)->right == GRAMMAR_TOOL)
		return run_local(id, used, argc, argv, &options);
	line = join_words(argc, argv);
	if (line == NULL)
		return EXIT_USAGE;
	status = run_request(used > 0, id, line, &options);
	free(line);
	return status;
}
