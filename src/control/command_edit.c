/*
 * command_edit: servers that are added, removed and set otherwise at run time, beside the file.
 *
 * What an edit has to hold is config/changes.c's; how it gets into force, the daemon's.  Weights are
 * the load table's, as with "server SERVICE/NAME weight".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/views.h"

#define CHANGES_TEXT 200 /* octets of what an edit says, for the log */

/* What an edit is about. */
struct about {
	struct config_edit edit;
	char service[CONFIG_NAME_MAX + 1];
	uint32_t number;    /* the server before, LOAD_NONE if there was none */
	bool weight_given;  /* other than configured, */
	bool weight_reset;  /* or as configured again */
	bool with_settings; /* anything was said */
	char said[CHANGES_TEXT];
};

static const struct {
	enum grammar_id id;
	enum config_edit_kind kind;
	const char *done;
} kinds[] = {
    {GRAMMAR_SERVER_ADD, CONFIG_EDIT_ADD, "added"},
    {GRAMMAR_SERVER_REMOVE, CONFIG_EDIT_REMOVE, "removed"},
    {GRAMMAR_SERVER_SET, CONFIG_EDIT_SET, "set"},
    {GRAMMAR_SERVER_RESET, CONFIG_EDIT_RESET, "reset"},
};

static size_t
kind_of(enum grammar_id id)
{
	size_t i = 0;

	while (kinds[i].id != id)
		i++;
	return i;
}

/* SERVICE/NAME, of a service that is there and with a name that could be in a file. */
static int
take_name(struct request *request, struct about *about)
{
	const char *text = request->match.value[0], *slash = strchr(text, '/');
	uint32_t service;

	if (slash == NULL) {
		request_fail(request, CONTROL_BAD, "a server is named SERVICE/NAME");
		return -1;
	}
	if ((size_t)(slash - text) >= sizeof(about->service)) {
		request_fail(request, CONTROL_NOT_FOUND, "no service of a name that long");
		return -1;
	}
	snprintf(about->service, sizeof(about->service), "%.*s", (int)(slash - text), text);
	service = request_service(request, about->service);
	if (service == LOAD_NONE)
		return -1;
	if (!config_is_name(slash + 1)) {
		request_fail(request, CONTROL_BAD,
		    "\"%.64s\" is no name: 1 to %d letters, digits, '-', '_' and '.', first "
		    "neither "
		    "'-' nor '.'",
		    slash + 1, CONFIG_NAME_MAX);
		return -1;
	}
	config_edit_init(
	    &about->edit, kinds[kind_of(request->match.id)].kind, about->service, slash + 1);
	about->number = load_table_find_server(request->parts->load, service, slash + 1);
	return 0;
}

static void
say(struct about *about, const char *setting, const char *value)
{
	size_t len = strlen(about->said);

	about->with_settings = true;
	snprintf(about->said + len, sizeof(about->said) - len, "%s%s %s", len > 0 ? " " : "",
	    setting, value);
}

/* One setting.  The weight of a server that is there is the load table's. */
static int
take_setting(struct request *request, struct about *about, const char *setting, const char *value)
{
	struct config_edit *edit = &about->edit;
	char error[CONFIG_CHANGE_ERROR];
	uint32_t set = edit->set, reset = edit->reset;

	/* a prefix of "reset" will do, as with "weight" */
	if (edit->kind == CONFIG_EDIT_SET && *value != '\0' &&
	    strncmp("reset", value, strlen(value)) == 0)
		value = "reset";
	if (config_edit_take(edit, setting, value, error, sizeof(error)) == -1) {
		request_fail(request, CONTROL_BAD, "%s", error);
		return -1;
	}
	say(about, setting, value);
	if (edit->kind == CONFIG_EDIT_SET && strcmp(setting, "weight") == 0) {
		about->weight_reset = edit->reset != reset;
		about->weight_given = edit->set != set;
		edit->set = set;
		edit->reset = reset;
	}
	return 0;
}

