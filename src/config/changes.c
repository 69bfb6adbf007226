#include "config/changes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "config/changes_internal.h"
#include "config/check.h"
#include "config/keys.h"

#define ALL_BUT_NAME (~(uint32_t)1) /* the name is the first of the settings */

struct config_service *
config_find_service(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->services_count; i++)
		if (strcmp(config->services[i].name, name) == 0)
			return &config->services[i];
	return NULL;
}

struct config_server *
config_find_server(const struct config_service *service, const char *name)
{
	for (size_t i = 0; i < service->servers_count; i++)
		if (strcmp(service->servers[i].name, name) == 0)
			return &service->servers[i];
	return NULL;
}

static struct config_change *
find(const struct config_changes *changes, const char *service, const char *name)
{
	for (size_t i = 0; i < changes->count; i++) {
		struct config_change *c = &changes->change[i];

		if (strcmp(c->server.name, name) == 0 && strcmp(c->service, service) == 0)
			return c;
	}
	return NULL;
}

const struct config_change *
config_changes_find(const struct config_changes *changes, const char *service, const char *name)
{
	return find(changes, service, name);
}

static void
change_fini(struct config_change *change)
{
	free(change->service);
	keys_fini(server_settings(), &change->server);
}

static void
drop(struct config_changes *changes, struct config_change *change)
{
	size_t behind = changes->count - (size_t)(change - changes->change) - 1;

	change_fini(change);
	memmove(change, change + 1, behind * sizeof(*change));
	changes->count--;
}

/* The change about that server; a new one that changes nothing if there was none. */
static struct config_change *
need(struct config_changes *changes, const char *service, const char *name)
{
	struct config_change *change = find(changes, service, name);

	if (change != NULL)
		return change;
	changes->change =
	    xrealloc_array(changes->change, changes->count + 1, sizeof(*changes->change));
	change = &changes->change[changes->count++];
	memset(change, 0, sizeof(*change));
	keys_preset(server_settings(), &change->server);
	change->service = xstrdup(service);
	change->server.name = xstrdup(name);
	return change;
}

void
config_changes_copy(struct config_changes *to, const struct config_changes *from)
{
	to->count = from->count;
	to->change = xcalloc(from->count + 1, sizeof(*to->change));
	for (size_t i = 0; i < from->count; i++) {
		to->change[i] = from->change[i];
		to->change[i].service = xstrdup(from->change[i].service);
		keys_own(server_settings(), &to->change[i].server);
	}
}

void
config_changes_fini(struct config_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		change_fini(&changes->change[i]);
	free(changes->change);
	memset(changes, 0, sizeof(*changes));
}

/* ---- the configuration in force ---- */

static void
append(struct config_service *service, const struct config_change *change)
{
	struct config_server *server;

	service->servers = xrealloc_array(
	    service->servers, service->servers_count + 1, sizeof(*service->servers));
	server = &service->servers[service->servers_count++];
	*server = change->server;
	keys_own(server_settings(), server);
	server->added = true;
	server->removed = false;
	server->changed = 0;
	server->line = 0;
}

static void
apply(struct config *config, const struct config_change *change)
{
	struct config_service *service = config_find_service(config, change->service);
	struct config_server *server;

	if (service == NULL)
		return;
	server = config_find_server(service, change->server.name);
	if (server == NULL && change->added) {
		append(service, change);
	} else if (server != NULL) {
		server_settings_put(server, &change->server, change->set);
		server->changed = change->set;
		server->removed = change->removed;
	}
}

struct config *
config_changes_apply(const struct config_changes *changes, const struct config *file)
{
	struct config *config = config_copy(file);

	for (size_t i = 0; i < changes->count; i++)
		apply(config, &changes->change[i]);
	return config;
}

void
config_drop_removed(struct config *config)
{
	for (size_t i = 0; i < config->services_count; i++) {
		struct config_service *s = &config->services[i];
		size_t kept = 0;

		for (size_t j = 0; j < s->servers_count; j++) {
			if (s->servers[j].removed)
				keys_fini(server_settings(), &s->servers[j]);
			else
				s->servers[kept++] = s->servers[j];
		}
		s->servers_count = kept;
	}
}

/* What holds between settings, about the server of a change. */
static int
judge(const struct config *config, const struct config_change *change, char *error, size_t size)
{
	const struct config_service *service = config_find_service(config, change->service);
	const struct config_server *server =
	    service != NULL ? config_find_server(service, change->server.name) : NULL;

	return server != NULL ? check_server_change(config, service, server, error, size) : 0;
}

/* ---- edits ---- */

/* Settings that are the file's are not changed; a change that changes nothing is none. */
static void
simplify(struct config_changes *changes, struct config_change *change,
    const struct config_server *file)
{
	if (file == NULL || change->added)
		return;
	change->set &= server_settings_differ(&change->server, file);
	if (change->set == 0 && !change->removed)
		drop(changes, change);
}

/* Where an edit is about: all that both the file and the changes know of it. */
struct place {
	const struct config_edit *edit;
	const struct config_server *file; /* NULL: not in the file */
	struct config_change *change;     /* NULL: as in the file */
	bool there;                       /* in force */
};

static int
edit_add(struct config_changes *changes, struct place *p, char *error, size_t size)
{
	const struct config_edit *edit = p->edit;
	struct config_change *change;

	if (p->there) {
		snprintf(error, size, "service %s has a server \"%s\" already", edit->service,
		    edit->name);
		return -1;
	}
	change = need(changes, edit->service, edit->name);
	change->added = p->file == NULL;
	change->removed = false;
	server_settings_put(&change->server, &edit->server, ALL_BUT_NAME);
	change->set = p->file == NULL ? edit->set : ALL_BUT_NAME & server_settings_all();
	simplify(changes, change, p->file);
	return 0;
}

