/*
 * Servers that administrators changed beside the file: edits, what they are refused for, and what
 * is left of them with a new file.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/changes.h"
#include "config/write.h"
#include "fixture.h"

#define HEAD \
	"site = \"tokyo\"; self_addresses = [ \"198.51.100.20\" ];" \
	"services: ({ name = \"web\"; address = [ \"203.0.113.10\", \"2001:db8::10\" ];" \
	" ports = [ 80, 443 ]; servers: ("
#define TAIL \
	" ); }, { name = \"dns\"; protocol = \"udp\"; address = \"203.0.113.11\"; ports = [ " \
	"53 ];" \
	" servers: ({ name = \"a\"; address = \"10.1.0.13\"; }); });"
#define A "{ name = \"a\"; address = \"10.1.0.11\"; port = 8080; weight = 10; }"
#define B "{ name = \"b\"; address = [ \"10.1.0.12\", \"2001:db8:1::12\" ]; }"

static const char text[] = HEAD A ", " B TAIL;

/* The file, and what is in force. */
struct rig {
	struct config *file, *running;
	struct config_changes changes;
	char error[CONFIG_CHANGE_ERROR];
};

static struct rig rig;

static int
setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.file = fixture_config(text);
	rig.running = config_changes_apply(&rig.changes, rig.file);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	config_changes_fini(&rig.changes);
	config_free(rig.running);
	config_free(rig.file);
	return 0;
}

/* An edit with settings "name value name value"; false with the sentence in rig.error. */
static bool
edit(enum config_edit_kind kind, const char *service, const char *name, const char *settings)
{
	char copy[256], *next = copy, *setting, *value;
	struct config_edit wanted;
	struct config *running;

	snprintf(copy, sizeof(copy), "%s", settings);
	config_edit_init(&wanted, kind, service, name);
	while ((setting = strsep(&next, " ")) != NULL && *setting != '\0') {
		value = strsep(&next, " ");
		assert_non_null(value);
		if (config_edit_take(&wanted, setting, value, rig.error, sizeof(rig.error)) == -1)
			return false;
	}
	running =
	    config_changes_edit(&rig.changes, rig.file, &wanted, rig.error, sizeof(rig.error));
	if (running == NULL)
		return false;
	config_free(rig.running);
	rig.running = running;
	return true;
}

static const struct config_server *
server(const char *service, const char *name)
{
	return config_find_server(config_find_service(rig.running, service), name);
}

static void
assert_refused(enum config_edit_kind kind, const char *service, const char *name,
    const char *settings, const char *part)
{
	size_t count = rig.changes.count;
	char *before = config_text(rig.running), *after;

	rig.error[0] = '\0';
	if (edit(kind, service, name, settings))
		fail_msg("taken: %s/%s %s", service, name, settings);
	if (strstr(rig.error, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, rig.error);
	after = config_text(rig.running);
	assert_string_equal(before, after);
	assert_int_equal(rig.changes.count, count);
	free(before);
	free(after);
}

static void
test_add(void **state)
{
	const struct config_server *s;

	(void)state;
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c",
	    "address 10.1.0.14,2001:db8:1::14 port 81 max-connections 50 backup true"));
	s = server("web", "c");
	assert_non_null(s);
	assert_true(s->added);
	assert_false(s->removed);
	assert_int_equal(s->port, 81);
	assert_int_equal(s->weight, 1);
	assert_int_equal(s->max_connections, 50);
	assert_true(s->backup);
	assert_false(ip_is_zero(&s->v4) || ip_is_zero(&s->v6));
	assert_int_equal(rig.running->services[0].servers_count, 3);
	/* the file is as it was, and a second one is another */
	assert_int_equal(rig.file->services[0].servers_count, 2);
	assert_true(edit(CONFIG_EDIT_ADD, "web", "d", "address 10.1.0.14"));
	assert_int_equal(rig.changes.count, 2);
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "c", ""));
	assert_null(server("web", "c"));
	assert_int_equal(rig.changes.count, 1);
}