/* The options of the command are the settings; what a flag says is "true". */
static int
take_settings(struct request *request, struct about *about)
{
	const struct grammar_match *match = &request->match;
	const struct grammar_command *command = grammar_command(match->id);
	static const char *const choices[] = {"true", "false", "reset"};

	for (int i = 1; i < GRAMMAR_ARGUMENTS_MAX; i++) {
		const char *value = match->value[i];

		if (value == NULL || match->id == GRAMMAR_SERVER_REMOVE)
			continue;
		if (command->arguments[i].kind == GRAMMAR_FLAG)
			value = "true";
		else if (match->choice[i] >= 0)
			value = choices[match->choice[i]];
		if (take_setting(request, about, command->arguments[i].keyword, value) == -1)
			return -1;
	}
	if (about->with_settings || match->id != GRAMMAR_SERVER_SET)
		return 0;
	request_fail(request, CONTROL_BAD, "server set lacks a setting: port, weight and so on");
	return -1;
}

/* A server with connections is not taken out by mistake. */
static int
judge_removal(struct request *request, const struct about *about)
{
	const struct server *server = load_table_server(request->parts->load, about->number);

	if (about->edit.kind != CONFIG_EDIT_REMOVE || server == NULL || server->active == 0 ||
	    request->match.value[1] != NULL)
		return 0;
	request_fail(request, CONTROL_FAILED,
	    "%s/%s has %llu connections: drain it and wait, or add the word force",
	    about->service, server->name, (unsigned long long)server->active);
	return -1;
}

/* Once it is out: its connections are those of a server that is down, and nothing is left that an
 * administrator said of it. */
static void
let_go(struct request *request, uint32_t number)
{
	struct load_table *load = request->parts->load;

	load_table_server_set_state(load, number, SERVER_DOWN, NULL, request->now);
	load_table_server_set_admin(load, number, SERVER_ENABLED, request->now);
	load_table_server_set_weight(load, number, LOAD_NONE);
}

/* What the load table keeps.  With another address it is another server there. */
static void
finish(struct request *request, struct about *about)
{
	struct load_table *load = request->parts->load;
	uint32_t service = load_table_find_service(load, about->service);

	if (about->edit.kind == CONFIG_EDIT_REMOVE) {
		let_go(request, about->number);
		return;
	}
	about->number = load_table_find_server(load, service, about->edit.name);
	if (about->number == LOAD_NONE)
		return;
	if (about->edit.kind == CONFIG_EDIT_RESET || about->weight_reset)
		load_table_server_set_weight(load, about->number, LOAD_NONE);
	if (about->weight_given)
		load_table_server_set_weight(load, about->number, about->edit.server.weight);
}

static void
answer(struct request *request, const struct about *about)
{
	struct json *json = &request->json;
	const struct server *server = load_table_server(request->parts->load, about->number);

	json_put_string(json, "done", kinds[kind_of(request->match.id)].done);
	json_put_string(json, "service", about->service);
	json_put_string(json, "name", about->edit.name);
	if (server == NULL)
		return;
	view_addresses(json, &server->v4, &server->v6, server->port);
	view_origin(json, server);
	json_put_string(json, "admin", server_admin_name(server->admin));
	view_weight(json, server);
	json_put_uint(json, "max_connections", server->max_connections);
	json_put_bool(json, "backup", server->backup);
	json_put_string(json, "state", server_state_name(server->state));
	json_put_uint(json, "active", server->active);
}

void
command_server_edit(struct request *request)
{
	const struct control_parts *parts = request->parts;
	struct about about = {.number = LOAD_NONE};
	char error[CONFIG_CHANGE_ERROR];

	if (take_name(request, &about) == -1 || take_settings(request, &about) == -1 ||
	    judge_removal(request, &about) == -1)
		return;
	if (parts->edit == NULL) {
		request_fail(request, CONTROL_FAILED, "servers cannot be changed at run time");
		return;
	}
	if (parts->edit(parts->edit_arg, &about.edit, error, sizeof(error)) == -1) {
		request_fail(request, CONTROL_FAILED, "%s", error);
		return;
	}
	finish(request, &about);
	log_info("server %s service=%s server=%s settings=\"%s\" uid=%u",
	    kinds[kind_of(request->match.id)].done, about.service, about.edit.name, about.said,
	    (unsigned)request->uid);
	answer(request, &about);
}
