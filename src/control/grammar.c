#include "control/grammar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_SHOWN 64 /* octets of a foreign word in an error */

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
	const char *word = name_word(grammar_command((enum grammar_id)index), number, &len),
		   *other;

	for (int i = 0; i < index; i++) {
		other = set[i]
		    ? name_word(grammar_command((enum grammar_id)i), number, &other_len)
		    : NULL;
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
		const char *name =
		    set[i] ? name_word(grammar_command((enum grammar_id)i), number, &len) : NULL;

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
	const char *word = name_word(grammar_command((enum grammar_id)chosen), number, &len),
		   *other;

	for (int i = 0; i < GRAMMAR_COUNT; i++) {
		other = set[i]
		    ? name_word(grammar_command((enum grammar_id)i), number, &other_len)
		    : NULL;
		set[i] = other != NULL && other_len == len && memcmp(other, word, len) == 0;
	}
}

/* The command of the set whose name ends before the number-th word, else -1. */
static int
name_complete(const bool set[GRAMMAR_COUNT], int number)
{
	size_t len;

	for (int i = 0; i < GRAMMAR_COUNT; i++)
		if (set[i] && name_word(grammar_command((enum grammar_id)i), number, &len) == NULL)
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
		    all->names, grammar_command((enum grammar_id)complete)->arguments[0].name);
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
		set[i] = grammar_command((enum grammar_id)i)->right != GRAMMAR_TOOL;
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
	const struct grammar_command *command = grammar_command(id);
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
	const struct grammar_command *command = grammar_command(id);
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
