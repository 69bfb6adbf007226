/*
 * ask: one request and its answer, and how answers are printed.
 */
#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "wladmctl/wladmctl.h"

#define WIDTH_DEFAULT 80

struct table_style
wladmctl_style(void)
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

int
wladmctl_failed(enum client_status status, struct client_answer *answer)
{
	const char *text = answer->text;
	int result = status == CLIENT_NO_DAEMON ? EXIT_NO_DAEMON : EXIT_REFUSED;

	table_harmless(answer->text);
	/* the code is for programs: a request that was not understood is wrong usage */
	if (status == CLIENT_REFUSED && text[0] >= '1' && text[0] <= '9' && text[1] == ' ') {
		if (text[0] - '0' == CONTROL_BAD)
			result = EXIT_USAGE;
		text += 2;
	}
	fprintf(stderr, "wladmctl: %s\n", text);
	free(answer->text);
	return result;
}

json_t *
wladmctl_list(const struct options *options, const char *line, client_piece *piece, void *arg,
    int *status)
{
	struct client_answer answer;
	enum client_status result = client_listing(options->socket, line, piece, arg, &answer);
	json_error_t error;
	json_t *root;

	*status = EXIT_DONE;
	if (result != CLIENT_OK) {
		*status = wladmctl_failed(result, &answer);
		return NULL;
	}
	if (answer.pieces) {
		free(answer.text);
		return NULL;
	}
	root = json_loadb(answer.text, answer.len, 0, &error);
	if (root == NULL) {
		fprintf(stderr, "wladmctl: the daemon's answer is no JSON: %s\n", error.text);
		*status = EXIT_REFUSED;
	} else if (options->json) {
		fwrite(answer.text, 1, answer.len, stdout);
	}
	free(answer.text);
	return root;
}

json_t *
wladmctl_ask(const struct options *options, const char *line, int *status)
{
	return wladmctl_list(options, line, NULL, NULL, status);
}
