#include "config/config.h"

#include <netinet/in.h>

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "base/xalloc.h"
#include "config/check.h"
#include "config/keys.h"
#include "config/report.h"
#include "config/source.h"

/* A setting on its way into a field. */
struct value {
	struct report *report;
	const struct key *key;
	const config_setting_t *setting;
	const char *path; /* "services[0].check.rise" */
	void *object;     /* the struct that holds the field */
};

static void read_group(struct report *report, const struct key *keys,
    const config_setting_t *group, const char *path, void *object);

#define FOUND 80 /* octets that hold any found() text */

static const char *
text_of(const config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);

	return text != NULL ? text : "";
}

static bool
is_integer(const config_setting_t *setting)
{
	int type = config_setting_type(setting);

	return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

/*
 * libconfig 1.5 cuts integers to 32 bits without a word: 0x1000000050 is 80.  Decimal ones
 * are kept from that by source.c, which makes them 64 bits wide; others are refused.
 */
static bool
is_decimal(const config_setting_t *setting)
{
	return is_integer(setting) && config_setting_get_format(setting) == CONFIG_FORMAT_DEFAULT;
}

/* What the file says, for the reader of a fault. */
static const char *
found(const config_setting_t *setting, char buf[FOUND])
{
	const char *text;
	size_t n = 0;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		if (!is_decimal(setting))
			return "a number that is not written in decimal";
		snprintf(buf, FOUND, "%lld", config_setting_get_int64(setting));
		return buf;
	case CONFIG_TYPE_FLOAT:
		snprintf(buf, FOUND, "%g", config_setting_get_float(setting));
		if (strspn(buf, "-0123456789") == strlen(buf))
			strcat(buf, ".0");
		return buf;
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(setting) ? "true" : "false";
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	}
	text = text_of(setting);
	buf[n++] = '"';
	for (; *text != '\0' && n <= 64; text++)
		buf[n++] = (unsigned char)*text < ' ' || *text == 127 ? '.' : *text;
	snprintf(buf + n, FOUND - n, "%s", *text != '\0' ? "...\"" : "\"");
	return buf;
}

static void
wrong(const struct value *v, const config_setting_t *setting, const char *path)
{
	char wants[KEY_WANTS], is[FOUND];

	report_line(v->report, config_setting_source_line(setting), path,
	    "must be %s, but is %s", key_wants(v->key, wants), found(setting, is));
}

static void *
field_of(const struct value *v)
{
	return (char *)v->object + v->key->offset;
}

static void *
second_of(const struct value *v)
{
	return (char *)v->object + v->key->second;
}

/* Each reader takes the value in, or says what is wrong and returns false. */

static bool
read_text(const struct value *v)
{
	if (config_setting_type(v->setting) == CONFIG_TYPE_STRING &&
	    key_take_text(v->key, v->object, text_of(v->setting)) == 0)
		return true;
	wrong(v, v->setting, v->path);
	return false;
}

static bool
read_bool(const struct value *v)
{
	if (config_setting_type(v->setting) != CONFIG_TYPE_BOOL) {
		wrong(v, v->setting, v->path);
		return false;
	}
	*(bool *)field_of(v) = config_setting_get_bool(v->setting) != 0;
	return true;
}

static bool
read_integer(const struct value *v)
{
	long long number = config_setting_get_int64(v->setting);

	if (!is_decimal(v->setting) || (double)number < v->key->min ||
	    (double)number > v->key->max) {
		wrong(v, v->setting, v->path);
		return false;
	}
	key_store(v->key, v->object, (uint64_t)number);
	return true;
}

static bool
read_real(const struct value *v)
{
	bool real = config_setting_type(v->setting) == CONFIG_TYPE_FLOAT;
	double number = real ? config_setting_get_float(v->setting)
			     : (double)config_setting_get_int64(v->setting);

	/* written so that NaN fails */
	if ((!real && !is_decimal(v->setting)) ||
	    !(number >= v->key->min && number <= v->key->max)) {
		wrong(v, v->setting, v->path);
		return false;
	}
	*(double *)field_of(v) = number;
	return true;
}

static bool
is_sequence(const config_setting_t *setting)
{
	return config_setting_is_array(setting) || config_setting_is_list(setting);
}

