/*
 * save: `wladmctl config save`: what is in force becomes the daemon's file, or another one.
 *
 * The daemon cannot write files and is not to; it says what is in force, and who asks writes it, with
 * the rights of his own.  Nothing is written that wlad would not take.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "wladmctl/replace.h"
#include "wladmctl/text.h"
#include "wladmctl/wladmctl.h"

#define FILE_MAX   (2u * 1024 * 1024) /* octets; a configuration has fewer */
#define ERROR_TEXT 1400

/* What is to be done. */
struct save {
	const struct options *options;
	json_t *running;  /* the answer to show config running */
	char *file;       /* where it is written to, links followed */
	bool own, exists; /* it is the daemon's own file; it is there */
	bool force;
	char error[ERROR_TEXT];
};

static const char *
member(const struct save *s, const char *key)
{
	const char *text = json_string_value(json_object_get(s->running, key));

	return text != NULL ? text : "";
}

static int
ask_running(struct save *s)
{
	struct options quiet = *s->options;
	int status;

	quiet.json = false;
	s->running = wladmctl_ask(&quiet, "show config running", &status);
	return status;
}

/* The file without links; of one that is not there yet, as it was named. */
static char *
resolve(const char *file, bool *exists)
{
	char path[PATH_MAX];

	*exists = realpath(file, path) != NULL;
	return xstrdup(*exists ? path : file);
}

static int
choose_file(struct save *s, const char *named)
{
	const char *daemons = member(s, "file");
	bool there;
	char *own;

	if (named == NULL && daemons[0] != '/') {
		snprintf(s->error, sizeof(s->error),
		    "the daemon was started with the relative path \"%.200s\": name the file",
		    daemons);
		return -1;
	}
	s->file = resolve(named != NULL ? named : daemons, &s->exists);
	own = resolve(daemons, &there);
	s->own = s->exists && there && daemons[0] == '/' && strcmp(own, s->file) == 0;
	free(own);
	if (named == NULL && !s->exists)
		s->own = true; /* somebody has removed it meanwhile */
	return 0;
}

/* Whether a file is still the one that the daemon has read. */
static bool
is_as_read(const json_t *file)
{
	char digest[24];
	size_t len;
	char *data = file_read(text_string(file, "file"), FILE_MAX, &len);

	if (data == NULL)
		return false;
	snprintf(digest, sizeof(digest), "%016llx",
	    (unsigned long long)config_digest(data, strlen(data)));
	free(data);
	return strcmp(digest, text_string(file, "digest")) == 0;
}

/* Nobody's work is to be lost unasked. */
static int
judge_file(struct save *s)
{
	const json_t *file;
	size_t i;

	if (s->force)
		return 0;
	if (s->exists && !s->own) {
		snprintf(s->error, sizeof(s->error),
		    "%s exists and is not the file that the daemon reads; the word force "
		    "overwrites it",
		    s->file);
		return -1;
	}
	json_array_foreach (json_object_get(s->running, "files"), i, file) {
		if (!s->own || is_as_read(file))
			continue;
		snprintf(s->error, sizeof(s->error),
		    "%s has changed since the daemon read it: reload first; or the word force, "
		    "which loses that",
		    text_string(file, "file"));
		return -1;
	}
	return 0;
}

/* With a head that says what it is; NULL if wlad would not take it. */
static char *
make_text(struct save *s)
{
	time_t now = time(NULL);
	struct config_faults faults;
	struct config *config;
	char when[64], *text;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", gmtime(&now));
	text = xasprintf("# Written by wladmctl config save, %s.\n"
			 "# A setting that is not here has its default: see wlad.conf(5).\n%s",
	    when, member(s, "text"));
	config = config_parse(text, s->file, &faults);
	if (config == NULL) {
		snprintf(s->error, sizeof(s->error), "what is in force cannot be a file: %s",
		    faults.count > 0 ? faults.text[0] : "no text");
		free(text);
		text = NULL;
	}
	config_free(config);
	config_faults_free(&faults);
	return text;
}

/* The daemon is to know its new file: what it holds is no change of an administrator any more. */
static int
reload(struct save *s, json_t *report)
{
	struct options quiet = *s->options;
	int status;
	json_t *answer;

	quiet.json = false;
	answer = wladmctl_ask(&quiet, "reload", &status);
	if (answer == NULL)
		return status;
	json_object_set(report, "reloaded", json_object_get(answer, "reloaded"));
	json_object_set(report, "faults", json_object_get(answer, "faults"));
	status = text_true(answer, "reloaded") ? EXIT_DONE : EXIT_REFUSED;
	json_decref(answer);
	return status;
}

static void
print_report(const struct save *s, const json_t *report)
{
	struct table_style style = wladmctl_style();

	if (s->options->json) {
		json_dumpf(report, stdout, JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
	} else {
		text_save(report, stdout, &style);
	}
}

static int
write_out(struct save *s)
{
	char *text = make_text(s);
	int status = EXIT_DONE;
	json_t *report;

	if (text == NULL || replace_file(s->file, text, s->error, sizeof(s->error)) == -1) {
		free(text);
		return EXIT_REFUSED;
	}
	free(text);
	report = json_pack("{s:i, s:s, s:s, s:b, s:b, s:O}", "schema", 1, "view", "save",
	    "file", s->file, "kept", s->exists, "own", s->own, "unsaved",
	    json_object_get(s->running, "unsaved"));
	if (json_array_size(json_object_get(s->running, "files")) > 1 && s->own)
		json_object_set(report, "included", json_object_get(s->running, "files"));
	if (s->own)
		status = reload(s, report);
	print_report(s, report);
	json_decref(report);
	return status;
}

int
save_main(const struct options *options, const char *file, bool force)
{
	struct save s = {.options = options, .force = force};
	int status = ask_running(&s);

	if (status != EXIT_DONE)
		return status;
	if (choose_file(&s, file) == -1 || judge_file(&s) == -1)
		status = EXIT_REFUSED;
	else
		status = write_out(&s);
	if (s.error[0] != '\0')
		fprintf(stderr, "wladmctl: %s\n", s.error);
	json_decref(s.running);
	free(s.file);
	if (fflush(stdout) != 0 && status == EXIT_DONE)
		status = EXIT_REFUSED;
	return status;
}
