#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "config/read_internal.h"

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

const char *
read_found(const config_setting_t *setting, char buf[READ_FOUND])
{
	const char *text;
	size_t n = 0;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		if (!is_decimal(setting))
			return "a number that is not written in decimal";
		snprintf(buf, READ_FOUND, "%lld", config_setting_get_int64(setting));
		return buf;
	case CONFIG_TYPE_FLOAT:
		snprintf(buf, READ_FOUND, "%g", config_setting_get_float(setting));
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
	snprintf(buf + n, READ_FOUND - n, "%s", *text != '\0' ? "...\"" : "\"");
	return buf;
}

void
read_wrong(const struct value *v, const config_setting_t *setting, const char *path)
{
	char wants[KEY_WANTS], is[READ_FOUND];

	report_line(v->report, config_setting_source_line(setting), path,
	    "must be %s, but is %s", key_wants(v->key, wants), read_found(setting, is));
}

void *
read_field(const struct value *v)
{
	return (char *)v->object + v->key->offset;
}

void *
read_second(const struct value *v)
{
	return (char *)v->object + v->key->second;
}

bool
read_text(const struct value *v)
{
	if (config_setting_type(v->setting) == CONFIG_TYPE_STRING &&
	    key_take_text(v->key, v->object, text_of(v->setting)) == 0)
		return true;
	read_wrong(v, v->setting, v->path);
	return false;
}

bool
read_bool(const struct value *v)
{
	if (config_setting_type(v->setting) != CONFIG_TYPE_BOOL) {
		read_wrong(v, v->setting, v->path);
		return false;
	}
	*(bool *)read_field(v) = config_setting_get_bool(v->setting) != 0;
	return true;
}

bool
read_integer(const struct value *v)
{
	long long number = config_setting_get_int64(v->setting);

	if (!is_decimal(v->setting) || (double)number < v->key->min ||
	    (double)number > v->key->max) {
		read_wrong(v, v->setting, v->path);
		return false;
	}
	key_store(v->key, v->object, (uint64_t)number);
	return true;
}

bool
read_real(const struct value *v)
{
	bool real = config_setting_type(v->setting) == CONFIG_TYPE_FLOAT;
	double number = real ? config_setting_get_float(v->setting)
			     : (double)config_setting_get_int64(v->setting);

	/* written so that NaN fails */
	if ((!real && !is_decimal(v->setting)) ||
	    !(number >= v->key->min && number <= v->key->max)) {
		read_wrong(v, v->setting, v->path);
		return false;
	}
	*(double *)read_field(v) = number;
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
		read_wrong(v, setting, path);
		return false;
	}
	v4 = ip_is_v4(&ip);
	field = v4 ? read_field(v) : read_second(v);
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

bool
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

bool
read_ips(const struct value *v)
{
	size_t *count = read_second(v);
	struct ip *ips;
	bool good = true;
	int length;

	if (!is_sequence(v->setting)) {
		read_wrong(v, v->setting, v->path);
		return false;
	}
	length = config_setting_length(v->setting);
	if (length == 0)
		return true;
	ips = xcalloc((size_t)length, sizeof(*ips));
	for (int i = 0; i < length; i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		unsigned line = config_setting_source_line(e);
		char *path = xasprintf("%s[%d]", v->path, i), is[READ_FOUND];

		if (parse_ip(e, &ips[*count]) == 0) {
			report_mark(v->report, &ips[*count], line, path, false);
			(*count)++;
		} else {
			report_line(v->report, line, path,
			    "must be an IPv4 or IPv6 address, but is %s", read_found(e, is));
			good = false;
		}
		free(path);
	}
	*(struct ip **)read_field(v) = ips;
	return good;
}

static int
compare_ports(const void *a, const void *b)
{
	const uint16_t *x = a, *y = b;

	return *x - *y;
}

bool
read_ports(const struct value *v)
{
	size_t *count = read_second(v);
	uint16_t *ports;
	bool good = true;
	int length = is_sequence(v->setting) ? config_setting_length(v->setting) : 0;

	if (length == 0) {
		read_wrong(v, v->setting, v->path);
		return false;
	}
	ports = xcalloc((size_t)length, sizeof(*ports));
	for (int i = 0; i < length; i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		long long port = config_setting_get_int64(e);
		char *path = xasprintf("%s[%d]", v->path, i), is[READ_FOUND];

		if (is_decimal(e) && port >= 1 && port <= 65535)
			ports[(*count)++] = (uint16_t)port;
		else {
			report_line(v->report, config_setting_source_line(e), path,
			    "must be a port from 1 to 65535, but is %s", read_found(e, is));
			good = false;
		}
		free(path);
	}
	qsort(ports, *count, sizeof(*ports), compare_ports);
	*(uint16_t **)read_field(v) = ports;
	return good;
}

/* One of the choices, or a list: ",one,another,". */
bool
read_names(const struct value *v)
{
	bool good = true;
	char **field = read_field(v);

	if (!is_sequence(v->setting))
		return read_text(v);
	free(*field);
	*field = xstrdup(",");
	for (int i = 0; i < config_setting_length(v->setting); i++) {
		const config_setting_t *e = config_setting_get_elem(v->setting, (unsigned)i);
		char *path = xasprintf("%s[%d]", v->path, i), *joined, is[READ_FOUND];

		if (config_setting_type(e) == CONFIG_TYPE_STRING && key_is_name(text_of(e))) {
			joined = xasprintf("%s%s,", *field, text_of(e));
			free(*field);
			*field = joined;
		} else {
			report_line(v->report, config_setting_source_line(e), path,
			    "must be the name of a site, but is %s", read_found(e, is));
			good = false;
		}
		free(path);
	}
	return good;
}
