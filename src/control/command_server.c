/*
 * command_server: what changes something.  Each change is logged with the caller's uid.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/views.h"

/* Order of the choices of "server" in grammar.c. */
static const enum server_admin admins[] = {SERVER_ENABLED, SERVER_DISABLED, SERVER_DRAINING};

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
	if (server == LOAD_NONE)
		request_fail(request, CONTROL_NOT_FOUND, "no server \"%.64s\" in service %s",
		    slash + 1, service_name);
	return server;
}

void
command_server(struct request *request)
{
	struct json *json = &request->json;
	struct load_table *load = request->parts->load;
	uint32_t number = find_server(request, request->match.value[0]);
	enum server_admin admin, before;
	const struct server *server;
	const struct service *service;

	if (number == LOAD_NONE)
		return;
	admin = admins[request->match.choice[1]];
	server = load_table_server(load, number);
	service = load_table_service(load, server->service);
	before = server->admin;
	if (before != admin) {
		load_table_server_set_admin(load, number, admin, request->now);
		log_info("server administration changed service=%s server=%s admin=%s uid=%u",
		    service->name, server->name, server_admin_name(admin),
		    (unsigned)request->uid);
	}
	json_put_string(json, "service", service->name);
	json_put_string(json, "name", server->name);
	json_put_string(json, "admin", server_admin_name(admin));
	json_put_string(json, "before", server_admin_name(before));
	json_put_string(json, "state", server_state_name(server->state));
	json_put_uint(json, "active", server->active);
}

void
command_log(struct request *request)
{
	/* the choices of "log" in grammar.c are the levels in their order */
	enum log_level level = (enum log_level)request->match.choice[0];

	/* said under whichever level, the old or the new, lets more through */
	if (level >= LOG_LEVEL_INFO)
		log_set_level(level);
	log_info("log level changed level=%s uid=%u", log_level_name(level),
	    (unsigned)request->uid);
	log_set_level(level);
	json_put_string(&request->json, "level", log_level_name(level));
}