/* ip_parse without what would hide the family (::ffff:192.0.2.1) or be no address (::). */
static int
parse_ip(const config_setting_t *setting, struct ip *ip)
{
	if (config_setting_type(setting) != CONFIG_TYPE_STRING ||
	    ip_parse(text_of(setting), ip) == -1 || ip_is_zero(ip))
		return -1;
	return ip_is_v4(ip) && strchr(text_of(setting), ':') != NULL ? -1 : 0;
}

static bool
read_ip_of_pair(const struct value *v, const config_setting_t *setting, const char *path)
{
	struct ip ip, *field;
	bool v4;

	if (parse_ip(setting, &ip) == -1) {
		wrong(v, setting, path);
		return false;
	}
	v4 = ip_is_v4(&ip);
	field = v4 ? field_of(v) : second_of(v);
	if (!ip_is_zero(field)) {
		report_line(v->report, config_setting_source_line(setting), path,
		    "is a second %s address: there can be one of each family",
		    v4 ? "IPv4" : "IPv6");
		return false;
	}
	*field = ip;
	report_mark(v->report, field, config_setting_source_line(setting), path, false);
	return true;
}

static bool
read_ip_pair(const struct value *v)
{
	bool good = true;
	int length;

	if (!is_sequence(v->setting))
		return read_ip_of_pair(v, v->setting, v->path);
	length = config_setting_length(v->setting);
	if (length == 0) {
		report_line(v->report, config_setting_source_line(v->setting), v->path,
		    "must hold at least one address");
		return false;
	}
	for (int i = 0; i < length; i++) {
		char *path = xasprintf("%s[%d]", v->path, i);

		if (!read_ip_of_pair(v, config_setting_get_elem(v->setting, (unsigned)i), path))
			good = false;
		free(path);
	}
	return good;
}

static bool
read_ips(const struct value *v)
{
	size_t *count = second_of(v);
	struct ip *ips;
	bool good = true;
	int length;

	if (!is_sequence(v->setting)) {
		wrong(v, v->setting, v->path);
		return false;
	}
	length = config_setting_length(v->setting);
	if (length == 0)
		return true;
	ips = xcalloc((size_t)length, sizeof(*ips));
	for (int i = 0; i < length; i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		unsigned line = config_setting_source_line(e);
		char *path = xasprintf("%s[%d]", v->path, i), is[FOUND];

		if (parse_ip(e, &ips[*count]) == 0) {
			report_mark(v->report, &ips[*count], line, path, false);
			(*count)++;
		} else {
			report_line(v->report, line, path,
			    "must be an IPv4 or IPv6 address, but is %s", found(e, is));
			good = false;
		}
		free(path);
	}
	*(struct ip **)field_of(v) = ips;
	return good;
}

static int
compare_ports(const void *a, const void *b)
{
	const uint16_t *x = a, *y = b;

	return *x - *y;
}

static bool
read_ports(const struct value *v)
{
	size_t *count = second_of(v);
	uint16_t *ports;
	bool good = true;
	int length = is_sequence(v->setting) ? config_setting_length(v->setting) : 0;

	if (length == 0) {
		wrong(v, v->setting, v->path);
		return false;
	}
	ports = xcalloc((size_t)length, sizeof(*ports));
	for (int i = 0; i < length; i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		long long port = config_setting_get_int64(e);
		char *path = xasprintf("%s[%d]", v->path, i), is[FOUND];

		if (is_decimal(e) && port >= 1 && port <= 65535)
			ports[(*count)++] = (uint16_t)port;
		else {
			report_line(v->report, config_setting_source_line(e), path,
			    "must be a port from 1 to 65535, but is %s", found(e, is));
			good = false;
		}
		free(path);
	}
	qsort(ports, *count, sizeof(*ports), compare_ports);
	*(uint16_t **)field_of(v) = ports;
	return good;
}

/* One of the choices, or a list: ",one,another,". */
static bool
read_names(const struct value *v)
{
	bool good = true;
	char **field = field_of(v);

	if (!is_sequence(v->setting))
		return read_text(v);
	free(*field);
	*field = xstrdup(",");
	for (int i = 0; i < config_setting_length(v->setting); i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		char *path = xasprintf("%s[%d]", v->path, i), *joined, is[FOUND];

		if (config_setting_type(e) == CONFIG_TYPE_STRING && key_is_name(text_of(e))) {
			joined = xasprintf("%s%s,", *field, text_of(e));
			free(*field);
			*field = joined;
		} else {
			report_line(v->report, config_setting_source_line(e), path,
			    "must be the name of a site, but is %s", found(e, is));
			good = false;
		}
		free(path);
	}
	return good;
}

