#include "control/grammar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_SHOWN 64 /* octets of a foreign word in an error */

static const struct grammar_command commands[GRAMMAR_COUNT] = {
    [GRAMMAR_SHOW_SUMMARY] = {"show summary", {{0}}, GRAMMAR_LOOK,
	"the site at a glance: rates, services and sites in a line each"},
    [GRAMMAR_SHOW_SERVICES] = {"show services", {{0}}, GRAMMAR_LOOK,
	"services with their load and connections"},
    [GRAMMAR_SHOW_SERVERS] = {"show servers", {{GRAMMAR_OPTIONAL, NULL, "SERVICE", NULL}},
	GRAMMAR_LOOK, "own servers with state, load and traffic"},
    [GRAMMAR_SHOW_SITES] = {"show sites", {{0}}, GRAMMAR_LOOK,
	"other sites: session, load reports, transferred connections"},
    [GRAMMAR_SHOW_CONNECTIONS] = {"show connections",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL},
	    {GRAMMAR_OPTION, "kind", "KIND", "local|transferred|received|passed"},
	    {GRAMMAR_OPTION, "state", "STATE", "opening|established|closing|time_wait"},
	    {GRAMMAR_OPTION, "limit", "N", NULL}},
	GRAMMAR_LOOK, "connections, those that fit all filters"},
    [GRAMMAR_SHOW_PERSISTENCE] = {"show persistence",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL},
	    {GRAMMAR_OPTION, "limit", "N", NULL}},
	GRAMMAR_LOOK, "clients that come to the same server again, and where that is"},
    [GRAMMAR_SHOW_LIMITS] = {"show limits",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL},
	    {GRAMMAR_OPTION, "limit", "N", NULL}},
	GRAMMAR_LOOK, "limits of clients, and those that have the most"},
    [GRAMMAR_SHOW_COUNTERS] = {"show counters", {{0}}, GRAMMAR_LOOK,
	"what happened, and why packets were dropped"},
    [GRAMMAR_SHOW_KEYS] = {"show keys", {{0}}, GRAMMAR_LOOK,
	"keys of transfer packets: epochs and packets, nothing secret"},
    [GRAMMAR_SHOW_CONFIG] = {"show config",
	{{GRAMMAR_OPTIONAL, NULL, "file|running", "file|running"}}, GRAMMAR_LOOK,
	"the file with all defaults, or what an administrator has made of it"},
    [GRAMMAR_SHOW_ERRORS] = {"show errors", {{0}}, GRAMMAR_LOOK,
	"what is wrong: sites, servers, the last reload, drops, certificate"},
    [GRAMMAR_EXPLAIN] = {"explain",
	{{GRAMMAR_VALUE, NULL, "CLIENT[:PORT]", NULL}, {GRAMMAR_VALUE, NULL, "SERVICE", NULL}},
	GRAMMAR_LOOK, "where a connection would go, and why"},
    [GRAMMAR_SERVER] = {"server",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL},
	    {GRAMMAR_VALUE, NULL, "enable|disable|drain|weight", "enable|disable|drain|weight"},
	    {GRAMMAR_OPTIONAL, NULL, "N|reset", NULL}},
	GRAMMAR_CHANGE, "whether a server gets new connections, or how many"},
    [GRAMMAR_SERVER_ADD] = {"server add",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL},
	    {GRAMMAR_NEEDED, "address", "ADDRESS[,ADDRESS]", NULL},
	    {GRAMMAR_OPTION, "port", "N", NULL}, {GRAMMAR_OPTION, "weight", "N", NULL},
	    {GRAMMAR_OPTION, "max-connections", "N", NULL},
	    {GRAMMAR_OPTION, "agent-port", "N", NULL},
	    {GRAMMAR_OPTION, "agent-address", "ADDRESS", NULL},
	    {GRAMMAR_FLAG, "backup", NULL, NULL}},
	GRAMMAR_CHANGE,
	"a server that the file does not have, until the next start or config save"},
    [GRAMMAR_SERVER_REMOVE] = {"server remove",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL}, {GRAMMAR_FLAG, "force", NULL, NULL}},
	GRAMMAR_CHANGE, "take a server out; one with connections only by force"},
    [GRAMMAR_SERVER_SET] = {"server set",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL},
	    {GRAMMAR_OPTION, "address", "ADDRESS[,ADDRESS]", NULL},
	    {GRAMMAR_OPTION, "port", "N", NULL}, {GRAMMAR_OPTION, "weight", "N", NULL},
	    {GRAMMAR_OPTION, "max-connections", "N", NULL},
	    {GRAMMAR_OPTION, "agent-port", "N", NULL},
	    {GRAMMAR_OPTION, "agent-address", "ADDRESS", NULL},
	    {GRAMMAR_OPTION, "backup", "yes|no|reset", "yes|no|reset"}},
	GRAMMAR_CHANGE, "other settings of a server; reset: those of the file"},
    [GRAMMAR_SERVER_RESET] = {"server reset", {{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL}},
	GRAMMAR_CHANGE, "a server as the file has it, removed or changed as it may be"},
    [GRAMMAR_SITE] = {"site",
	{{GRAMMAR_VALUE, NULL, "NAME", NULL},
	    {GRAMMAR_VALUE, NULL, "enable|disable", "enable|disable"}},
	GRAMMAR_CHANGE, "whether new connections are transferred to another site"},
    [GRAMMAR_TRANSFER] = {"transfer",
	{{GRAMMAR_VALUE, NULL, "permit|prohibit|reset", "permit|prohibit|reset"},
	    {GRAMMAR_OPTIONAL, NULL, "SERVICE", NULL}},
	GRAMMAR_CHANGE, "whether other sites may send connections, to a service or to all"},
    [GRAMMAR_FLUSH_PERSISTENCE] = {"flush persistence",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL}},
	GRAMMAR_CHANGE,
	"forget where clients came before: their next connection is allocated anew"},
    [GRAMMAR_PROBE] = {"probe", {{GRAMMAR_VALUE, NULL, "SITE", NULL}}, GRAMMAR_CHANGE,
	"measure the path to a site now: liveness, MTU, direct replies"},
    [GRAMMAR_RELOAD] = {"reload", {{0}}, GRAMMAR_CHANGE,
	"read the configuration again; if it is bad, say why and keep the old one"},
    [GRAMMAR_LOG] = {"log", {{GRAMMAR_VALUE, NULL, "LEVEL", "error|warn|info|debug"}},
	GRAMMAR_CHANGE, "log from this level on: error, warn, info or debug"},
    [GRAMMAR_MONITOR] = {"monitor", {{GRAMMAR_OPTIONAL, NULL, "LEVEL", "error|warn|info|debug"}},
	GRAMMAR_LOOK, "events as they happen, a line each, until interrupted"},
    [GRAMMAR_VERSION] = {"version", {{0}}, GRAMMAR_LOOK, "versions of tool and daemon"},
    [GRAMMAR_HELP] = {"help", {{0}}, GRAMMAR_LOOK, "the commands that the daemon knows"},
    [GRAMMAR_TOP] = {"top", {{GRAMMAR_FLAG, "--batch", NULL, NULL}}, GRAMMAR_TOOL,
	"services, servers and sites with their rates, again and again"},
    [GRAMMAR_TOPOLOGY] = {"topology", {{GRAMMAR_FLAG, "--dot", NULL, NULL}}, GRAMMAR_TOOL,
	"sites and the links between them, as text or for graphviz"},
    [GRAMMAR_CONFIG_SAVE] = {"config save",
	{{GRAMMAR_OPTIONAL, NULL, "FILE", NULL}, {GRAMMAR_FLAG, "force", NULL, NULL}},
	GRAMMAR_TOOL, "write what is in force to the daemon's file, or to another"},
    [GRAMMAR_CERT_CA] = {"cert ca",
	{{GRAMMAR_OPTION, "-d", "DIR", NULL}, {GRAMMAR_OPTION, "-D", "DAYS", NULL},
	    {GRAMMAR_OPTIONAL, NULL, "NAME", NULL}},
	GRAMMAR_TOOL, "make a certificate authority for the sites"},
    [GRAMMAR_CERT_SITE] = {"cert site",
	{{GRAMMAR_OPTION, "-d", "DIR", NULL}, {GRAMMAR_OPTION, "-D", "DAYS", NULL},
	    {GRAMMAR_VALUE, NULL, "NAME", NULL}},
	GRAMMAR_TOOL, "make the key and certificate of a site"},
};