static void
test_add_refused(void **state)
{
	(void)state;
	assert_refused(CONFIG_EDIT_ADD, "nothing", "c", "address 10.1.0.14", "no service");
	assert_refused(CONFIG_EDIT_ADD, "web", "a", "address 10.1.0.14", "already");
	assert_refused(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.11 port 8080",
	    "10.1.0.11 on the same port is server \"a\" already");
	assert_refused(CONFIG_EDIT_ADD, "web", "c", "address 2001:db8:1::12", "server \"b\"");
	/* b takes the port that the client asks for: 80 and 443 */
	assert_refused(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.12 port 443", "server \"b\"");
	assert_refused(CONFIG_EDIT_ADD, "web", "c", "address 203.0.113.11",
	    "203.0.113.11 is the address of service \"dns\"");
	assert_refused(CONFIG_EDIT_ADD, "web", "c", "address 198.51.100.20", "self_addresses");
	assert_refused(CONFIG_EDIT_ADD, "web", "c", "address 127.0.0.1", "loopback");
	assert_refused(CONFIG_EDIT_ADD, "dns", "c", "address 2001:db8:1::14",
	    "is an IPv6 address, but the service has only an IPv4 address");
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.12 port 81"));
	assert_refused(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.15", "already");
}

static void
test_bad_settings(void **state)
{
	static const struct {
		const char *setting, *value, *part;
	} bad[] = {
	    {"address", "", "IPv4 or IPv6"},
	    {"address", "10.1.0.1,", "IPv4 or IPv6"},
	    {"address", "10.1.0.1,10.1.0.2", "one of each"},
	    {"address", "::ffff:10.1.0.1", "IPv4 or IPv6"},
	    {"address", "::", "IPv4 or IPv6"},
	    {"address", "10.1.0.1:80", "IPv4 or IPv6"},
	    {"port", "0", "1 to 65535"},
	    {"port", "65536", "1 to 65535"},
	    {"port", "-1", "1 to 65535"},
	    {"port", "4294967376", "1 to 65535"},
	    {"port", "99999999999999999999", "1 to 65535"},
	    {"port", "80 ", "1 to 65535"},
	    {"port", "reset", "1 to 65535"},
	    {"weight", "65536", "0 to 65535"},
	    {"weight", "client", "0 to 65535"},
	    {"max-connections", "4294967296", "0 to 4294967295"},
	    {"max_connections", "many", "0 to 4294967295"},
	    {"backup", "yes", "true or false"},
	    {"name", "other", "no setting \"name\""},
	    {"colour", "red", "no setting \"colour\""},
	};
	struct config_edit wanted;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config_edit_init(&wanted, CONFIG_EDIT_ADD, "web", "c");
		assert_int_equal(config_edit_take(&wanted, bad[i].setting, bad[i].value,
				     rig.error, sizeof(rig.error)),
		    -1);
		if (strstr(rig.error, bad[i].part) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", bad[i].part, rig.error);
		assert_int_equal(wanted.set, 0);
	}
}

static void
test_set(void **state)
{
	uint32_t port = 0;

	(void)state;
	while (strcmp(config_server_setting(port), "port") != 0)
		port++;
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "port 81 backup true"));
	assert_int_equal(server("web", "a")->port, 81);
	assert_int_equal(server("web", "a")->weight, 10);
	assert_true(server("web", "a")->backup);
	assert_false(server("web", "a")->added);
	/* to what the file says is not changed at all */
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "backup false"));
	assert_int_equal(server("web", "a")->changed, 1u << port);
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "port client"));
	assert_int_equal(server("web", "a")->port, 0);
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "port reset"));
	assert_int_equal(server("web", "a")->port, 8080);
	assert_int_equal(rig.changes.count, 0);
	assert_refused(CONFIG_EDIT_SET, "web", "a", "address 10.1.0.12 port 80", "server \"b\"");
	assert_refused(CONFIG_EDIT_SET, "web", "c", "port 1", "no server \"c\" in service web");
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.14 port 9"));
	assert_true(edit(CONFIG_EDIT_SET, "web", "c", "port 10"));
	assert_int_equal(server("web", "c")->port, 10);
	assert_refused(CONFIG_EDIT_SET, "web", "c", "port reset", "nothing in the file");
}

