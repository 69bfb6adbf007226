/*
 * Servers at run time as a client of the control socket sees them: server add, remove, set and
 * reset, their traces in show servers and show config, in the log, and what they are refused for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"
#include "control_fixture.h"

static struct control_fixture fixture;
static struct config_changes changes;
static char logged[512];

/* As the daemon does it, without what a daemon has besides. */
static int
do_edit(void *arg, const struct config_edit *edit, char *error, size_t size)
{
	struct config *running = config_changes_edit(&changes, fixture.config, edit, error, size);

	assert_ptr_equal(arg, &changes);
	if (running == NULL)
		return -1;
	load_table_apply(fixture.parts.load, running, NOW);
	config_free(running);
	return 0;
}

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static int
setup(void **state)
{
	(void)state;
	control_fixture_init(&fixture, SITE_TEXT, 64);
	fixture.parts.changes = &changes;
	fixture.parts.edit = do_edit;
	fixture.parts.edit_arg = &changes;
	fixture_all_up(fixture.parts.load);
	logged[0] = '\0';
	log_set_hook(keep_line, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_set_hook(NULL, NULL);
	control_fixture_fini(&fixture);
	config_changes_fini(&changes);
	return 0;
}

/* A server as show servers has it; NULL if it has not.  For json_decref(). */
static json_t *
shown(const char *service, const char *name)
{
	json_t *root = ask(&fixture, "show servers", "servers"), *o, *found = NULL;
	size_t i;

	json_array_foreach (json_object_get(root, "servers"), i, o)
		if (strcmp(json_string_value(json_object_get(o, "service")), service) == 0 &&
		    strcmp(json_string_value(json_object_get(o, "name")), name) == 0) {
			json_decref(found);
			found = json_incref(o);
		}
	json_decref(root);
	return found;
}

static void
ok(const char *line)
{
	json_decref(ask(&fixture, line, "server"));
}

static void
test_add(void **state)
{
	json_t *o = ask(&fixture,
	    "server add web/c address 10.1.0.14,2001:db8:1::14 port 81 weight 5 "
	    "max-connections 9 backup",
	    "server");

	(void)state;
	assert_text(o, "done", "added");
	assert_text(o, "origin", "run-time");
	assert_text(o, "state", "down"); /* it has not been asked yet */
	json_decref(o);
	assert_string_equal(logged,
	    "server added service=web server=c settings=\"address 10.1.0.14,2001:db8:1::14 "
	    "port 81 weight 5 max-connections 9 backup true\" uid=0");
	o = shown("web", "c");
	assert_text(o, "address", "10.1.0.14:81");
	assert_count(o, "addresses", 2);
	assert_text(o, "origin", "run-time");
	assert_number(o, "weight", 5);
	assert_is_null(o, "weight_admin");
	assert_number(o, "max_connections", 9);
	assert_true(json_is_true(json_object_get(o, "backup")));
	json_decref(o);
	o = shown("web", "a");
	assert_text(o, "origin", "file");
	assert_count(o, "changed", 0);
	json_decref(o);
}

/* The name may be two words, and words may be short. */
static void
test_words(void **state)
{
	(void)state;
	ok("server add web c address 10.1.0.14");
	ok("se ad   web/d \t addr 10.1.0.15 p 82 w 3 m 4 b");
	ok("server set web\tc port 83");
	ok("server rem web c");
	ok("server remove web/d force");
	assert_error(&fixture, "server re web/a", CONTROL_BAD, "ambiguous \"re\": remove, reset");
	assert_error(&fixture, "server", CONTROL_BAD,
	    "next is one of add, remove, set, reset, or SERVICE/NAME");
	assert_error(&fixture, "server add", CONTROL_BAD, "incomplete command: server add");
	assert_error(&fixture, "server add web", CONTROL_BAD, "lacks address");
	assert_error(&fixture, "server remove web", CONTROL_BAD, "SERVICE/NAME");
	assert_error(&fixture, "server add web/c", CONTROL_BAD,
	    "server add lacks address ADDRESS[,ADDRESS]");
	assert_error(
	    &fixture, "server add web/c address", CONTROL_BAD, "address lacks its value");
	assert_error(&fixture, "server add web/c address 10.1.0.14 address 10.1.0.15",
	    CONTROL_BAD, "address given twice");
	assert_error(&fixture, "server add web/c address 10.1.0.14 frob", CONTROL_BAD,
	    "unexpected \"frob\"");
	/* a server may have the name of a command */
	ok("server add web/add address 10.1.0.16");
	ok("server web/add drain");
	ok("server web add enable");
	assert_error(&fixture, "server web drain", CONTROL_BAD, "SERVICE/NAME");
}

static void
test_refused(void **state)
{
	char line[256], name[80];

	(void)state;
	assert_error(&fixture, "server add web/a address 10.1.0.99", CONTROL_FAILED, "already");
	assert_error(&fixture, "server add web/c address 10.1.0.12", CONTROL_FAILED,
	    "10.1.0.12 on the same port is server \"b\" already");
	assert_error(&fixture, "server add no/c address 10.1.0.99", CONTROL_NOT_FOUND,
	    "no service \"no\"");
	assert_error(&fixture, "server add web/ address 10.1.0.99", CONTROL_BAD, "is no name");
	assert_error(&fixture, "server add web/.c address 10.1.0.99", CONTROL_BAD, "is no name");
	assert_error(&fixture, "server add web/a/b address 10.1.0.99", CONTROL_BAD, "is no name");
	assert_error(
	    &fixture, "server add /c address 10.1.0.99", CONTROL_NOT_FOUND, "no service");
	memset(name, 'x', 64);
	name[64] = '\0';
	snprintf(line, sizeof(line), "server add web/%s address 10.1.0.99", name);
	assert_error(&fixture, line, CONTROL_BAD, "is no name");
	snprintf(line, sizeof(line), "server add %s/c address 10.1.0.99", name);
	assert_error(&fixture, line, CONTROL_NOT_FOUND, "that long");
	assert_error(&fixture, "server set web/a", CONTROL_BAD, "lacks a setting");
	assert_error(&fixture, "server set web/a port x", CONTROL_BAD,
	    "port must be an integer from 1 to 65535, not \"x\"");
	assert_error(&fixture, "server set web/a backup maybe", CONTROL_BAD, "yes|no|reset");
	assert_error(&fixture, "server remove web/z", CONTROL_FAILED, "no server \"z\"");
	assert_error(&fixture, "server remove weather/a", CONTROL_FAILED, "at least one server");
	assert_error(&fixture, "server reset web/z", CONTROL_FAILED, "no server \"z\"");
	assert_int_equal(changes.count, 0);
	assert_string_equal(logged, "");
	fixture.parts.edit = NULL;
	assert_error(&fixture, "server reset web/a", CONTROL_FAILED, "cannot be changed");
}

static void
test_set(void **state)
{
	json_t *o = ask(&fixture, "server set web/a port 81 backup yes weight 3", "server");

	(void)state;
	assert_text(o, "done", "set");
	assert_text(o, "origin", "file");
	assert_count(o, "changed", 2);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(o, "changed"), 0)), "port");
	assert_number(o, "weight", 3);
	assert_number(o, "weight_admin", 3);
	assert_text(o, "address", "10.1.0.11:81");
	json_decref(o);
	ok("server set web/a port reset weight r backup res");
	o = shown("web", "a");
	assert_count(o, "changed", 0);
	assert_is_null(o, "weight_admin");
	assert_number(o, "weight", 10);
	assert_text(o, "address", "10.1.0.11:8080");
	json_decref(o);
	/* an agent or a limit alone leaves a weight that was set */
	ok("server web/a weight 4");
	ok("server set web/a max-connections 50");
	o = shown("web", "a");
	assert_number(o, "weight_admin", 4);
	assert_number(o, "max_connections", 50);
	json_decref(o);
}

