/*
 * files: whether what checks name can be read and run.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "health/health.h"
#include "health/tls_client.h"

/* Who asks may be root now and nobody later: then the check says so. */
static int
check_command(const char *command, char *error, size_t size)
{
	struct stat st;

	if (stat(command, &st) == -1 || access(command, X_OK) == -1)
		snprintf(error, size, "%s: %s", command, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(error, size, "%s: not a file", command);
	else
		return 0;
	return -1;
}

int
health_files(const struct config *config, char *error, size_t error_size)
{
	char sentence[512];

	for (size_t i = 0; i < config->services_count; i++) {
		const struct config_check *check = &config->services[i].check;
		const char *key = NULL;

		if (check->ca[0] != '\0' &&
		    tls_context_check(check->ca, sentence, sizeof(sentence)) == -1)
			key = "ca";
		else if (check->type == CONFIG_CHECK_SCRIPT &&
		    check_command(check->command, sentence, sizeof(sentence)) == -1)
			key = "command";
		if (key == NULL)
			continue;
		snprintf(error, error_size, "services[%zu].check.%s: %s", i, key, sentence);
		return -1;
	}
	return 0;
}
