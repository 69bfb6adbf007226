#include "control/commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "control/views.h"

/* What each command does, and how its answer is named. */
static const struct {
	void (*run)(struct request *request);
	const char *view;
} actions[GRAMMAR_COUNT] = {
    [GRAMMAR_SHOW_SUMMARY] = {view_summary, "summary"},
    [GRAMMAR_SHOW_SERVICES] = {view_services, "services"},
    [GRAMMAR_SHOW_SERVERS] = {view_servers, "servers"},
    [GRAMMAR_SHOW_SITES] = {view_sites, "sites"},
    [GRAMMAR_SHOW_CONNECTIONS] = {view_connections, "connections"},
    [GRAMMAR_SHOW_PERSISTENCE] = {view_persistence, "persistence"},
    [GRAMMAR_SHOW_LIMITS] = {view_limits, "limits"},
    [GRAMMAR_SHOW_COUNTERS] = {view_counters, "counters"},
    [GRAMMAR_SHOW_KEYS] = {view_keys, "keys"},
    [GRAMMAR_SHOW_CONFIG] = {view_config, "config"},
    [GRAMMAR_SHOW_ERRORS] = {view_errors, "errors"},
    [GRAMMAR_EXPLAIN] = {view_explain, "explain"},
    [GRAMMAR_SERVER] = {command_server, "server"},
    [GRAMMAR_SERVER_ADD] = {command_server_edit, "server"},
    [GRAMMAR_SERVER_REMOVE] = {command_server_edit, "server"},
    [GRAMMAR_SERVER_SET] = {command_server_edit, "server"},
    [GRAMMAR_SERVER_RESET] = {command_server_edit, "server"},
    [GRAMMAR_SITE] = {command_site, "site"},
    [GRAMMAR_TRANSFER] = {command_transfer, "transfer"},
    [GRAMMAR_FLUSH_PERSISTENCE] = {command_flush, "flush"},
    [GRAMMAR_PROBE] = {command_probe, "probe"},
    [GRAMMAR_RELOAD] = {command_reload, "reload"},
    [GRAMMAR_LOG] = {command_log, "log"},
    [GRAMMAR_MONITOR] = {command_monitor, "monitor"},
    [GRAMMAR_VERSION] = {view_version, "version"},
    [GRAMMAR_HELP] = {view_help, "help"},
};

void
request_fail(struct request *request, enum control_error error, const char *format, ...)
{
	va_list ap;

	if (request->error != 0)
		return;
	request->error = error;
	va_start(ap, format);
	vsnprintf(request->error_text, sizeof(request->error_text), format, ap);
	va_end(ap);
}

uint32_t
request_service(struct request *request, const char *name)
{
	uint32_t service = load_table_find_service(request->parts->load, name);

	if (service == LOAD_NONE && request->parts->config->role == CONFIG_ROLE_COORDINATOR)
		request_fail(request, CONTROL_NOT_FOUND,
		    "this is a coordinator: it has no services and no servers, ask a site");
	else if (service == LOAD_NONE)
		request_fail(request, CONTROL_NOT_FOUND, "no service \"%.64s\"", name);
	return service;
}

uint32_t
request_site(struct request *request, const char *name)
{
	uint32_t site = load_table_find_site(request->parts->load, name);

	if (site == LOAD_NONE)
		request_fail(request, CONTROL_NOT_FOUND, "no site \"%.64s\"", name);
	return site;
}

/* Printable ASCII and tabs: whatever else a request held could not be quoted in an answer or the log. */
static bool
line_is_text(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((line[i] < 0x20 || line[i] > 0x7e) && line[i] != '\t')
			return false;
	return true;
}

/* What follows the name besides: without it, a second word is that, and not part of the name. */
static int
words_of_server(enum grammar_id id)
{
	if (id == GRAMMAR_SERVER)
		return 1;
	return id >= GRAMMAR_SERVER_ADD && id <= GRAMMAR_SERVER_RESET ? 0 : GRAMMAR_WORDS_MAX;
}

/* "web a" is "web/a" to commands about servers: the words lie in one line, in their order. */
static int
join_name(char *words[], int count)
{
	char *end;

	if (count < 2 || strchr(words[0], '/') != NULL)
		return count;
	end = words[0] + strlen(words[0]);
	memmove(end + 1, words[1], strlen(words[1]) + 1);
	*end = '/';
	memmove(words + 1, words + 2, (size_t)(count - 2) * sizeof(*words));
	return count - 1;
}

