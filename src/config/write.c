#include "config/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "config/keys.h"
#include "config/write_internal.h"

#define STATUSES_TEXT 80 /* octets that hold any statuses with their NUL */

/* Where the walk is. */
struct walk {
	const struct config_writer *writer;
	void *arg;
	const void *preset; /* what is as in this object is left out; NULL: nothing is */
};

static void walk_keys(const struct walk *w, const struct key *keys, const void *object);

static const void *
field_of(const struct key *key, const void *object)
{
	return (const char *)object + key->offset;
}

static const void *
second_of(const struct key *key, const void *object)
{
	return (const char *)object + key->second;
}

/* An empty text is how "no text" is written. */
static void
walk_text(const struct walk *w, const struct key *key, const void *object)
{
	const char *text = *(const char *const *)field_of(key, object);

	w->writer->text(w->arg, key->name, text != NULL ? text : "");
}

static void
walk_characters(const struct walk *w, const struct key *key, const void *object)
{
	w->writer->text(w->arg, key->name, field_of(key, object));
}

static void
walk_statuses(const struct walk *w, const struct key *key, const void *object)
{
	const struct statuses *s = field_of(key, object);
	char text[STATUSES_TEXT] = "";
	size_t len = 0;

	for (size_t i = 0; i < STATUSES_MAX && s->range[i].from != 0; i++) {
		unsigned from = s->range[i].from, to = s->range[i].to;

		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%s%u", i > 0 ? ", " : "", from);
		if (to != from)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "-%u", to);
	}
	w->writer->text(w->arg, key->name, text);
}

static void
walk_octets(const struct walk *w, const struct key *key, const void *object)
{
	char text[OCTETS_TEXT];

	w->writer->text(w->arg, key->name, octets_format(field_of(key, object), text));
}

static void
walk_question(const struct walk *w, const struct key *key, const void *object)
{
	char text[QUESTION_TEXT];

	w->writer->text(w->arg, key->name, question_format(field_of(key, object), text));
}

static void
walk_addr(const struct walk *w, const struct key *key, const void *object)
{
	const struct addr *addr = field_of(key, object);
	char text[ADDR_TEXT];

	if (addr->port == 0 && ip_is_zero(&addr->ip))
		w->writer->text(w->arg, key->name, "");
	else
		w->writer->text(w->arg, key->name, addr_format(addr, text));
}

static void
walk_bool(const struct walk *w, const struct key *key, const void *object)
{
	w->writer->boolean(w->arg, key->name, *(const bool *)field_of(key, object));
}

/* Numbers lie in fields of one, two or four octets. */
static uint64_t
number_of(const struct key *key, const void *object)
{
	uint32_t four = 0;
	uint16_t two = 0;
	uint8_t one = 0;

	switch (key->size) {
	case sizeof(one):
		memcpy(&one, field_of(key, object), sizeof(one));
		return one;
	case sizeof(two):
		memcpy(&two, field_of(key, object), sizeof(two));
		return two;
	default:
		memcpy(&four, field_of(key, object), sizeof(four));
		return four;
	}
}

/* A number outside of its range is the default of a setting that is not there. */
static void
walk_integer(const struct walk *w, const struct key *key, const void *object)
{
	uint64_t number = number_of(key, object);

	if ((double)number < key->min || (double)number > key->max)
		w->writer->none(w->arg, key->name);
	else
		w->writer->integer(w->arg, key->name, number);
}

static void
walk_real(const struct walk *w, const struct key *key, const void *object)
{
	double number = *(const double *)field_of(key, object);

	if (!(number >= key->min && number <= key->max))
		w->writer->none(w->arg, key->name);
	else
		w->writer->real(w->arg, key->name, number);
}

static void
walk_choice(const struct walk *w, const struct key *key, const void *object)
{
	uint64_t number = number_of(key, object);

	for (const struct key_choice *c = key->choices; c->name != NULL; c++) {
		if (c->value == number) {
			w->writer->text(w->arg, key->name, c->name);
			return;
		}
	}
	w->writer->none(w->arg, key->name);
}

static void
walk_ip(const struct walk *w, const char *name, const struct ip *ip)
{
	char text[ADDR_TEXT];

	w->writer->text(w->arg, name, ip_format(ip, text));
}

/* One address by itself, two as an array. */
static void
walk_ip_pair(const struct walk *w, const struct key *key, const void *object)
{
	const struct ip *v4 = field_of(key, object), *v6 = second_of(key, object);

	if (ip_is_zero(v4) && ip_is_zero(v6)) {
		w->writer->none(w->arg, key->name);
	} else if (ip_is_zero(v4) || ip_is_zero(v6)) {
		walk_ip(w, key->name, ip_is_zero(v4) ? v6 : v4);
	} else {
		w->writer->begin(w->arg, key->name, CONFIG_SHAPE_ARRAY);
		walk_ip(w, NULL, v4);
		walk_ip(w, NULL, v6);
		w->writer->end(w->arg, key->name, CONFIG_SHAPE_ARRAY);
	}
}

static void
walk_ips(const struct walk *w, const struct key *key, const void *object)
{
	const struct ip *ips = *(const struct ip *const *)field_of(key, object);
	size_t count = *(const size_t *)second_of(key, object);

	w->writer->begin(w->arg, key->name, CONFIG_SHAPE_ARRAY);
	for (size_t i = 0; i < count; i++)
		walk_ip(w, NULL, &ips[i]);
	w->writer->end(w->arg, key->name, CONFIG_SHAPE_ARRAY);
}

