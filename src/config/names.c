#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/keys.h"

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	keys_fini(keys_root, config);
	for (size_t i = 0; i < config->files_count; i++)
		free(config->files[i].name);
	free(config->files);
	free(config->file);
	free(config);
}

void
config_faults_free(struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		free(faults->text[i]);
	free(faults->text);
	memset(faults, 0, sizeof(*faults));
}

/* Counts down to the wanted key and writes its path on the way back up. */
static bool
nth_key(const struct key *keys, size_t *number, const char *path, char buf[CONFIG_KEY_TEXT])
{
	char here[CONFIG_KEY_TEXT];

	for (; keys->name != NULL; keys++) {
		snprintf(
		    here, sizeof(here), "%s%s%s", path, *path != '\0' ? "." : "", keys->name);
		if ((*number)-- == 0) {
			memcpy(buf, here, sizeof(here));
			return true;
		}
		if (keys->keys != NULL && nth_key(keys->keys, number, here, buf))
			return true;
	}
	return false;
}

const char *
config_key(size_t number, char buf[CONFIG_KEY_TEXT])
{
	return nth_key(keys_root, &number, "", buf) ? buf : NULL;
}

static const char *
choice_name(const struct key *keys, const char *name, unsigned value)
{
	const struct key_choice *choice = keys_find(keys, name)->choices;

	for (; choice->name != NULL; choice++)
		if (choice->value == value)
			return choice->name;
	return "unknown";
}

bool
config_exchanges(const struct config *config)
{
	return config->role == CONFIG_ROLE_COORDINATOR || config->peers_count > 0 ||
	    config->load.coordinators_count > 0 || config->load.accept_unknown;
}

enum config_report
config_reports_to(const struct config *config, const char *site)
{
	const char *text = config->load.report_to;
	char name[CONFIG_NAME_MAX + 3];

	if (text[0] != ',')
		return strcmp(text, "all") == 0 ? CONFIG_REPORT_YES : CONFIG_REPORT_SENDERS;
	snprintf(name, sizeof(name), ",%s,", site);
	return strstr(text, name) != NULL ? CONFIG_REPORT_YES : CONFIG_REPORT_NO;
}

const char *
config_scheduler_name(enum config_scheduler scheduler)
{
	return choice_name(keys_find(keys_root, "services")->keys, "scheduler", scheduler);
}

const char *
config_prefer_name(enum config_prefer prefer)
{
	return choice_name(keys_find(keys_root, "services")->keys, "prefer", prefer);
}

const char *
config_site_metric_name(enum config_site_metric metric)
{
	return choice_name(keys_find(keys_root, "services")->keys, "site_metric", metric);
}

const char *
config_client_address_name(enum config_client_address client_address)
{
	return choice_name(
	    keys_find(keys_root, "services")->keys, "client_address", client_address);
}

const char *
config_reply_name(enum config_reply reply)
{
	return choice_name(keys_find(keys_root, "peers")->keys, "reply", reply);
}