/* From words to a command with its arguments, within the caller's rights. */
static void
request_parse(struct request *request)
{
	char *words[GRAMMAR_WORDS_MAX], error[400];
	enum grammar_id id;
	int count, used;

	count = grammar_split(request->line, words, error, sizeof(error));
	used = count < 0 ? -1 : grammar_find(words, count, &id, error, sizeof(error));
	if (used < 0) {
		request_fail(request, CONTROL_BAD, "%s", error);
		return;
	}
	if (grammar_command(id)->right == GRAMMAR_CHANGE && !request->may_change) {
		request_fail(request, CONTROL_REFUSED, "%s is for root and the daemon's user",
		    grammar_command(id)->words);
		return;
	}
	if (count - used >= 2 + words_of_server(id))
		count = used + join_name(words + used, count - used);
	if (grammar_arguments(
		id, words + used, count - used, &request->match, error, sizeof(error)) < 0)
		request_fail(request, CONTROL_BAD, "%s", error);
}

struct request *
request_new(const struct control_parts *parts, const char *line, size_t len, uint32_t uid,
    bool may_change)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->parts = parts;
	request->uid = uid;
	request->may_change = may_change;
	json_init(&request->json);
	if (len > CONTROL_LINE_MAX) {
		request_fail(
		    request, CONTROL_BAD, "request longer than %d octets", CONTROL_LINE_MAX);
	} else if (!line_is_text(line, len)) {
		request_fail(request, CONTROL_BAD, "request holds octets that are not text");
	} else {
		memcpy(request->line, line, len);
		request_parse(request);
	}
	return request;
}

void
request_free(struct request *request)
{
	if (request == NULL)
		return;
	json_fini(&request->json);
	free(request->clients.list);
	free(request);
}

bool
request_run(struct request *request, uint64_t now)
{
	enum grammar_id id = request->match.id;
	bool first = !request->begun;

	if (request->error != 0)
		return true;
	request->now = now;
	request->again = false;
	request->wake = 0;
	request->begun = true;
	if (first) {
		json_begin_object(&request->json, NULL);
		json_put_uint(&request->json, "schema", COMMANDS_SCHEMA);
		json_put_string(&request->json, "view", actions[id].view);
	}
	actions[id].run(request);
	if (request->error != 0)
		return true;
	if (request->again)
		return false;
	json_end_object(&request->json);
	json_newline(&request->json);
	return true;
}

/* Text, what was written, and text. */
static char *
enclose(const struct json *json, const char *before, const char *after, size_t *len)
{
	size_t head = strlen(before), tail = strlen(after);
	char *answer = xmalloc(head + json->len + tail + 1);

	memcpy(answer, before, head);
	if (json->len > 0)
		memcpy(answer + head, json->data, json->len);
	memcpy(answer + head + json->len, after, tail + 1);
	*len = head + json->len + tail;
	return answer;
}

char *
request_piece(struct request *request, size_t *len)
{
	char head[48], *answer;

	snprintf(head, sizeof(head), "%s%zu\n", request->taken ? "" : "ok pieces\n",
	    request->json.len);
	answer = enclose(&request->json, head, "", len);
	json_taken(&request->json);
	request->taken = true;
	return answer;
}

char *
request_answer(const struct request *request, size_t *len)
{
	static const struct json nothing;
	char head[sizeof(request->error_text) + 32];

	if (request->error != 0)
		snprintf(head, sizeof(head), "err %d %s\n", (int)request->error,
		    request->error_text);
	else if (request->stream)
		snprintf(head, sizeof(head), "ok stream\n");
	else
		snprintf(head, sizeof(head), "%s%zu\n", request->taken ? "" : "ok ",
		    request->json.len);
	return enclose(request->error != 0 || request->stream ? &nothing : &request->json, head,
	    request->taken ? "0\n" : "", len);
}

char *
control_answer(const struct control_parts *parts, const char *line, size_t len, uint32_t uid,
    int may_change, uint64_t now, size_t *answer_len)
{
	struct request *request = request_new(parts, line, len, uid, may_change != 0);
	char *answer;

	while (!request_run(request, now))
		if (request->wake > now)
			now = request->wake;
	answer = request_answer(request, answer_len);
	request_free(request);
	return answer;
}
