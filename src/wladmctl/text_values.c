/*
 * text_values: values as short text, and as cells of a table.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wladmctl/text.h"

const char *
text_count(double value, char buf[TEXT_SHORT])
{
	static const char units[] = " kMGTPE";
	size_t unit = 0;

	while (value >= 9999.5 && unit + 2 < sizeof(units)) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(buf, TEXT_SHORT, "%.0f", value);
	else
		snprintf(buf, TEXT_SHORT, "%.*f%c", value < 99.95 ? 1 : 0, value, units[unit]);
	return buf;
}

const char *
text_seconds(double value, char buf[TEXT_SHORT])
{
	unsigned long long s = value > 0 ? (unsigned long long)value : 0;

	if (value < 10)
		snprintf(buf, TEXT_SHORT, "%.*fs", value == floor(value) ? 0 : 2, value);
	else if (s < 60)
		snprintf(buf, TEXT_SHORT, "%llus", s);
	else if (s < 3600)
		snprintf(buf, TEXT_SHORT, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, TEXT_SHORT, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, TEXT_SHORT, "%llud%02lluh", s / 86400, s / 3600 % 24);
	return buf;
}

const char *
text_percent(double value, char buf[TEXT_SHORT])
{
	snprintf(buf, TEXT_SHORT, "%.1f%%", value * 100);
	return buf;
}

const char *
text_ms(const json_t *object, const char *key, char buf[TEXT_SHORT])
{
	const json_t *value = json_object_get(object, key);

	snprintf(buf, TEXT_SHORT, "-");
	if (json_is_number(value))
		snprintf(buf, TEXT_SHORT, "%.1fms", json_number_value(value));
	return buf;
}

const char *
text_exact(const json_t *object, const char *key, char buf[TEXT_SHORT])
{
	const json_t *value = json_object_get(object, key);

	snprintf(buf, TEXT_SHORT, "-");
	if (json_is_number(value))
		snprintf(buf, TEXT_SHORT, "%.0f", json_number_value(value));
	return buf;
}

const char *
text_share(const json_t *object, const char *key, char buf[TEXT_SHORT])
{
	const json_t *value = json_object_get(object, key);

	snprintf(buf, TEXT_SHORT, "-");
	return json_is_number(value) ? text_percent(json_number_value(value), buf) : buf;
}

const char *
text_string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL ? value : "-";
}

double
text_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

bool
text_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void
text_cell_count(struct table *table, const json_t *object, const char *key)
{
	char buf[TEXT_SHORT];
	const json_t *value = json_object_get(object, key);

	table_cell(table, TABLE_PLAIN, "%s",
	    json_is_number(value) ? text_count(json_number_value(value), buf) : "-");
}

void
text_cell_exact(struct table *table, const json_t *object, const char *key)
{
	char buf[TEXT_SHORT];

	table_cell(table, TABLE_PLAIN, "%s", text_exact(object, key, buf));
}

void
text_cell_percent(struct table *table, const json_t *object, const char *key)
{
	char buf[TEXT_SHORT];

	table_cell(table, TABLE_PLAIN, "%s", text_share(object, key, buf));
}

void
text_cell_string(struct table *table, const json_t *object, const char *key)
{
	table_cell(table, TABLE_PLAIN, "%s", text_string(object, key));
}

/* What is worth a word only when something is not as it should be. */
void
text_cell_remark(struct table *table, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	table_cell(table, TABLE_BAD, "%s", json_is_string(value) ? json_string_value(value) : "");
}

enum table_colour
text_state_colour(const char *state)
{
	static const struct {
		const char *state;
		enum table_colour colour;
	} colours[] = {
	    {"up", TABLE_GOOD},
	    {"down", TABLE_BAD},
	    {"none", TABLE_BAD},
	    {"connecting", TABLE_WARN},
	    {"draining", TABLE_WARN},
	    {"disabled", TABLE_WARN},
	    {"opening", TABLE_WARN},
	    {"established", TABLE_GOOD},
	    {"alive", TABLE_GOOD},
	    {"lost", TABLE_BAD},
	    {"ok", TABLE_GOOD},
	    {"blocked", TABLE_WARN},
	};

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
		if (strcmp(colours[i].state, state) == 0)
			return colours[i].colour;
	return TABLE_PLAIN;
}

void
text_cell_state(struct table *table, const json_t *object, const char *key)
{
	const char *state = text_string(object, key);

	table_cell(table, text_state_colour(state), "%s", state);
}

void
text_cell_seconds(struct table *table, const json_t *object, const char *key, double unit)
{
	char buf[TEXT_SHORT];
	const json_t *value = json_object_get(object, key);

	table_cell(table, TABLE_PLAIN, "%s",
	    json_is_number(value) ? text_seconds(json_number_value(value) * unit, buf) : "-");
}

void
text_cell_up(struct table *table, const json_t *object)
{
	double up = text_number(object, "servers_up"), all = text_number(object, "servers");

	table_cell(table,
	    up >= all    ? TABLE_GOOD
		: up > 0 ? TABLE_WARN
			 : TABLE_BAD,
	    "%.0f/%.0f", up, all);
}