static void
test_remove_and_reset(void **state)
{
	(void)state;
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "port 81"));
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "a", ""));
	assert_true(server("web", "a")->removed);
	assert_refused(CONFIG_EDIT_REMOVE, "web", "a", "", "has been removed");
	assert_refused(CONFIG_EDIT_SET, "web", "a", "port 1", "has been removed");
	assert_refused(CONFIG_EDIT_REMOVE, "web", "b", "", "at least one server");
	assert_refused(CONFIG_EDIT_REMOVE, "dns", "a", "", "at least one server");
	/* whoever is out is in nobody's way, until it is to come back */
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.11 port 8080"));
	assert_refused(CONFIG_EDIT_RESET, "web", "a", "", "server \"c\" already");
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "c", ""));
	assert_true(edit(CONFIG_EDIT_RESET, "web", "a", ""));
	assert_false(server("web", "a")->removed);
	assert_int_equal(server("web", "a")->port, 8080);
	assert_int_equal(rig.changes.count, 0);
	assert_true(edit(CONFIG_EDIT_RESET, "web", "a", "")); /* nothing to do */
	assert_refused(CONFIG_EDIT_RESET, "web", "z", "", "no server");
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.14"));
	assert_refused(CONFIG_EDIT_RESET, "web", "c", "", "added at run time");
}

/* A name of the file, once removed, can be given to another machine. */
static void
test_add_instead(void **state)
{
	(void)state;
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "a", ""));
	assert_true(edit(CONFIG_EDIT_ADD, "web", "a", "address 10.1.0.15"));
	assert_false(server("web", "a")->removed);
	assert_false(server("web", "a")->added);
	assert_int_equal(server("web", "a")->port, 0);
	assert_int_equal(server("web", "a")->weight, 1);
	assert_int_equal(rig.changes.count, 1);
	assert_true(edit(CONFIG_EDIT_RESET, "web", "a", ""));
	assert_int_equal(server("web", "a")->weight, 10);
}

/* What is written is what is in force, and is the file of the next one. */
static void
test_written(void **state)
{
	struct config *again;
	char *written;

	(void)state;
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.14 weight 5"));
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "b", ""));
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "max-connections 7"));
	config_drop_removed(rig.running);
	written = config_text_brief(rig.running);
	again = fixture_config(written);
	assert_int_equal(again->services[0].servers_count, 2);
	assert_string_equal(again->services[0].servers[0].name, "a");
	assert_int_equal(again->services[0].servers[0].max_connections, 7);
	assert_string_equal(again->services[0].servers[1].name, "c");
	assert_int_equal(again->services[0].servers[1].weight, 5);
	assert_false(again->services[0].servers[1].added);
	free(written);
	config_free(again);
}

/* ---- a new file ---- */

static char ended[4][512];
static size_t ended_count;

static void
note_ended(void *arg, const struct config_change *change, const char *reason, bool conflict)
{
	assert_ptr_equal(arg, &rig);
	assert_true(ended_count < 4);
	snprintf(ended[ended_count++], sizeof(ended[0]), "%s/%s%s: %s", change->service,
	    change->server.name, conflict ? "!" : "", reason);
}

/* What is in force with another file. */
static void
rebase(const char *new_text)
{
	ended_count = 0;
	config_free(rig.file);
	config_free(rig.running);
	rig.file = fixture_config(new_text);
	rig.running = config_changes_rebase(&rig.changes, rig.file, note_ended, &rig);
}

static void
test_same_file_again(void **state)
{
	(void)state;
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.14"));
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "b", ""));
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "port 81"));
	rebase(text);
	assert_int_equal(ended_count, 0);
	assert_int_equal(server("web", "a")->port, 81);
	assert_true(server("web", "b")->removed);
	assert_true(server("web", "c")->added);
}

static void
test_file_takes_over(void **state)
{
	(void)state;
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.14 weight 3"));
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "b", ""));
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "port 81"));
	rebase(HEAD "{ name = \"a\"; address = \"10.1.0.11\"; port = 81; },"
		    "{ name = \"c\"; address = \"10.1.0.44\"; }" TAIL);
	assert_int_equal(ended_count, 3);
	assert_string_equal(ended[0], "web/a: the file says the same now");
	assert_string_equal(ended[1], "web/b: the file has no such server any more");
	assert_string_equal(ended[2], "web/c: the file has a server of that name now");
	assert_int_equal(rig.changes.count, 0);
	assert_int_equal(server("web", "c")->weight, 1);
	assert_null(server("web", "b"));
}