static int
edit_set(struct config_changes *changes, struct place *p, char *error, size_t size)
{
	const struct config_edit *edit = p->edit;
	struct config_change *change;

	if (p->file == NULL && edit->reset != 0) {
		snprintf(error, size,
		    "%s/%s was added at run time: there is nothing in the file to go back to",
		    edit->service, edit->name);
		return -1;
	}
	change = need(changes, edit->service, edit->name);
	server_settings_put(&change->server, &edit->server, edit->set);
	change->set = (change->set | edit->set) & ~edit->reset;
	simplify(changes, change, p->file);
	return 0;
}

static int
edit_remove(struct config_changes *changes, struct place *p)
{
	struct config_change *change = need(changes, p->edit->service, p->edit->name);

	if (change->added) {
		drop(changes, change);
	} else {
		change->set = 0;
		change->removed = true;
	}
	return 0;
}

static int
edit_reset(struct config_changes *changes, struct place *p, char *error, size_t size)
{
	if (p->change != NULL && p->change->added) {
		snprintf(error, size,
		    "%s/%s was added at run time: there is nothing in the file to go back to",
		    p->edit->service, p->edit->name);
		return -1;
	}
	if (p->change != NULL)
		drop(changes, p->change);
	return 0;
}

/* Finds what the edit is about; everything but CONFIG_EDIT_ADD is about a server that is known. */
static int
find_place(const struct config_changes *changes, const struct config *file, struct place *p,
    char *error, size_t size)
{
	const struct config_edit *edit = p->edit;
	const struct config_service *service = config_find_service(file, edit->service);
	bool removed;

	if (service == NULL) {
		snprintf(error, size, "no service \"%.64s\"", edit->service);
		return -1;
	}
	p->file = config_find_server(service, edit->name);
	p->change = find(changes, edit->service, edit->name);
	removed = p->change != NULL && p->change->removed;
	p->there = (p->file != NULL && !removed) || (p->change != NULL && p->change->added);
	if (p->there || edit->kind == CONFIG_EDIT_ADD ||
	    (removed && edit->kind == CONFIG_EDIT_RESET))
		return 0;
	snprintf(error, size,
	    removed ? "server \"%.64s\" of service %s has been removed"
		    : "no server \"%.64s\" in service %s",
	    edit->name, edit->service);
	return -1;
}

static int
do_edit(struct config_changes *changes, const struct config *file,
    const struct config_edit *edit, char *error, size_t size)
{
	struct place place = {.edit = edit};
	int result = -1;

	if (find_place(changes, file, &place, error, size) == -1)
		return -1;
	switch (edit->kind) {
	case CONFIG_EDIT_ADD:
		result = edit_add(changes, &place, error, size);
		break;
	case CONFIG_EDIT_SET:
		result = edit_set(changes, &place, error, size);
		break;
	case CONFIG_EDIT_REMOVE:
		result = edit_remove(changes, &place);
		break;
	case CONFIG_EDIT_RESET:
		result = edit_reset(changes, &place, error, size);
		break;
	}
	if (result == 0 && changes->count > CONFIG_CHANGES_MAX) {
		snprintf(error, size,
		    "%d servers differ from the file already: save the configuration",
		    CONFIG_CHANGES_MAX);
		result = -1;
	}
	return result;
}

struct config *
config_changes_edit(struct config_changes *changes, const struct config *file,
    const struct config_edit *edit, char *error, size_t size)
{
	struct config_change about = {.service = (char *)(uintptr_t)edit->service,
	    .server.name = (char *)(uintptr_t)edit->name};
	struct config_changes wanted;
	struct config *config = NULL;

	config_changes_copy(&wanted, changes);
	if (do_edit(&wanted, file, edit, error, size) == 0) {
		config = config_changes_apply(&wanted, file);
		if (judge(config, &about, error, size) == -1 ||
		    check_servers_left(config, edit->service, error, size) == -1) {
			config_free(config);
			config = NULL;
		}
	}
	if (config == NULL) {
		config_changes_fini(&wanted);
		return NULL;
	}
	config_changes_fini(changes);
	*changes = wanted;
	return config;
}

/* ---- a new file ---- */

/* Why a change is over with that file; NULL if it is not. */
static const char *
over(struct config_change *change, const struct config *file)
{
	const struct config_service *service = config_find_service(file, change->service);
	const struct config_server *server;

	if (service == NULL)
		return "the file has no such service any more";
	server = config_find_server(service, change->server.name);
	if (change->added)
		return server != NULL ? "the file has a server of that name now" : NULL;
	if (server == NULL)
		return "the file has no such server any more";
	change->set &= server_settings_differ(&change->server, server);
	return change->set == 0 && !change->removed ? "the file says the same now" : NULL;
}

struct config *
config_changes_rebase(struct config_changes *changes, const struct config *file,
    config_change_ended *ended, void *arg)
{
	char error[CONFIG_CHANGE_ERROR];
	struct config *config;
	const char *reason;

	for (size_t i = changes->count; i-- > 0;) {
		reason = over(&changes->change[i], file);
		if (reason == NULL)
			continue;
		ended(arg, &changes->change[i], reason, false);
		drop(changes, &changes->change[i]);
	}
	config = config_changes_apply(changes, file);
	for (size_t i = changes->count; i-- > 0;) {
		if (judge(config, &changes->change[i], error, sizeof(error)) == 0)
			continue;
		ended(arg, &changes->change[i], error, true);
		drop(changes, &changes->change[i]);
		config_free(config);
		config = config_changes_apply(changes, file);
	}
	return config;
}