const struct grammar_command *
grammar_command(enum grammar_id id)
{
	return &commands[id];
}

static void
syntax_argument(const struct grammar_argument *argument, char *buf, size_t size)
{
	switch (argument->kind) {
	case GRAMMAR_VALUE:
		snprintf(buf, size, " %s", argument->name);
		break;
	case GRAMMAR_OPTIONAL:
		snprintf(buf, size, " [%s]", argument->name);
		break;
	case GRAMMAR_NEEDED:
		snprintf(buf, size, " %s %s", argument->keyword, argument->name);
		break;
	case GRAMMAR_OPTION:
		snprintf(buf, size, " [%s %s]", argument->keyword, argument->name);
		break;
	case GRAMMAR_FLAG:
		snprintf(buf, size, " [%s]", argument->keyword);
		break;
	case GRAMMAR_END:
		break;
	}
}

const char *
grammar_syntax(enum grammar_id id, char buf[GRAMMAR_SYNTAX])
{
	const struct grammar_command *command = &commands[id];
	size_t len;

	snprintf(buf, GRAMMAR_SYNTAX, "%s", command->words);
	for (size_t i = 0; i < GRAMMAR_ARGUMENTS_MAX; i++) {
		len = strlen(buf);
		syntax_argument(&command->arguments[i], buf + len, GRAMMAR_SYNTAX - len);
	}
	return buf;
}