/* Another address is another slot of the table: what was said goes by the name. */
static void
test_set_address(void **state)
{
	struct server *old = load_table_server(fixture.parts.load, WEB_A);
	json_t *o;

	(void)state;
	load_table_server_opened(fixture.parts.load, WEB_A);
	ok("server web/a drain");
	ok("server web/a weight 4");
	ok("server set web/a address 10.1.0.77");
	o = shown("web", "a"); /* the last of that name */
	assert_text(o, "address", "10.1.0.77:8080");
	assert_text(o, "admin", "draining");
	assert_number(o, "weight_admin", 4);
	assert_text(o, "state", "down");
	json_decref(o);
	assert_false(old->present);
	assert_int_equal(old->active, 1);
	ok("server web/a enable");
	ok("server set web/a address reset");
	assert_true(old->present);
	assert_int_equal(old->admin, SERVER_ENABLED);
	assert_int_equal(old->state, SERVER_UP); /* its connection shows that */
	load_table_server_closed(fixture.parts.load, WEB_A);
}

static void
test_remove(void **state)
{
	json_t *o;

	(void)state;
	ok("server web/a weight 4");
	o = ask(&fixture, "server remove web/a", "server");
	assert_text(o, "done", "removed");
	assert_true(json_is_true(json_object_get(o, "removed")));
	json_decref(o);
	o = shown("web", "a");
	assert_true(json_is_false(json_object_get(o, "present")));
	assert_true(json_is_true(json_object_get(o, "removed")));
	assert_is_null(o, "weight_admin");
	json_decref(o);
	assert_error(&fixture, "server web/a drain", CONTROL_NOT_FOUND, "server reset web/a");
	assert_int_equal(load_table_service(fixture.parts.load, WEB)->servers_count, 1);
	assert_error(&fixture, "server remove web/b", CONTROL_FAILED, "at least one");
	ok("server reset web/a");
	o = shown("web", "a");
	assert_text(o, "state", "down"); /* until a check has passed */
	assert_true(json_is_true(json_object_get(o, "present")));
	json_decref(o);
	ok("server add web/c address 10.1.0.14");
	ok("server remove web/c");
	assert_null(shown("web", "c"));
}