static bool
read_inner_group(const struct value *v)
{
	if (!config_setting_is_group(v->setting)) {
		wrong(v, v->setting, v->path);
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
	size_t *count = second_of(v);
	int length = config_setting_length(v->setting);
	bool good = true;
	char *array;

	/* [ ] is an empty list of anything */
	if (!config_setting_is_list(v->setting) &&
	    !(config_setting_is_array(v->setting) && length == 0)) {
		wrong(v, v->setting, v->path);
		return false;
	}
	if (length == 0)
		return true;
	array = xcalloc((size_t)length, v->key->element);
	*(void **)field_of(v) = array;
	for (int i = 0; i < length; i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		char *path = xasprintf("%s[%d]", v->path, i), is[FOUND];

		if (config_setting_is_group(e))
			read_element(v, e, path, array + (*count)++ * v->key->element);
		else {
			report_line(v->report, config_setting_source_line(e), path,
			    "must be a group { }, but is %s", found(e, is));
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
			report_mark(report, field_of(&v), config_setting_source_line(setting),
			    path, !good);
	}
	free(path);
}

static void
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

static void
syntax_fault(struct report *report, const config_t *tree)
{
	char near[64];
	unsigned line = (unsigned)config_error_line(tree), seen = line;
	const char *error = config_error_text(tree);

	source_quote(report->source, &line, near, sizeof(near));
	report_line(report, line, NULL, "%s %s '%s'", error != NULL ? error : "syntax error",
	    line == seen ? "at or just before" : "after", near);
}

/* Not every service with the protocol UDP listens on TCP as well, but its host answers echo. */
static void
preset_checks(struct config *config, struct report *report)
{
	for (size_t i = 0; i < config->services_count; i++) {
		struct config_service *service = &config->services[i];

		if (service->protocol == IPPROTO_UDP && !report_set(report, &service->check.type))
			service->check.type = CONFIG_CHECK_ICMP;
	}
}

static struct config *
build(const struct source *source, const char *file, struct report *report)
{
	struct config *config;
	config_t tree;

	config_init(&tree);
	if (config_read_string(&tree, source->text) != CONFIG_TRUE) {
		syntax_fault(report, &tree);
		config_destroy(&tree);
		return NULL;
	}
	config = xcalloc(1, sizeof(*config));
	config->file = xstrdup(file);
	keys_preset(keys_root, config);
	read_group(report, keys_root, config_root_setting(&tree), "", config);
	config_destroy(&tree);
	preset_checks(config, report);
	check_config(config, report);
	return config;
}

uint64_t
config_digest(const void *text, size_t len)
{
	static const struct siphash_key key = {{0}};

	return siphash13(&key, text, len);
}

static void
note_files(struct config *config, const struct source *source)
{
	config->files = xcalloc(source->files_count, sizeof(*config->files));
	config->files_count = source->files_count;
	for (size_t i = 0; i < source->files_count; i++) {
		const struct source_file *file = &source->files[i];

		config->files[i].name = xstrdup(file->name);
		config->files[i].digest = config_digest(file->text, strlen(file->text));
	}
}

static struct config *
load(const char *file, const char *text, struct config_faults *faults)
{
	struct config *config = NULL;
	struct source source = {0};
	struct report report;
	int result;

	memset(faults, 0, sizeof(*faults));
	report_init(&report, &source);
	if (text == NULL)
		result = source_read_file(&source, file, &report);
	else
		result = source_read_text(&source, text, file, &report);
	if (result == 0)
		config = build(&source, file, &report);
	if (config != NULL)
		note_files(config, &source);
	report_finish(&report, faults);
	source_fini(&source);
	if (faults->count > 0) {
		config_free(config);
		return NULL;
	}
	return config;
}

struct config *
config_load(const char *file, struct config_faults *faults)
{
	return load(file, NULL, faults);
}

struct config *
config_parse(const char *text, const char *name, struct config_faults *faults)
{
	return load(name, text, faults);
}
