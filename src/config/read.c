#include "config/read.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "config/read_internal.h"

static bool
read_inner_group(const struct value *v)
{
	if (!config_setting_is_group(v->setting)) {
		read_wrong(v, v->setting, v->path);
		return false;
	}
	read_group(v->report, v->key->keys, v->setting, v->path, v->object);
	return true;
}

/* One element of a list of groups into its struct. */
static void
read_element(const struct value *v, const config_setting_t *group, const char *path, void *object)
{
	unsigned *line = (unsigned *)((char *)object + v->key->line);

	keys_preset(v->key->keys, object);
	*line = report_file_line(v->report, config_setting_source_line(group));
	report_mark(v->report, line, config_setting_source_line(group), path, false);
	read_group(v->report, v->key->keys, group, path, object);
}

static bool
read_groups(const struct value *v)
{
	size_t *count = read_second(v);
	int length = config_setting_length(v->setting);
	bool good = true;
	char *array;

	/* [ ] is an empty list of anything */
	if (!config_setting_is_list(v->setting) &&
	    !(config_setting_is_array(v->setting) && length == 0)) {
		read_wrong(v, v->setting, v->path);
		return false;
	}
	if (length == 0)
		return true;
	array = xcalloc((size_t)length, v->key->element);
	*(void **)read_field(v) = array;
	for (int i = 0; i < length; i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		char *path = xasprintf("%s[%d]", v->path, i), is[READ_FOUND];

		if (config_setting_is_group(e))
			read_element(v, e, path, array + (*count)++ * v->key->element);
		else {
			report_line(v->report, config_setting_source_line(e), path,
			    "must be a group { }, but is %s", read_found(e, is));
			good = false;
		}
		free(path);
	}
	return good;
}

static bool
read_value(const struct value *v)
{
	static bool (*const readers[KEY_TYPES])(const struct value *) = {
	    [KEY_NAME] = read_text,
	    [KEY_ACCOUNT] = read_text,
	    [KEY_DEVICE] = read_text,
	    [KEY_NAMES] = read_names,
	    [KEY_PATH] = read_text,
	    [KEY_FINGERPRINT] = read_text,
	    [KEY_URL_PATH] = read_text,
	    [KEY_HOST] = read_text,
	    [KEY_STATUSES] = read_text,
	    [KEY_FILE] = read_text,
	    [KEY_OCTETS] = read_text,
	    [KEY_QUESTION] = read_text,
	    [KEY_ADDR] = read_text,
	    [KEY_BOOL] = read_bool,
	    [KEY_INTEGER] = read_integer,
	    [KEY_REAL] = read_real,
	    [KEY_CHOICE] = read_text,
	    [KEY_IP_PAIR] = read_ip_pair,
	    [KEY_IPS] = read_ips,
	    [KEY_PORTS] = read_ports,
	    [KEY_GROUP] = read_inner_group,
	    [KEY_GROUPS] = read_groups,
	};

	return readers[v->key->type](v);
}

static char *
join(const char *path, const char *name)
{
	return *path != '\0' ? xasprintf("%s.%s", path, name) : xstrdup(name);
}

static void
unknown(struct report *report, const struct key *keys, const config_setting_t *setting,
    const char *path)
{
	const char *name = config_setting_name(setting);
	const char *nearest = keys_nearest(keys, name);
	unsigned line = config_setting_source_line(setting);

	if (nearest != NULL)
		report_line(
		    report, line, path, "unknown key '%s'; did you mean '%s'?", name, nearest);
	else
		report_line(report, line, path, "unknown key '%s'; see wlad.conf(5)", name);
}

static void
read_member(struct report *report, const struct key *keys, const config_setting_t *setting,
    const char *group_path, void *object)
{
	const struct key *key = keys_find(keys, config_setting_name(setting));
	char *path = join(group_path, config_setting_name(setting));
	struct value v = {
	    .report = report, .key = key, .setting = setting, .path = path, .object = object};

	if (key == NULL)
		unknown(report, keys, setting, path);
	else {
		bool good = read_value(&v);

		/* a pair is marked address by address, a group member by member */
		if (key->type != KEY_GROUP && key->type != KEY_IP_PAIR)
			report_mark(report, read_field(&v), config_setting_source_line(setting),
			    path, !good);
	}
	free(path);
}

void
read_group(struct report *report, const struct key *keys, const config_setting_t *group,
    const char *path, void *object)
{
	int length = config_setting_length(group);

	for (int i = 0; i < length; i++)
		read_member(
		    report, keys, config_setting_get_elem(group, (unsigned)i), path, object);
	for (const struct key *key = keys; key->name != NULL; key++) {
		char *full;

		if (!key->required || config_setting_get_member(group, key->name) != NULL)
			continue;
		full = join(path, key->name);
		report_line(report, config_setting_source_line(group), full, "is missing");
		report_mark(report, (char *)object + key->offset, 0, full, true);
		free(full);
	}
}
