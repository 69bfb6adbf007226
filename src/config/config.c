#include "config/config.h"

#include <netinet/in.h>

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "base/xalloc.h"
#include "config/check.h"
#include "config/keys.h"
#include "config/read.h"
#include "config/report.h"
#include "config/source.h"

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
