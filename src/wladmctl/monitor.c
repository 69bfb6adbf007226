/*
 * monitor: a line an event, as it happens.
 */
#include <stdlib.h>

#include "wladmctl/text.h"
#include "wladmctl/wladmctl.h"

struct monitor {
	const struct options *options;
	struct table_style style;
	bool failed; /* stdout does not take it */
};

static int
on_line(void *arg, const char *line, size_t len)
{
	struct monitor *m = arg;
	json_t *event;

	if (m->options->json) {
		printf("%s\n", line);
	} else {
		event = json_loadb(line, len, 0, NULL);
		text_event(event, stdout, &m->style); /* of another version, if it is none */
		json_decref(event);
	}
	m->failed = fflush(stdout) != 0 || ferror(stdout);
	return m->failed;
}

int
monitor_main(const struct options *options, const char *line)
{
	struct monitor m = {.options = options, .style = wladmctl_style()};
	struct client_answer answer;
	enum client_status status = client_stream(options->socket, line, on_line, &m, &answer);

	if (status != CLIENT_OK)
		return wladmctl_failed(status, &answer);
	free(answer.text);
	return m.failed ? EXIT_REFUSED : EXIT_DONE;
}
