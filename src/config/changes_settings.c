/*
 * changes_settings: a server's settings one by one, as the tables of keys.c have them: a new one
 * needs nothing here unless it is of another kind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/xalloc.h"
#include "config/changes.h"
#include "config/changes_internal.h"

#define NUMBER_DIGITS 10 /* of the largest number that a setting can be */

const struct key *
server_settings(void)
{
	return keys_find(keys_find(keys_root, "services")->keys, "servers")->keys;
}

const char *
config_server_setting(unsigned number)
{
	const struct key *keys = server_settings();

	for (; keys->name != NULL; keys++)
		if (number-- == 0)
			return keys->name;
	return NULL;
}

uint32_t
server_settings_all(void)
{
	uint32_t all = 0;

	for (unsigned i = 0; config_server_setting(i) != NULL; i++)
		all |= (uint32_t)1 << i;
	return all;
}

/* Of a field that is held by value. */
static void
put_value(const struct key *key, struct config_server *to, const struct config_server *from)
{
	memcpy((char *)to + key->offset, (const char *)from + key->offset, key->size);
	if (key->type == KEY_IP_PAIR)
		memcpy((char *)to + key->second, (const char *)from + key->second, key->size);
}

void
server_settings_put(struct config_server *to, const struct config_server *from, uint32_t settings)
{
	const struct key *keys = server_settings();

	for (unsigned i = 1; keys[i].name != NULL; i++)
		if ((settings & (uint32_t)1 << i) != 0)
			put_value(&keys[i], to, from);
}

static bool
same_value(const struct key *key, const struct config_server *a, const struct config_server *b)
{
	return memcmp((const char *)a + key->offset, (const char *)b + key->offset, key->size) ==
	    0 &&
	    (key->type != KEY_IP_PAIR ||
		memcmp((const char *)a + key->second, (const char *)b + key->second,
		    key->size) == 0);
}

uint32_t
server_settings_differ(const struct config_server *a, const struct config_server *b)
{
	const struct key *keys = server_settings();
	uint32_t differ = 0;

	for (unsigned i = 1; keys[i].name != NULL; i++)
		if (!same_value(&keys[i], a, b))
			differ |= (uint32_t)1 << i;
	return differ;
}

bool
config_is_name(const char *text)
{
	return key_is_name(text);
}

struct config *
config_copy(const struct config *config)
{
	struct config *copy = xcalloc(1, sizeof(*copy));

	*copy = *config;
	keys_own(keys_root, copy);
	copy->file = xstrdup(config->file);
	copy->files = xcalloc(config->files_count + 1, sizeof(*copy->files));
	for (size_t i = 0; i < config->files_count; i++) {
		copy->files[i] = config->files[i];
		copy->files[i].name = xstrdup(config->files[i].name);
	}
	return copy;
}

void
config_edit_init(
    struct config_edit *edit, enum config_edit_kind kind, const char *service, const char *name)
{
	memset(edit, 0, sizeof(*edit));
	edit->kind = kind;
	edit->service = service;
	edit->name = name;
	keys_preset(server_settings(), &edit->server);
}

/* ---- from text ---- */

/* One address of a list, as a file may say it. */
static int
take_ip(const struct key *key, struct config_server *server, const char *text)
{
	struct ip ip;
	void *field;

	if (ip_parse(text, &ip) == -1 || ip_is_zero(&ip) ||
	    (ip_is_v4(&ip) && strchr(text, ':') != NULL))
		return -1;
	field = (char *)server + (ip_is_v4(&ip) ? key->offset : key->second);
	if (!ip_is_zero(field))
		return -1;
	memcpy(field, &ip, sizeof(ip));
	return 0;
}

static int
take_ips(const struct key *key, struct config_server *server, const char *text)
{
	char *copy = xstrdup(text), *next = copy, *one;
	int result = 0;

	memset((char *)server + key->offset, 0, sizeof(struct ip));
	memset((char *)server + key->second, 0, sizeof(struct ip));
	while (result == 0 && (one = strsep(&next, ",")) != NULL)
		result = take_ip(key, server, one);
	free(copy);
	return result;
}

static int
take_number(const struct key *key, struct config_server *server, const char *text)
{
	size_t len = strlen(text);
	unsigned long long number;

	if (len == 0 || len > NUMBER_DIGITS || strspn(text, "0123456789") != len)
		return -1;
	number = strtoull(text, NULL, 10);
	if ((double)number < key->min || (double)number > key->max)
		return -1;
	key_store(key, server, number);
	return 0;
}

static int
take_bool(const struct key *key, struct config_server *server, const char *text)
{
	bool yes = strcmp(text, "true") == 0;

	if (!yes && strcmp(text, "false") != 0)
		return -1;
	*(bool *)((char *)server + key->offset) = yes;
	return 0;
}

/* A port of 0 is not written in a file: it is none. */
static int
take(const struct key *key, struct config_server *server, const char *text)
{
	if (key->type == KEY_IP_PAIR)
		return take_ips(key, server, text);
	if (key->type == KEY_BOOL)
		return take_bool(key, server, text);
	if (key->type != KEY_INTEGER)
		return -1;
	if (strcmp(key->name, "port") == 0 && strcmp(text, "client") == 0) {
		key_store(key, server, 0);
		return 0;
	}
	return take_number(key, server, text);
}

/* What a setting has to be, in a command. */
static const char *
wants(const struct key *key, char buf[KEY_WANTS])
{
	if (key->type != KEY_IP_PAIR)
		return key_wants(key, buf);
	snprintf(buf, KEY_WANTS,
	    "an IPv4 or IPv6 address, or one of each with a comma between them");
	return buf;
}

int
config_edit_take(struct config_edit *edit, const char *setting, const char *text, char *error,
    size_t error_size)
{
	const struct key *keys = server_settings();
	char name[CONFIG_KEY_TEXT], buf[KEY_WANTS];
	unsigned i = 1;

	snprintf(name, sizeof(name), "%s", setting);
	for (char *c = name; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
	while (keys[i].name != NULL && strcmp(keys[i].name, name) != 0)
		i++;
	if (keys[i].name == NULL) {
		snprintf(error, error_size, "a server has no setting \"%.64s\"", setting);
		return -1;
	}
	if (edit->kind == CONFIG_EDIT_SET && strcmp(text, "reset") == 0) {
		edit->reset |= (uint32_t)1 << i;
		return 0;
	}
	if (take(&keys[i], &edit->server, text) == -1) {
		snprintf(error, error_size, "%s must be %s, not \"%.64s\"", setting,
		    wants(&keys[i], buf), text);
		return -1;
	}
	edit->set |= (uint32_t)1 << i;
	return 0;
}
