/*
 * command_server: what changes something about a server.  Each change is logged with the
 * caller's uid.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/views.h"

#define WEIGHT_MAX 65535

/* Order of the choices of "server" in grammar.c; behind them is "weight". */
static const enum server_admin admins[] = {SERVER_ENABLED, SERVER_DISABLED, SERVER_DRAINING};
#define CHOICE_WEIGHT (int)(sizeof(admins) / sizeof(admins[0]))

static bool
is_removed(const struct request *request, const char *service, const char *name)
{
	const struct config_changes *changes = request->parts->changes;
	const struct config_change *change =
	    changes != NULL ? config_changes_find(changes, service, name) : NULL;

	return change != NULL && change->removed;
}

/* The number of a server by SERVICE/NAME; LOAD_NONE after request_fail(). */
static uint32_t
find_server(struct request *request, const char *text)
{
	char service_name[CONFIG_NAME_MAX + 1];
	const char *slash = strchr(text, '/');
	uint32_t service, server;

	if (slash == NULL) {
		request_fail(request, CONTROL_BAD, "a server is named SERVICE/NAME");
		return LOAD_NONE;
	}
	if ((size_t)(slash - text) >= sizeof(service_name)) {
		request_fail(request, CONTROL_NOT_FOUND, "no service of a name that long");
		return LOAD_NONE;
	}
	snprintf(service_name, sizeof(service_name), "%.*s", (int)(slash - text), text);
	service = request_service(request, service_name);
	if (service == LOAD_NONE)
		return LOAD_NONE;
	server = load_table_find_server(request->parts->load, service, slash + 1);
	if (server == LOAD_NONE && is_removed(request, service_name, slash + 1))
		request_fail(request, CONTROL_NOT_FOUND,
		    "%.64s has been removed: server reset %.64s brings it back", text, text);
	else if (server == LOAD_NONE)
		request_fail(request, CONTROL_NOT_FOUND, "no server \"%.64s\" in service %s",
		    slash + 1, service_name);
	return server;
}

static void
set_admin(struct request *request, uint32_t number, enum server_admin admin)
{
	struct load_table *load = request->parts->load;
	const struct server *server = load_table_server(load, number);

	if (server->admin == admin)
		return;
	load_table_server_set_admin(load, number, admin, request->now);
	log_info("server administration changed service=%s server=%s admin=%s uid=%u",
	    load_table_service(load, server->service)->name, server->name,
	    server_admin_name(admin), (unsigned)request->uid);
}

/* A weight in decimal, or LOAD_NONE for (a prefix of) "reset".  False if it is neither. */
static bool
parse_weight(const char *text, uint32_t *weight)
{
	size_t len = strlen(text);
	unsigned long number;

	*weight = LOAD_NONE;
	if (len > 0 && strncmp("reset", text, len) == 0)
		return true;
	if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
		return false;
	number = strtoul(text, NULL, 10);
	*weight = (uint32_t)number;
	return number <= WEIGHT_MAX;
}

static void
set_weight(struct request *request, uint32_t number)
{
	struct load_table *load = request->parts->load;
	const struct server *server = load_table_server(load, number);
	const char *text = request->match.value[2];
	bool was_set = server->weight_set;
	uint32_t weight, before = server->weight;

	if (text == NULL || !parse_weight(text, &weight)) {
		request_fail(request, CONTROL_BAD,
		    "a weight is a number from 0 to %d, or reset", WEIGHT_MAX);
		return;
	}
	load_table_server_set_weight(load, number, weight);
	if (server->weight_set != was_set || server->weight != before)
		log_info(
		    "server weight changed service=%s server=%s weight=%u configured=%u uid=%u",
		    load_table_service(load, server->service)->name, server->name,
		    (unsigned)server->weight, (unsigned)server->weight_configured,
		    (unsigned)request->uid);
}

void
command_server(struct request *request)
{
	struct json *json = &request->json;
	int choice = request->match.choice[1];
	uint32_t number = find_server(request, request->match.value[0]), weight;
	enum server_admin before;
	const struct server *server;

	if (number == LOAD_NONE)
		return;
	if (choice != CHOICE_WEIGHT && request->match.value[2] != NULL) {
		request_fail(
		    request, CONTROL_BAD, "unexpected \"%.64s\"", request->match.value[2]);
		return;
	}
	server = load_table_server(request->parts->load, number);
	before = server->admin;
	weight = server->weight;
	if (choice == CHOICE_WEIGHT)
		set_weight(request, number);
	else
		set_admin(request, number, admins[choice]);
	json_put_string(
	    json, "service", load_table_service(request->parts->load, server->service)->name);
	json_put_string(json, "name", server->name);
	json_put_string(json, "admin", server_admin_name(server->admin));
	json_put_string(json, "before", server_admin_name(before));
	view_weight(json, server);
	json_put_uint(json, "weight_before", weight);
	json_put_string(json, "state", server_state_name(server->state));
	json_put_uint(json, "active", server->active);
}
