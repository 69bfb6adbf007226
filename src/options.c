#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "version.h"

#define DEFAULT_FILE WLAD_SYSCONFDIR "/wlad.conf"

static const char usage[] = "usage: wlad [-dnvV] [-f file]\n"
			    "  -d       stay in the foreground, log to standard error\n"
			    "  -f file  configuration (default " DEFAULT_FILE ")\n"
			    "  -n       check the configuration and exit\n"
			    "  -v       log at level debug\n"
			    "  -V       print version, options and libraries\n";

int
options_parse(int argc, char **argv, struct options *options)
{
	int c;

	*options = (struct options){.file = DEFAULT_FILE};
	while ((c = getopt(argc, argv, "df:nvV")) != -1) {
		switch (c) {
		case 'd':
			options->foreground = true;
			break;
		case 'f':
			options->file = optarg;
			break;
		case 'n':
			options->check = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'V':
			options->version = true;
			break;
		default:
			fputs(usage, stderr);
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "wlad: unexpected argument '%s'\n%s", argv[optind], usage);
		return -1;
	}
	/* in the background, which has another working directory, it has to be the same file */
	if (!options->foreground && !options->check &&
	    realpath(options->file, options->path) != NULL)
		options->file = options->path;
	return 0;
}

void
options_print_version(void)
{
	printf("wlad %s\n", version_string());
	printf("built with %s\n", version_build());
	for (int i = 0; version_library(i) != NULL; i++)
		printf("  %s\n", version_library(i));
}