static void
test_remove_with_connections(void **state)
{
	struct server *a = load_table_server(fixture.parts.load, WEB_A);
	json_t *o;

	(void)state;
	load_table_server_opened(fixture.parts.load, WEB_A);
	assert_error(&fixture, "server remove web/a", CONTROL_FAILED,
	    "web/a has 1 connections: drain it and wait, or add the word force");
	assert_true(a->present);
	o = ask(&fixture, "server remove web/a force", "server");
	assert_number(o, "active", 1);
	json_decref(o);
	assert_false(a->present);
	assert_int_equal(a->state, SERVER_DOWN); /* so its connections end, or are kept */
	load_table_server_closed(fixture.parts.load, WEB_A);
}

/* ---- show config running ---- */

static struct config *
running(json_t **root)
{
	*root = ask(&fixture, "show config running", "config");
	return fixture_config(json_string_value(json_object_get(*root, "text")));
}

static void
test_running(void **state)
{
	json_t *root;
	struct config *config;
	const struct config_service *web;

	(void)state;
	ok("server add web/c address 10.1.0.14 weight 5");
	ok("server remove web/a");
	ok("server web/b weight 7");
	ok("server web/c drain");
	json_decref(ask(&fixture, "transfer prohibit weather", "transfer"));
	config = running(&root);
	web = &config->services[0];
	assert_int_equal(web->servers_count, 2);
	assert_string_equal(web->servers[0].name, "b");
	assert_int_equal(web->servers[0].weight, 7);
	assert_string_equal(web->servers[1].name, "c");
	assert_int_equal(web->servers[1].weight, 5);
	assert_true(web->transfer_permitted);
	assert_false(config->services[1].transfer_permitted);
	assert_count(root, "unsaved", 1);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(root, "unsaved"), 0)),
	    "server web/c is draining");
	assert_count(root, "files", 1);
	assert_text(at(root, "files", 0), "file", "fixture");
	config_free(config);
	json_decref(root);
	/* and the file is the file */
	root = ask(&fixture, "show config", "config");
	assert_count(at(json_object_get(root, "config"), "services", 0), "servers", 2);
	json_decref(root);
	root = ask(&fixture, "show config file", "config");
	assert_number(
	    at(at(json_object_get(root, "config"), "services", 0), "servers", 0), "weight", 10);
	json_decref(root);
}

/* Saved and read again: nothing is an administrator's any more. */
static void
test_saved(void **state)
{
	json_t *root, *o;
	struct config *config;

	(void)state;
	ok("server add web/c address 10.1.0.14");
	ok("server web/b weight 7");
	ok("server web/a weight 10"); /* as the file has it, and yet said */
	json_decref(ask(&fixture, "transfer prohibit weather", "transfer"));
	config = running(&root);
	json_decref(root);
	load_table_apply(fixture.parts.load, config, NOW);
	o = shown("web", "b");
	assert_number(o, "weight", 7);
	assert_is_null(o, "weight_admin");
	json_decref(o);
	o = shown("web", "a");
	assert_number(o, "weight_admin", 10); /* the file has not come to say so: it always did */
	json_decref(o);
	o = shown("web", "c");
	assert_text(o, "origin", "file");
	json_decref(o);
	assert_false(load_table_service(fixture.parts.load, WEATHER)->transfer_set);
	assert_false(load_table_service(fixture.parts.load, WEATHER)->transfer_permitted);
	config_free(config);
}

static void
test_transfer_reset(void **state)
{
	const struct service *web = load_table_service(fixture.parts.load, WEB);

	(void)state;
	json_decref(ask(&fixture, "transfer prohibit", "transfer"));
	assert_true(web->transfer_set && !web->transfer_permitted);
	json_decref(ask(&fixture, "transfer reset web", "transfer"));
	assert_true(!web->transfer_set && web->transfer_permitted);
	assert_string_equal(logged,
	    "transfer permission changed service=web transfer=permit by=configuration uid=0");
}

static void
test_coordinator(void **state)
{
	static const char *const lines[] = {"server add web/a address 10.1.0.1",
	    "server remove web/a", "server set web/a port 1", "server reset web/a",
	    "server web/a drain", "transfer permit web", "explain 192.0.2.1 web",
	    "show servers web"};
	struct control_fixture c;

	(void)state;
	control_fixture_init(&c,
	    "site = \"hub\"; role = \"coordinator\"; load: { listen = \"192.0.2.1:7210\";"
	    " certificate = \"/a.crt\"; key = \"/a.key\"; ca = \"/ca.crt\";"
	    " accept_unknown = true; };",
	    64);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_error(&c, lines[i], CONTROL_NOT_FOUND,
		    "this is a coordinator: it has no services and no servers");
	control_fixture_fini(&c);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_add),
	    T(test_words),
	    T(test_refused),
	    T(test_set),
	    T(test_set_address),
	    T(test_remove),
	    T(test_remove_with_connections),
	    T(test_running),
	    T(test_saved),
	    T(test_transfer_reset),
	    cmocka_unit_test(test_coordinator),
	};
#undef T

	log_open("test", true);
	return cmocka_run_group_tests_name("control_servers", tests, NULL, NULL);
}
