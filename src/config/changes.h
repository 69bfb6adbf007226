/*
 * changes: what administrators have changed about servers since the file was read.
 *
 * Servers that were added, removed or set otherwise at run time, kept apart from the file: the
 * configuration in force is made of both, and a new file is brought together with what is left
 * of them.  Weights and drain are not among them: they belong to the load table, which keeps them.  Pure.
 */
#ifndef WLAD_CONFIG_CHANGES_H
#define WLAD_CONFIG_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define CONFIG_CHANGES_MAX  4096 /* servers that differ from the file at a time */
#define CONFIG_CHANGE_ERROR 400  /* octets that hold any sentence of this part */

/* How one server differs from the file. */
struct config_change {
	char *service;
	struct config_server server; /* its name, and the settings that are set */
	uint32_t set;                /* which, see config_server_setting() */
	bool added;   /* the file has none of that name: all settings are in server */
	bool removed; /* the file's server is not in force */
};

struct config_changes {
	struct config_change *change;
	size_t count;
};

enum config_edit_kind {
	CONFIG_EDIT_ADD,    /* a server that is not there, with these settings */
	CONFIG_EDIT_SET,    /* settings of one that is */
	CONFIG_EDIT_REMOVE, /* takes one out */
	CONFIG_EDIT_RESET   /* what the file says about one holds again */
};

/* What an administrator wants; borrowed. */
struct config_edit {
	enum config_edit_kind kind;
	const char *service, *name;
	struct config_server server; /* the settings that are set */
	uint32_t set;
	uint32_t reset; /* of CONFIG_EDIT_SET: settings that are to be the file's again */
};

/* An edit of that kind, every setting at its default. */
void config_edit_init(struct config_edit *edit, enum config_edit_kind kind, const char *service,
    const char *name);

/*
 * Takes a setting ("max-connections" or "max_connections") into an edit, from text as wladmctl
 * has it: an address or one of each family with a comma between, a number, true or false, "client" for the
 * port that the client asked for, in CONFIG_EDIT_SET also "reset".  0, or -1 with a sentence.
 */
int config_edit_take(struct config_edit *edit, const char *setting, const char *text,
    char *error, size_t error_size);

/*
 * Makes an edit part of the changes.  Returns the configuration that is then in force, for
 * config_free(); or NULL with a sentence, nothing having changed.
 */
struct config *config_changes_edit(struct config_changes *changes, const struct config *file,
    const struct config_edit *edit, char *error, size_t error_size);

/* Why a change ended with a new file; static text but for what a check finds. */
typedef void config_change_ended(
    void *arg, const struct config_change *change, const char *reason, bool conflict);

/*
 * Brings the changes together with a new file: those that it says as well, that are about what it
 * has no longer, or that it contradicts, end, each told to ended.  Returns the configuration in
 * force.
 */
struct config *config_changes_rebase(struct config_changes *changes, const struct config *file,
    config_change_ended *ended, void *arg);

/*
 * The configuration in force: what the file says, and the changes.  Servers that were removed are in
 * it, and marked so.
 */
struct config *config_changes_apply(
    const struct config_changes *changes, const struct config *file);

/* Takes the servers out that are marked as removed: what is to be written. */
void config_drop_removed(struct config *config);

const struct config_change *config_changes_find(
    const struct config_changes *changes, const char *service, const char *name);
void config_changes_copy(struct config_changes *to, const struct config_changes *from);
void config_changes_fini(struct config_changes *changes);

/* The name of a server's setting by its bit number, "max_connections"; NULL behind the last. */
const char *config_server_setting(unsigned number);

/* True if a server can have that name. */
bool config_is_name(const char *text);

struct config *config_copy(const struct config *config);

/* The service of that name, or NULL; likewise a server, marked as removed or not. */
struct config_service *config_find_service(const struct config *config, const char *name);
struct config_server *config_find_server(const struct config_service *service, const char *name);

#endif
