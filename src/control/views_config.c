/*
 * views_config: the configuration in force, as JSON and as a file that wlad would take.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/write.h"
#include "control/views.h"

#define REAL_DECIMALS 9

static void
put_begin(void *arg, const char *name, enum config_shape shape)
{
	if (shape == CONFIG_SHAPE_GROUP)
		json_begin_object(arg, name);
	else
		json_begin_array(arg, name);
}

static void
put_end(void *arg, const char *name, enum config_shape shape)
{
	(void)name;
	if (shape == CONFIG_SHAPE_GROUP)
		json_end_object(arg);
	else
		json_end_array(arg);
}

static void
put_text(void *arg, const char *name, const char *value)
{
	json_put_string(arg, name, value);
}

static void
put_integer(void *arg, const char *name, uint64_t value)
{
	json_put_uint(arg, name, value);
}

static void
put_real(void *arg, const char *name, double value)
{
	json_put_real(arg, name, value, REAL_DECIMALS);
}

static void
put_boolean(void *arg, const char *name, bool value)
{
	json_put_bool(arg, name, value);
}

static void
put_none(void *arg, const char *name)
{
	json_put_null(arg, name);
}

/* Order of the choices of "show config" in grammar.c. */
enum { CHOICE_FILE, CHOICE_RUNNING };

/*
 * What administrators have said of services and servers becomes settings.  The servers are in the
 * table's order: both were made of one configuration.
 */
static void
take_from_table(struct config *config, struct load_table *load)
{
	for (size_t i = 0; i < config->services_count; i++) {
		struct config_service *c = &config->services[i];
		const struct service *s =
		    load_table_service(load, load_table_find_service(load, c->name));

		if (s == NULL || s->servers_count != c->servers_count)
			continue;
		c->transfer_permitted = s->transfer_permitted;
		for (size_t j = 0; j < c->servers_count; j++) {
			const struct server *server = load_table_server(load, s->servers[j]);

			if (server->weight_set)
				c->servers[j].weight = server->weight_admin;
		}
	}
}

/* The configuration with all that is in force besides; for config_free(). */
static struct config *
running_config(struct request *request)
{
	static const struct config_changes none;
	const struct control_parts *parts = request->parts;
	struct config *config =
	    config_changes_apply(parts->changes != NULL ? parts->changes : &none, parts->config);

	config_drop_removed(config);
	take_from_table(config, parts->load);
	return config;
}

static void
put_files(struct json *json, const struct config *config)
{
	char digest[24];

	json_begin_array(json, "files");
	for (size_t i = 0; i < config->files_count; i++) {
		snprintf(digest, sizeof(digest), "%016llx",
		    (unsigned long long)config->files[i].digest);
		json_begin_object(json, NULL);
		json_put_string(json, "file", config->files[i].name);
		json_put_string(json, "digest", digest);
		json_end_object(json);
	}
	json_end_array(json);
}

/* What no setting can say: the next start forgets it. */
static void
put_unsaved(struct json *json, struct load_table *load)
{
	char text[2 * CONFIG_NAME_MAX + 32];

	json_begin_array(json, "unsaved");
	for (uint32_t i = 0; i < load_table_servers(load); i++) {
		const struct server *s = load_table_server(load, i);

		if (!s->present || s->admin == SERVER_ENABLED)
			continue;
		snprintf(text, sizeof(text), "server %s/%s is %s",
		    load_table_service(load, s->service)->name, s->name,
		    server_admin_name(s->admin));
		json_put_string(json, NULL, text);
	}
	for (uint32_t i = 0; i < load_table_sites(load); i++) {
		const struct site *s = load_table_site(load, i);

		if (!s->present || !s->disabled)
			continue;
		snprintf(text, sizeof(text), "site %s is disabled", s->name);
		json_put_string(json, NULL, text);
	}
	json_end_array(json);
}

void
view_config(struct request *request)
{
	static const struct config_writer writer = {
	    put_begin, put_end, put_text, put_integer, put_real, put_boolean, put_none};
	struct json *json = &request->json;
	bool running = request->match.choice[0] == CHOICE_RUNNING;
	struct config *made = running ? running_config(request) : NULL;
	const struct config *config = running ? made : request->parts->config;
	char *text = running ? config_text_brief(config) : config_text(config);

	json_put_string(json, "file", config->file);
	put_files(json, config);
	put_unsaved(json, request->parts->load);
	json_begin_object(json, "config");
	config_walk(config, &writer, json);
	json_end_object(json);
	json_put_string(json, "text", text);
	free(text);
	config_free(made);
}