/* Part of what was set is in the file now: the rest goes on. */
static void
test_partly_the_same(void **state)
{
	(void)state;
	assert_true(edit(CONFIG_EDIT_SET, "web", "a", "port 81 max-connections 9"));
	rebase(HEAD "{ name = \"a\"; address = \"10.1.0.11\"; port = 81; }, " B TAIL);
	assert_int_equal(ended_count, 0);
	assert_int_equal(server("web", "a")->max_connections, 9);
	rebase(HEAD "{ name = \"a\"; address = \"10.1.0.11\"; port = 82; }, " B TAIL);
	assert_int_equal(server("web", "a")->port, 82); /* was the file's */
	assert_int_equal(server("web", "a")->max_connections, 9);
}

static void
test_contradiction(void **state)
{
	(void)state;
	assert_true(edit(CONFIG_EDIT_ADD, "web", "c", "address 10.1.0.14"));
	assert_true(edit(CONFIG_EDIT_ADD, "dns", "c", "address 10.1.0.14"));
	rebase(HEAD A ", { name = \"x\"; address = \"10.1.0.14\"; }" TAIL);
	assert_int_equal(ended_count, 1);
	assert_string_equal(
	    ended[0], "web/c!: 10.1.0.14 on the same port is server \"x\" already");
	assert_null(server("web", "c"));
	assert_non_null(server("dns", "c"));
}

static void
test_service_gone(void **state)
{
	(void)state;
	assert_true(edit(CONFIG_EDIT_ADD, "dns", "c", "address 10.1.0.14"));
	rebase("site = \"tokyo\"; services: ({ name = \"web\"; address = \"203.0.113.10\";"
	       " ports = [ 80 ]; servers: ( " A " ); });");
	assert_int_equal(ended_count, 1);
	assert_string_equal(ended[0], "dns/c: the file has no such service any more");
	assert_int_equal(rig.changes.count, 0);
}

static void
test_limit(void **state)
{
	char name[16], settings[64];

	(void)state;
	for (unsigned i = 0; i < CONFIG_CHANGES_MAX; i++) {
		struct config_edit wanted;

		snprintf(name, sizeof(name), "s%u", i);
		snprintf(settings, sizeof(settings), "10.%u.%u.1", 2 + i / 256, i % 256);
		if (i % 1024 != 0) { /* most of them without the configuration in between */
			rig.changes.change = realloc(rig.changes.change,
			    (rig.changes.count + 1) * sizeof(*rig.changes.change));
			config_edit_init(&wanted, CONFIG_EDIT_ADD, "web", name);
			assert_int_equal(config_edit_take(&wanted, "address", settings,
					     rig.error, sizeof(rig.error)),
			    0);
			wanted.server.name = strdup(name);
			rig.changes.change[rig.changes.count++] =
			    (struct config_change){.service = strdup("web"),
				.server = wanted.server,
				.set = wanted.set,
				.added = true};
			continue;
		}
		snprintf(settings, sizeof(settings), "address 10.%u.%u.1", 2 + i / 256, i % 256);
		assert_true(edit(CONFIG_EDIT_ADD, "web", name, settings));
	}
	assert_refused(CONFIG_EDIT_ADD, "web", "more", "address 10.99.0.1", "save");
	assert_true(edit(CONFIG_EDIT_REMOVE, "web", "s1", ""));
	assert_true(edit(CONFIG_EDIT_ADD, "web", "more", "address 10.99.0.1"));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_add),
	    T(test_add_refused),
	    T(test_bad_settings),
	    T(test_set),
	    T(test_remove_and_reset),
	    T(test_add_instead),
	    T(test_written),
	    T(test_same_file_again),
	    T(test_file_takes_over),
	    T(test_partly_the_same),
	    T(test_contradiction),
	    T(test_service_gone),
	    T(test_limit),
	};
#undef T

	return cmocka_run_group_tests_name("config_changes", tests, NULL, NULL);
}
