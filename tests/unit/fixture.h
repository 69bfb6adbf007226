/*
 * fixture: a load table from a configuration text, for the unit tests of what decides.
 */
#ifndef WLAD_TESTS_FIXTURE_H
#define WLAD_TESTS_FIXTURE_H

#include <stdio.h>

#include "config/config.h"
#include "load/table.h"

/* Parses a configuration that must be right. */
static inline struct config *
fixture_config(const char *text)
{
	struct config_faults faults;
	struct config *config = config_parse(text, "fixture", &faults);

	for (size_t i = 0; i < faults.count; i++)
		print_error("%s\n", faults.text[i]);
	assert_non_null(config);
	config_faults_free(&faults);
	return config;
}

static inline struct load_table *
fixture_table(const char *text)
{
	struct config *config = fixture_config(text);
	struct load_table *table = load_table_new();

	load_table_apply(table, config, 1);
	config_free(config);
	return table;
}

static inline void
fixture_all_up(struct load_table *table)
{
	for (uint32_t i = 0; i < load_table_servers(table); i++)
		load_table_server_set_state(table, i, SERVER_UP, NULL, 1);
}

#define FIXTURE_PEER_KEYS \
	"load: { listen = \"192.0.2.1:7210\"; certificate = \"/a.crt\"; key = \"/a.key\";" \
	" ca = \"/ca.crt\"; };" \
	"transfer: { listen = \"192.0.2.1:7210\"; };"

#endif
