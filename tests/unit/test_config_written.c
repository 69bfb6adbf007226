/*
 * Every setting that a file can have is written: each in turn is given another value, which has to
 * be in the text, and to be the same when the text is read.  The tables say which settings there
 * are, so that nobody has to think of this test.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "config/changes.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/write.h"
#include "fixture.h"

/* One of everything that there can be several of. */
static const char base[] =
    "site = \"tokyo\"; self_addresses = [ \"198.51.100.20\" ];"
    "services: ({ name = \"web\"; address = [ \"203.0.113.10\", \"2001:db8::10\" ];"
    " ports = [ 80 ]; agent: { port = 1; };"
    " servers: ({ name = \"a\"; address = [ \"10.1.0.11\", \"2001:db8:1::11\" ]; }); });"
    "load: { listen = \"192.0.2.1:7210\"; certificate = \"/a.crt\"; key = \"/a.key\";"
    " ca = \"/ca.crt\"; coordinators: ({ site = \"kyoto\"; load = \"192.0.2.7:1\"; }); };"
    "transfer: { listen = \"192.0.2.1:7210\"; };"
    "peers: ({ site = \"osaka\"; load = \"192.0.2.2:1\"; transfer = \"192.0.2.2:2\"; });";

/* Texts of every kind; each kind of setting takes at least one. */
static const char *const samples[] = {"other", "senders", "/x/y", "www.example.org:81", "204",
    "\\x00z", "a.example AAAA", "192.0.2.99:99",
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"};

/* Where the walk over the tables is. */
struct place {
	const char *path;
	const struct key *keys, *key;
	size_t group, element; /* the object is in that list of groups, in that of its elements */
	bool in_group, in_element;
};

static unsigned tried, refused;

/* The object that the key is of, in that configuration. */
static void *
object_of(const struct place *p, struct config *config)
{
	char *object = (char *)config;

	if (p->in_group)
		object = *(char **)(object + p->group);
	if (p->in_element)
		object = *(char **)(object + p->element);
	assert_non_null(object);
	return object;
}

static uint64_t
number_of(const struct key *key, const char *field)
{
	uint32_t four = 0;
	uint16_t two = 0;

	if (key->size == 1)
		return *(const uint8_t *)field;
	if (key->size == sizeof(two)) {
		memcpy(&two, field, sizeof(two));
		return two;
	}
	assert_int_equal(key->size, sizeof(four));
	memcpy(&four, field, sizeof(four));
	return four;
}

/* Another number than the one that is there. */
static void
change_number(const struct key *key, void *object, char *field)
{
	uint64_t now = number_of(key, field), next = (uint64_t)key->max;

	key_store(key, object, now == next ? next - 1 : next);
	assert_int_not_equal(number_of(key, field), now);
}

static void
change_choice(const struct key *key, void *object, char *field)
{
	uint64_t now = number_of(key, field);
	const struct key_choice *c = key->choices;

	while (c->name != NULL && c->value == now)
		c++;
	assert_non_null(c->name);
	key_store(key, object, c->value);
}

/* False if no sample is another value. */
static bool
change_text(const struct key *key, void *object, size_t from)
{
	for (size_t i = from; i < sizeof(samples) / sizeof(samples[0]); i++)
		if (key_take_text(key, object, samples[i]) == 0)
			return true;
	return false;
}

/* Gives the setting another value; of a list, its first. */
static void
change(const struct place *p, void *object)
{
	const struct key *key = p->key;
	char *field = (char *)object + key->offset;
	struct ip ip;

	switch (key->type) {
	case KEY_BOOL:
		*(bool *)field = !*(bool *)field;
		break;
	case KEY_INTEGER:
		change_number(key, object, field);
		break;
	case KEY_REAL:
		*(double *)field = *(double *)field == key->max ? key->min : key->max;
		break;
	case KEY_CHOICE:
		change_choice(key, object, field);
		break;
	case KEY_IP_PAIR:
		assert_int_equal(ip_parse("192.0.2.177", (struct ip *)(void *)field), 0);
		break;
	case KEY_IPS:
		assert_int_equal(ip_parse("192.0.2.177", &ip), 0);
		**(struct ip **)(void *)field = ip;
		break;
	case KEY_PORTS:
		**(uint16_t **)(void *)field = 177;
		break;
	default:
		if (!change_text(key, object, 0))
			fail_msg("%s: no sample that it takes; add one", p->path);
	}
}

/* The check's settings are written if its type reads them. */
static void
choose_type(const struct place *p, struct config_service *service)
{
	if (p->keys != keys_of_check())
		return;
	service->check.type = CONFIG_CHECK_TCP;
	while (!key_is_read(p->key, service->check.type))
		service->check.type++;
	assert_true(service->check.type < CONFIG_CHECK_TYPES);
}

/* What stands in one text and is the other's value, after it was read. */
static void
read_back(const struct place *p, const char *text, const char *full)
{
	struct config_faults faults;
	struct config *config = config_parse(text, "t.conf", &faults);
	char *again;

	tried++;
	if (config == NULL) {
		/* what must not be by itself, such as a coordinator with services */
		print_message("%s: %s\n", p->path, faults.text[0]);
		refused++;
	} else {
		again = config_text(config);
		assert_string_equal(again, full);
		free(again);
	}
	config_faults_free(&faults);
	config_free(config);
}

static void
try_key(const struct place *p)
{
	struct config *config = fixture_config(base);
	char *before, *full, *brief, *brief_before;

	choose_type(p, &config->services[0]);
	before = config_text(config);
	brief_before = config_text_brief(config);
	change(p, object_of(p, config));
	full = config_text(config);
	brief = config_text_brief(config);
	if (strcmp(before, full) == 0)
		fail_msg("%s is not written", p->path);
	if (strcmp(brief_before, brief) == 0)
		fail_msg("%s is not written if defaults are left out", p->path);
	read_back(p, full, full);
	read_back(p, brief, full);
	free(before);
	free(brief_before);
	free(full);
	free(brief);
	config_free(config);
}

static void
walk(const struct place *above, const struct key *keys)
{
	for (const struct key *key = keys; key->name != NULL; key++) {
		struct place p = *above;
		char *path =
		    xasprintf("%s%s%s", above->path, *above->path != '\0' ? "." : "", key->name);

		p.path = path;
		p.keys = keys;
		p.key = key;
		if (key->type == KEY_GROUPS && p.in_group) {
			assert_false(p.in_element);
			p.in_element = true;
			p.element = key->offset;
		} else if (key->type == KEY_GROUPS) {
			p.in_group = true;
			p.group = key->offset;
		}
		if (key->keys != NULL)
			walk(&p, key->keys);
		else
			try_key(&p);
		free(path);
	}
}

static void
test_every_setting(void **state)
{
	struct place top = {.path = ""};

	(void)state;
	tried = refused = 0;
	walk(&top, keys_root);
	print_message("%u texts read back, %u of them refused\n", tried, refused);
	assert_true(tried > 150);
	/* a few cannot be alone: role, user and so on; most can */
	assert_true(refused * 3 < tried);
}

/* Left out is what is the default, and nothing else. */
static void
test_brief(void **state)
{
	struct config *config = fixture_config(base);
	char *text = config_text_brief(config);

	(void)state;
	assert_non_null(strstr(text, "site = \"tokyo\";\n"));
	assert_null(strstr(text, "device"));
	assert_null(strstr(text, "timeouts"));
	assert_null(strstr(text, "weight"));
	assert_null(strstr(text, "scheduler"));
	assert_non_null(strstr(text, "type = \"tcp\";\n"));
	free(text);
	config_free(config);
}

/* Not every preset is that of the table: a check of UDP is of another type unless it is said. */
static void
test_brief_udp(void **state)
{
	static const char *const types[] = {"tcp", "icmp", "none"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *text =
		    xasprintf("site = \"tokyo\"; services: ({ name = \"dns\";"
			      " protocol = \"udp\"; address = \"203.0.113.10\";"
			      " ports = [ 53 ]; check: { type = \"%s\"; };"
			      " servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); });",
			types[i]);
		struct config *config = fixture_config(text), *again;
		char *brief = config_text_brief(config);

		again = fixture_config(brief);
		assert_int_equal(config->services[0].check.type, again->services[0].check.type);
		config_free(config);
		config_free(again);
		free(brief);
		free(text);
	}
}

/* A copy shares nothing with what it was made of, and says the same. */
static void
test_copy(void **state)
{
	struct config *config = fixture_config(base), *copy = config_copy(config);
	char *a = config_text(config), *b;

	(void)state;
	config_free(config);
	b = config_text(copy);
	assert_string_equal(a, b);
	free(a);
	free(b);
	config_free(copy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_setting),
	    cmocka_unit_test(test_brief),
	    cmocka_unit_test(test_brief_udp),
	    cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests_name("config_written", tests, NULL, NULL);
}
