/*
 * grammar: the commands of wladmctl as one table: words, arguments, rights, help.
 *
 * The daemon parses requests by it, wladmctl makes its usage of it, and a test holds
 * wladmctl(8) to it.  Unique prefixes of words suffice; a word that fits several is an error
 * that lists them.  Knows nothing of what the commands do: that is commands.c.
 */
#ifndef WLAD_CONTROL_GRAMMAR_H
#define WLAD_CONTROL_GRAMMAR_H

#include <stddef.h>

#define GRAMMAR_WORDS_MAX     32 /* words of a request */
#define GRAMMAR_ARGUMENTS_MAX 8
#define GRAMMAR_SYNTAX        240 /* octets that hold any grammar_syntax() with its NUL */

enum grammar_id {
	GRAMMAR_SHOW_SUMMARY,
	GRAMMAR_SHOW_SERVICES,
	GRAMMAR_SHOW_SERVERS,
	GRAMMAR_SHOW_SITES,
	GRAMMAR_SHOW_CONNECTIONS,
	GRAMMAR_SHOW_PERSISTENCE,
	GRAMMAR_SHOW_LIMITS,
	GRAMMAR_SHOW_COUNTERS,
	GRAMMAR_SHOW_KEYS,
	GRAMMAR_SHOW_CONFIG,
	GRAMMAR_SHOW_ERRORS,
	GRAMMAR_EXPLAIN,
	GRAMMAR_SERVER,
	GRAMMAR_SERVER_ADD,
	GRAMMAR_SERVER_REMOVE,
	GRAMMAR_SERVER_SET,
	GRAMMAR_SERVER_RESET,
	GRAMMAR_SITE,
	GRAMMAR_TRANSFER,
	GRAMMAR_FLUSH_PERSISTENCE,
	GRAMMAR_PROBE,
	GRAMMAR_RELOAD,
	GRAMMAR_LOG,
	GRAMMAR_MONITOR,
	GRAMMAR_VERSION,
	GRAMMAR_HELP,
	GRAMMAR_TOP,
	GRAMMAR_TOPOLOGY,
	GRAMMAR_CONFIG_SAVE,
	GRAMMAR_CERT_CA,
	GRAMMAR_CERT_SITE,
	GRAMMAR_COUNT
};

enum grammar_right {
	GRAMMAR_LOOK,   /* whoever may open the socket */
	GRAMMAR_CHANGE, /* root and the daemon's user */
	GRAMMAR_TOOL    /* done by wladmctl itself: the daemon does not know it */
};

enum grammar_kind {
	GRAMMAR_END,
	GRAMMAR_VALUE,    /* a word */
	GRAMMAR_OPTIONAL, /* a word, or nothing */
	GRAMMAR_NEEDED,   /* keyword and word, among the options */
	GRAMMAR_OPTION,   /* keyword and word, or nothing; in any order */
	GRAMMAR_FLAG      /* keyword, or nothing; the same */
};

struct grammar_argument {
	enum grammar_kind kind;
	const char *keyword; /* of an option or flag */
	const char *name;    /* of the value, as usage shows it */
	const char *choices; /* "a|b|c": what the value may be; NULL: anything */
};

struct grammar_command {
	const char *words; /* one or two, separated by a space */
	struct grammar_argument arguments[GRAMMAR_ARGUMENTS_MAX];
	enum grammar_right right;
	const char *help;
};

/* A request that fits the grammar; values point into the words. */
struct grammar_match {
	enum grammar_id id;
	const char *value[GRAMMAR_ARGUMENTS_MAX]; /* by argument, a flag's is itself; NULL: not given */
	int choice[GRAMMAR_ARGUMENTS_MAX]; /* index into its choices; -1: none */
};

const struct grammar_command *grammar_command(enum grammar_id id);

/* The command as usage shows it: "show servers [SERVICE]".  Returns buf. */
const char *grammar_syntax(enum grammar_id id, char buf[GRAMMAR_SYNTAX]);

/*
 * Splits a line at blanks, in place.  Returns the number of words, or -1 with a sentence in
 * error if there are more than GRAMMAR_WORDS_MAX.
 */
int grammar_split(char *line, char *words[GRAMMAR_WORDS_MAX], char *error, size_t error_size);

/*
 * Finds the command that the first words name, those of wladmctl itself left out.  Returns
 * how many words its name took, or -1 with a sentence in error.
 */
int grammar_find(
    char *const words[], int count, enum grammar_id *id, char *error, size_t error_size);

/* The same among all commands, those of wladmctl itself too. */
int grammar_find_any(
    char *const words[], int count, enum grammar_id *id, char *error, size_t error_size);

/* Fits the words after the name to the command's arguments.  0, or -1 with a sentence in error. */
int grammar_arguments(enum grammar_id id, char *const words[], int count,
    struct grammar_match *match, char *error, size_t error_size);

#endif
