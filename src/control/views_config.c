/*
 * views_config: the configuration in force, as JSON and as a file that wlad would take.
 */
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

void
view_config(struct request *request)
{
	static const struct config_writer writer = {
	    put_begin, put_end, put_text, put_integer, put_real, put_boolean, put_none};
	struct json *json = &request->json;
	const struct config *config = request->parts->config;
	char *text = config_text(config);

	json_put_string(json, "file", config->file);
	json_begin_object(json, "config");
	config_walk(config, &writer, json);
	json_end_object(json);
	json_put_string(json, "text", text);
	free(text);
}