static void
walk_ports(const struct walk *w, const struct key *key, const void *object)
{
	const uint16_t *ports = *(const uint16_t *const *)field_of(key, object);
	size_t count = *(const size_t *)second_of(key, object);

	w->writer->begin(w->arg, key->name, CONFIG_SHAPE_ARRAY);
	for (size_t i = 0; i < count; i++)
		w->writer->integer(w->arg, NULL, ports[i]);
	w->writer->end(w->arg, key->name, CONFIG_SHAPE_ARRAY);
}

/* A choice by itself, names as an array. */
static void
walk_names(const struct walk *w, const struct key *key, const void *object)
{
	const char *text = *(const char *const *)field_of(key, object), *end;
	char name[CONFIG_NAME_MAX + 1];

	if (text[0] != ',') {
		w->writer->text(w->arg, key->name, text);
		return;
	}
	w->writer->begin(w->arg, key->name, CONFIG_SHAPE_ARRAY);
	for (text++; (end = strchr(text, ',')) != NULL; text = end + 1) {
		snprintf(name, sizeof(name), "%.*s", (int)(end - text), text);
		w->writer->text(w->arg, NULL, name);
	}
	w->writer->end(w->arg, key->name, CONFIG_SHAPE_ARRAY);
}

static void
walk_group(const struct walk *w, const struct key *key, const void *object)
{
	w->writer->begin(w->arg, key->name, CONFIG_SHAPE_GROUP);
	walk_keys(w, key->keys, object);
	w->writer->end(w->arg, key->name, CONFIG_SHAPE_GROUP);
}

static void
walk_groups(const struct walk *w, const struct key *key, const void *object)
{
	const char *array = *(const char *const *)field_of(key, object);
	size_t count = *(const size_t *)second_of(key, object);
	void *preset = w->preset != NULL ? xcalloc(1, key->element) : NULL;
	struct walk inner = {w->writer, w->arg, preset};

	if (preset != NULL)
		keys_preset(key->keys, preset);
	w->writer->begin(w->arg, key->name, CONFIG_SHAPE_LIST);
	for (size_t i = 0; i < count; i++) {
		w->writer->begin(w->arg, NULL, CONFIG_SHAPE_GROUP);
		walk_keys(&inner, key->keys, array + i * key->element);
		w->writer->end(w->arg, NULL, CONFIG_SHAPE_GROUP);
	}
	w->writer->end(w->arg, key->name, CONFIG_SHAPE_LIST);
	if (preset != NULL)
		keys_fini(key->keys, preset);
	free(preset);
}

/*
 * Whether a setting can be left out.  A type never is: what else is preset depends on it, and its own
 * preset on other settings.
 */
static bool
is_preset(const struct walk *w, const struct key *keys, const struct key *key, const void *object)
{
	if (w->preset == NULL || key->required || strcmp(key->name, "type") == 0)
		return false;
	if (key->type == KEY_GROUPS)
		return *(const size_t *)second_of(key, object) == 0;
	if (key->type != KEY_GROUP)
		return write_same(keys, key, object, w->preset);
	for (const struct key *inner = key->keys; inner->name != NULL; inner++)
		if (!is_preset(w, key->keys, inner, object))
			return false;
	return true;
}

/* What a check of another type would not read may not be written either (check.c). */
static bool
is_idle(const struct key *key, const struct key *keys, const void *object)
{
	const struct key *type = keys_find(keys, "type");

	return type != NULL && !key_is_read(key, (unsigned)number_of(type, object));
}

static void
walk_key(const struct walk *w, const struct key *keys, const struct key *key, const void *object)
{
	static void (*const walks[KEY_TYPES])(
	    const struct walk *, const struct key *, const void *) = {
	    [KEY_NAME] = walk_text,
	    [KEY_ACCOUNT] = walk_text,
	    [KEY_DEVICE] = walk_text,
	    [KEY_NAMES] = walk_names,
	    [KEY_PATH] = walk_text,
	    [KEY_FINGERPRINT] = walk_text,
	    [KEY_URL_PATH] = walk_characters,
	    [KEY_HOST] = walk_characters,
	    [KEY_STATUSES] = walk_statuses,
	    [KEY_FILE] = walk_characters,
	    [KEY_OCTETS] = walk_octets,
	    [KEY_QUESTION] = walk_question,
	    [KEY_ADDR] = walk_addr,
	    [KEY_BOOL] = walk_bool,
	    [KEY_INTEGER] = walk_integer,
	    [KEY_REAL] = walk_real,
	    [KEY_CHOICE] = walk_choice,
	    [KEY_IP_PAIR] = walk_ip_pair,
	    [KEY_IPS] = walk_ips,
	    [KEY_PORTS] = walk_ports,
	    [KEY_GROUP] = walk_group,
	    [KEY_GROUPS] = walk_groups,
	};

	if (is_idle(key, keys, object))
		w->writer->none(w->arg, key->name);
	else
		walks[key->type](w, key, object);
}

static void
walk_keys(const struct walk *w, const struct key *keys, const void *object)
{
	for (const struct key *key = keys; key->name != NULL; key++)
		if (!is_preset(w, keys, key, object))
			walk_key(w, keys, key, object);
}

void
write_setting(const struct config_writer *writer, void *arg, const struct key *keys,
    const struct key *key, const void *object)
{
	struct walk walk = {writer, arg, NULL};

	walk_key(&walk, keys, key, object);
}

void
config_walk(const struct config *config, const struct config_writer *writer, void *arg)
{
	struct walk walk = {writer, arg, NULL};

	walk_keys(&walk, keys_root, config);
}

void
config_walk_brief(const struct config *config, const struct config_writer *writer, void *arg)
{
	struct config *preset = xcalloc(1, sizeof(*preset));
	struct walk walk = {writer, arg, preset};

	keys_preset(keys_root, preset);
	walk_keys(&walk, keys_root, config);
	config_free(preset);
}