int
grammar_split(char *line, char *words[GRAMMAR_WORDS_MAX], char *error, size_t error_size)
{
	int count = 0;
	char *next = line, *word;

	while ((word = strsep(&next, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		if (count == GRAMMAR_WORDS_MAX) {
			snprintf(error, error_size, "more than %d words", GRAMMAR_WORDS_MAX);
			return -1;
		}
		words[count++] = word;
	}
	return count;
}

/* A list of alternatives, "a|b|c" or the words of commands, and how a word fits it. */
struct fit {
	const char *word;
	size_t len;
	int exact, first; /* index of the one that equals the word, of the first it begins */
	int fits;         /* alternatives that it begins */
	char names[256];  /* those, or all of them, for the error */
};

static void
fit_init(struct fit *fit, const char *word)
{
	memset(fit, 0, sizeof(*fit));
	fit->word = word;
	fit->len = strlen(word);
	fit->exact = fit->first = -1;
}

static void
fit_name(struct fit *fit, const char *name, size_t len)
{
	size_t used = strlen(fit->names);

	snprintf(fit->names + used, sizeof(fit->names) - used, "%s%.*s", used > 0 ? ", " : "",
	    (int)len, name);
}

/* Holds the word against one alternative; true if it begins it. */
static bool
fit_try(struct fit *fit, const char *name, size_t len, int index)
{
	if (fit->len > len || memcmp(fit->word, name, fit->len) != 0)
		return false;
	if (fit->len == len)
		fit->exact = index;
	if (fit->first < 0)
		fit->first = index;
	fit->fits++;
	return true;
}

static int
fit_result(const struct fit *fit)
{
	if (fit->exact >= 0)
		return fit->exact;
	return fit->fits == 1 ? fit->first : -1;
}

/* The index of the choice that the word begins, or -1 with a sentence in error. */
static int
choose(const char *word, const char *what, const char *choices, char *error, size_t error_size)
{
	struct fit fit;
	int index = 0, result;

	fit_init(&fit, word);
	for (const char *c = choices; *c != '\0'; index++) {
		size_t len = strcspn(c, "|");

		if (fit_try(&fit, c, len, index))
			fit_name(&fit, c, len);
		c += len + (c[len] == '|');
	}
	result = fit_result(&fit);
	if (result < 0 && fit.fits > 0)
		snprintf(
		    error, error_size, "ambiguous \"%.*s\": %s", WORD_SHOWN, word, fit.names);
	else if (result < 0)
		snprintf(error, error_size, "%s is one of %s, not \"%.*s\"", what, choices,
		    WORD_SHOWN, word);
	return result;
}

/* The number-th word of a command's name; NULL if it has fewer. */
static const char *
name_word(const struct grammar_command *command, int number, size_t *len)
{
	const char *word = command->words;

	*len = 0;
	for (; number > 0; number--) {
		word = strchr(word, ' ');
		if (word == NULL)
			return NULL;
		word++;
	}
	*len = strcspn(word, " ");
	return word;
}

/* True if an earlier command of the set has the same word there. */
static bool
word_repeats(const bool set[GRAMMAR_COUNT], int index, int number)
{
	size_t len, other_len;
	const char *word = name_word(&commands[index], number, &len), *other;

	for (int i = 0; i < index; i++) {
		other = set[i] ? name_word(&commands[i], number, &other_len) : NULL;
		if (other != NULL && other_len == len && memcmp(other, word, len) == 0)
			return true;
	}
	return false;
}

/* The different words that the commands of the set have there, or those of them that word begins. */
static void
fit_commands(struct fit *fit, const bool set[GRAMMAR_COUNT], int number, bool name_all)
{
	for (int i = 0; i < GRAMMAR_COUNT; i++) {
		size_t len;
		const char *name = set[i] ? name_word(&commands[i], number, &len) : NULL;

		if (name == NULL || word_repeats(set, i, number))
			continue;
		if (fit_try(fit, name, len, i) || name_all)
			fit_name(fit, name, len);
	}
}

/* Keeps those commands of the set whose word there is that of the chosen one. */
static void
keep_word(bool set[GRAMMAR_COUNT], int number, int chosen)
{
	size_t len, other_len;
	const char *word = name_word(&commands[chosen], number, &len), *other;

	for (int i = 0; i < GRAMMAR_COUNT; i++) {
		other = set[i] ? name_word(&commands[i], number, &other_len) : NULL;
		set[i] = other != NULL && other_len == len && memcmp(other, word, len) == 0;
	}
}

/* The command of the set whose name ends before the number-th word, else -1. */
static int
name_complete(const bool set[GRAMMAR_COUNT], int number)
{
	size_t len;

	for (int i = 0; i < GRAMMAR_COUNT; i++)
		if (set[i] && name_word(&commands[i], number, &len) == NULL)
			return i;
	return -1;
}

/* "server" is a command, and begins the names of others: there what can follow is both. */
static void
incomplete(const struct fit *all, int complete, char *error, size_t error_size)
{
	if (complete < 0)
		snprintf(error, error_size, "incomplete command: next is %s%s",
		    strchr(all->names, ',') != NULL ? "one of " : "", all->names);
	else
		snprintf(error, error_size, "incomplete command: next is one of %s, or %s",
		    all->names, commands[complete].arguments[0].name);
}

/* Finds a command of the set. */
static int
find(bool set[GRAMMAR_COUNT], char *const words[], int count, enum grammar_id *id, char *error,
    size_t error_size)
{
	struct fit fit, all;
	int complete, chosen;

	for (int number = 0;; number++) {
		complete = number > 0 ? name_complete(set, number) : -1;
		fit_init(&all, "");
		fit_commands(&all, set, number, true);
		if (number == count && all.names[0] != '\0') {
			incomplete(&all, complete, error, error_size);
			return -1;
		}
		fit_init(&fit, number < count ? words[number] : "");
		fit_commands(&fit, set, number, false);
		chosen = fit_result(&fit);
		if (complete >= 0 && fit.fits == 0) {
			*id = (enum grammar_id)complete;
			return number;
		}
		if (chosen < 0 && fit.fits > 0)
			snprintf(error, error_size, "ambiguous \"%.*s\": %s", WORD_SHOWN,
			    words[number], fit.names);
		else if (chosen < 0)
			snprintf(error, error_size, "unknown command \"%.*s\": one of %s",
			    WORD_SHOWN, words[number], all.names);
		if (chosen < 0)
			return -1;
		keep_word(set, number, chosen);
	}
}

int
grammar_find(char *const words[], int count, enum grammar_id *id, char *error, size_t error_size)
{
	bool set[GRAMMAR_COUNT];

	for (int i = 0; i < GRAMMAR_COUNT; i++)
		set[i] = commands[i].right != GRAMMAR_TOOL;
	return find(set, words, count, id, error, error_size);
}

int
grammar_find_any(
    char *const words[], int count, enum grammar_id *id, char *error, size_t error_size)
{
	bool set[GRAMMAR_COUNT];

	for (int i = 0; i < GRAMMAR_COUNT; i++)
		set[i] = true;
	return find(set, words, count, id, error, error_size);
}

/* The option or flag that a keyword names, or -1 with a sentence in error. */
static int
find_option(
    const struct grammar_command *command, const char *word, char *error, size_t error_size)
{
	struct fit fit;
	int result;

	fit_init(&fit, word);
	for (int i = 0; i < GRAMMAR_ARGUMENTS_MAX; i++) {
		const struct grammar_argument *argument = &command->arguments[i];

		if (argument->keyword != NULL &&
		    fit_try(&fit, argument->keyword, strlen(argument->keyword), i))
			fit_name(&fit, argument->keyword, strlen(argument->keyword));
	}
	result = fit_result(&fit);
	if (result < 0 && fit.fits > 0)
		snprintf(
		    error, error_size, "ambiguous \"%.*s\": %s", WORD_SHOWN, word, fit.names);
	else if (result < 0)
		snprintf(error, error_size, "unexpected \"%.*s\"", WORD_SHOWN, word);
	return result;
}

static int
set_value(const struct grammar_command *command, struct grammar_match *match, int index,
    const char *word, char *error, size_t error_size)
{
	const struct grammar_argument *argument = &command->arguments[index];

	if (match->value[index] != NULL) {
		snprintf(error, error_size, "%s given twice", argument->keyword);
		return -1;
	}
	match->value[index] = word;
	if (argument->choices == NULL)
		return 0;
	match->choice[index] =
	    choose(word, argument->keyword != NULL ? argument->keyword : command->words,
		argument->choices, error, error_size);
	return match->choice[index] < 0 ? -1 : 0;
}

/* A word that may be missing is missing where an option or a flag stands. */
static bool
is_keyword(const struct grammar_command *command, const char *word)
{
	for (int i = 0; i < GRAMMAR_ARGUMENTS_MAX; i++)
		if (command->arguments[i].keyword != NULL &&
		    strcmp(command->arguments[i].keyword, word) == 0)
			return true;
	return false;
}

/* Fits the arguments that have their place.  Returns how many words they took, or -1. */
static int
take_values(enum grammar_id id, char *const words[], int count, struct grammar_match *match,
    char *error, size_t error_size)
{
	const struct grammar_command *command = &commands[id];
	char syntax[GRAMMAR_SYNTAX];
	int used = 0;

	for (int index = 0; index < GRAMMAR_ARGUMENTS_MAX; index++) {
		enum grammar_kind kind = command->arguments[index].kind;

		if (kind != GRAMMAR_VALUE && kind != GRAMMAR_OPTIONAL)
			break;
		if (used == count && kind == GRAMMAR_VALUE) {
			snprintf(error, error_size, "incomplete command: %s",
			    grammar_syntax(id, syntax));
			return -1;
		}
		if (kind == GRAMMAR_OPTIONAL && used < count && is_keyword(command, words[used]))
			continue;
		if (used < count &&
		    set_value(command, match, index, words[used++], error, error_size) < 0)
			return -1;
	}
	return used;
}

static int
check_needed(const struct grammar_command *command, const struct grammar_match *match,
    char *error, size_t error_size)
{
	for (int i = 0; i < GRAMMAR_ARGUMENTS_MAX; i++) {
		const struct grammar_argument *argument = &command->arguments[i];

		if (argument->kind != GRAMMAR_NEEDED || match->value[i] != NULL)
			continue;
		snprintf(error, error_size, "%s lacks %s %s", command->words, argument->keyword,
		    argument->name);
		return -1;
	}
	return 0;
}

int
grammar_arguments(enum grammar_id id, char *const words[], int count,
    struct grammar_match *match, char *error, size_t error_size)
{
	const struct grammar_command *command = &commands[id];
	int used, index, value;

	memset(match, 0, sizeof(*match));
	match->id = id;
	for (int i = 0; i < GRAMMAR_ARGUMENTS_MAX; i++)
		match->choice[i] = -1;
	used = take_values(id, words, count, match, error, error_size);
	if (used < 0)
		return -1;
	for (; used < count; used = value + 1) {
		index = find_option(command, words[used], error, error_size);
		if (index < 0)
			return -1;
		value = command->arguments[index].kind == GRAMMAR_FLAG ? used : used + 1;
		if (value == count) {
			snprintf(error, error_size, "%s lacks its value",
			    command->arguments[index].keyword);
			return -1;
		}
		if (set_value(command, match, index, words[value], error, error_size) < 0)
			return -1;
	}
	return check_needed(command, match, error, error_size);
}
