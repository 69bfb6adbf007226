/*
 * wladmctl: asks and tells a running wlad.
 */
#include <sys/ioctl.h>

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/xalloc.h"
#include "control/grammar.h"
#include "version.h"
#include "wladmctl/cert.h"
#include "wladmctl/client.h"
#include "wladmctl/text.h"

#define SOCKET_DEFAULT "/run/wlad/wlad.sock"
#define WIDTH_DEFAULT  80
#define WATCH_MIN      0.1
#define WATCH_MAX      86400.0
#define LINE_LIMIT     1024 /* octets that the daemon takes as a request */

enum exit_status { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_NO_DAEMON };

struct options {
	bool json;
	const char *socket;
	double watch; /* seconds between repetitions; 0: once */
};

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

/* True if the first word is, or begins, a command that needs no daemon. */
static bool
is_local(const char *word)
{
	return *word != '\0' && strncmp("cert", word, strlen(word)) == 0;
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

static struct table_style
output_style(void)
{
	struct table_style style = {.width = WIDTH_DEFAULT};
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return style;
	style.colour = (no_colour == NULL || *no_colour == '\0') && term != NULL &&
	    strcmp(term, "dumb") != 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > WIDTH_DEFAULT)
		style.width = size.ws_col;
	return style;
}

static int
show(const struct client_answer *answer, const struct options *options)
{
	struct table_style style = output_style();
	json_error_t error;
	json_t *root;

	if (options->json) {
		fwrite(answer->text, 1, answer->len, stdout);
		return EXIT_DONE;
	}
	root = json_loadb(answer->text, answer->len, 0, &error);
	if (root == NULL) {
		fprintf(stderr, "wladmctl: the daemon's answer is no JSON: %s\n", error.text);
		return EXIT_REFUSED;
	}
	text_print(root, stdout, &style);
	json_decref(root);
	return EXIT_DONE;
}

static int
ask(const char *line, const struct options *options)
{
	struct client_answer answer;
	int status = EXIT_REFUSED;

	switch (client_request(options->socket, line, &answer)) {
	case CLIENT_OK:
		status = show(&answer, options);
		break;
	case CLIENT_REFUSED:
	case CLIENT_FAILED:
		table_harmless(answer.text);
		fprintf(stderr, "wladmctl: %s\n", answer.text);
		break;
	case CLIENT_NO_DAEMON:
		fprintf(stderr, "wladmctl: %s\n", answer.text);
		status = EXIT_NO_DAEMON;
		break;
	}
	free(answer.text);
	if (fflush(stdout) != 0 || ferror(stdout))
		return EXIT_REFUSED;
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

/* "version" says the tool's own before it asks for the daemon's. */
static bool
asks_version(int count, char **words)
{
	char error[400];
	enum grammar_id id;

	return grammar_find(words, count, &id, error, sizeof(error)) > 0 && id == GRAMMAR_VERSION;
}

int
main(int argc, char **argv)
{
	struct options options = {.socket = SOCKET_DEFAULT};
	int status = parse_options(argc, argv, &options);
	char *line;

	if (status >= 0)
		return status;
	argc -= optind;
	argv += optind;
	if (is_local(argv[0])) {
		argv[0] = (char[]){"cert"};
		return cert_main(argc, argv);
	}
	line = join_words(argc, argv);
	if (line == NULL)
		return EXIT_USAGE;
	if (!options.json && asks_version(argc, argv)) {
		printf("wladmctl %s\n", version_string());
		fflush(stdout);
	}
	status = options.watch > 0 ? watch(line, &options) : ask(line, &options);
	free(line);
	return status;
}
