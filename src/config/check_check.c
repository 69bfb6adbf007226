/*
 * check_check: what a service's check needs, and what it would not read.
 */
#include <stdio.h>

#include "config/check.h"
#include "config/keys.h"

#define INTERVAL_MIN 0.05 /* interval's own lower bound; 0 is another word for it */
#define TYPES_TEXT   128  /* octets that hold the names of all types, quoted */

/* "http" or "https": the types that read a key, in the order of the choices. */
static const char *
types_text(const struct key *type, const struct key *key, char buf[TYPES_TEXT])
{
	const char *names[CONFIG_CHECK_TYPES];
	size_t count = 0, at = 0;

	for (const struct key_choice *c = type->choices; c->name != NULL; c++)
		if (key_is_read(key, c->value))
			names[count++] = c->name;
	for (size_t i = 0; i < count; i++) {
		const char *glue = i == 0 ? "" : i + 1 == count ? " or " : ", ";

		at += (size_t)snprintf(buf + at, TYPES_TEXT - at, "%s\"%s\"", glue, names[i]);
	}
	return buf;
}

/* What a check of another type reads would be silently without effect. */
static void
check_unread(const struct config_service *service, struct report *report)
{
	const struct key *keys = keys_of_check(), *type = keys_find(keys, "type");
	char text[TYPES_TEXT];

	for (const struct key *key = keys; key->name != NULL; key++) {
		const void *field = (const char *)service + key->offset;

		if (!key_is_read(key, service->check.type) && report_set(report, field))
			report_field(report, field, "is for checks of the type %s only",
			    types_text(type, key, text));
	}
}

static void
need(const struct config_check *check, const void *field, bool set, size_t number,
    const char *name, struct report *report)
{
	char path[64];

	if (set || report_bad(report, field))
		return;
	snprintf(path, sizeof(path), "services[%zu].check.%s", number, name);
	report_missing(report, &check->type, path, "must be set for a check of the type \"%s\"",
	    check->type == CONFIG_CHECK_UDP ? "udp" : "script");
}

void
check_service_check(const struct config *config, size_t number, struct report *report)
{
	const struct config_service *service = &config->services[number];
	const struct config_check *check = &service->check;

	if (check->interval_down > 0 && check->interval_down < INTERVAL_MIN)
		report_field(report, &check->interval_down,
		    "must be 0 or a number from 0.05 to 3600, but is %g", check->interval_down);
	if (report_bad(report, &check->type))
		return;
	check_unread(service, report);
	if (check->type == CONFIG_CHECK_UDP)
		need(check, &check->send, check->send.len > 0, number, "send", report);
	if (check->type == CONFIG_CHECK_SCRIPT)
		need(check, check->command, check->command[0] != '\0', number, "command", report);
}
