/*
 * fuzz_control: requests of a control client, against a small site with everything in it.
 *
 * The first octet says whether the caller may change; each line after it is a request.
 * Whatever it is: an answer is framed right, and its JSON is JSON.  So is the event that the
 * line would be in the log.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "control/control.h"
#include "control/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW      (100 * CLOCK_SECOND)
#define REQUESTS 16 /* of one input */

#define EDITS_MAX 8 /* servers that differ from the configuration */

static const char text[] =
    "site = \"tokyo\"; services: ("
    " { name = \"web\"; address = [ \"203.0.113.10\", \"2001:db8::10\" ]; protocol = \"tcp\";"
    "   ports = [ 80, 443 ]; persistence: { timeout = 60; mask_v4 = 24; };"
    "   client_limit: { connections = 2; rate = 0.5; }; servers: ( { name = \"a\"; address = "
    "\"10.1.0.11\"; port = 8080; "
    "},"
    "   { name = \"b\"; address = [ \"10.1.0.12\", \"2001:db8:1::12\" ]; } ); },"
    " { name = \"weather\"; address = \"203.0.113.11\"; protocol = \"udp\"; ports = [ 53 ];"
    "   scheduler = \"rr\"; servers: ( { name = \"a\"; address = \"10.1.0.13\"; } ); } );"
    "load: { listen = \"192.0.2.1:7210\"; certificate = \"/a.crt\"; key = \"/a.key\";"
    " ca = \"/ca.crt\"; }; transfer: { listen = \"192.0.2.1:7210\"; };"
    "peers: ( { site = \"osaka\"; load = \"192.0.2.2:7210\"; transfer = \"192.0.2.2:7210\"; } "
    ");";

static struct control_parts parts;
static struct counters counters;
static struct control_reload last_reload;
static struct config_changes changes;

/* Refuses and does by turns; what it says is no text. */
static int
fake_reload(void *arg, char *error, size_t size)
{
	static unsigned turn;

	(void)arg;
	snprintf(error, size, "\n\xff:1: \"\x01\n\nx");
	return ++turn % 2 == 0 ? 0 : -1;
}

/* Servers come and go as the daemon has them do, up to a number. */
static int
do_edit(void *arg, const struct config_edit *edit, char *error, size_t size)
{
	struct config *running;

	if (((struct config_changes *)arg)->count >= EDITS_MAX)
		config_changes_fini(arg);
	running = config_changes_edit(arg, parts.config, edit, error, size);
	if (running == NULL)
		return -1;
	load_table_apply(parts.load, running, NOW);
	config_free(running);
	return 0;
}

static int64_t
fake_expiry(void *arg)
{
	(void)arg;
	return INT64_MAX;
}

/* Each time something else comes of it, or nothing. */
static void
fake_probe(void *arg, uint32_t number)
{
	struct site *site = load_table_site(parts.load, number);
	static unsigned turn;

	(void)arg;
	turn++;
	load_table_site_set_path(parts.load, number, (enum site_path)(turn % 3), NOW);
	if (turn % 2 == 0)
		load_table_site_direct_reported(
		    parts.load, number, (enum site_direct)(turn % 3), NOW);
	site->path_answered = turn % 4 != 0 ? NOW : 0;
	site->mtu_confirmed = site->direct_judged = turn % 5 != 0 ? NOW : NOW - 1;
	site->path_mtu = turn % 7 * 1000;
	site->path_rtt = turn % 6 / 10.0;
}

/* The other site, all of it: services, session, keys. */
static void
make_osaka(void)
{
	struct site_service *s = xcalloc(1, sizeof(*s));

	s->name = xstrdup("web");
	s->protocol = IPPROTO_TCP;
	load_table_site_services(parts.load, 0, s, 1);
	s->reported = s->permitted = true;
	s->servers_up = 2;
	s->transferable = 100;
	s->received_at = NOW;
	load_table_site_session(parts.load, 0, SITE_SESSION, NOW);
	load_table_site_keys(parts.load, 0, true, NOW);
	parts.probe = fake_probe;
}

/* What is of no site is shown as well. */
static void
make_keys(struct random *random)
{
	static const uint8_t direction[KEYS_SECRET_LEN];
	struct keyring *ring = keyring_new(random);
	struct addr from = {.port = 1};

	keyring_set_tx(ring, 0, transfer_tx_new(KEYS_AES_128_GCM, direction, 1));
	keyring_enter(ring, keyring_reserve(ring), transfer_rx_new(KEYS_AES_128_GCM, direction),
	    0, &from);
	keyring_enter(ring, keyring_reserve(ring), transfer_rx_new(KEYS_AES_128_GCM, direction),
	    7, &from);
	parts.keyring = ring;
}

static void
open_connection(
    const char *client, enum connection_kind kind, uint16_t relay_port, struct random *random)
{
	struct connection_new what = {.kind = kind,
	    .protocol = IPPROTO_TCP,
	    .relayed = relay_port != 0,
	    .relay_port = relay_port,
	    .site = kind == CONNECTION_LOCAL ? CONNECTION_NO_SITE : 0,
	    .server_number = kind == CONNECTION_TRANSFERRED ? CONNECTION_NO_SERVER : 0};
	struct connection *c;
	bool existed;

	if (addr_parse(client, &what.client) < 0 ||
	    addr_parse("203.0.113.10:443", &what.service) < 0 ||
	    addr_parse("10.1.0.11:8080", &what.server) < 0)
		abort();
	what.self.ip = what.service.ip;
	if (connection_open(parts.connections, &what, random, NOW, &c, &existed) != DROP_none)
		abort();
	if (kind == CONNECTION_LOCAL || kind == CONNECTION_TRANSFERRED)
		allocation_opened(parts.allocation, c, NOW);
}

/* Before the first connection: so each is counted. */
static void
remember_clients(const struct connection_settings *settings)
{
	if (allocation_remember_clients(
		parts.allocation, settings->capacity, &settings->hash_key) < 0)
		abort();
	allocation_apply_clients(parts.allocation, parts.connections, NOW);
}

static void
make_site(void)
{
	static const struct connection_settings settings = {
	    .capacity = 64, .timeouts = {60, 7440, 240, 120, 300, 30, 60}, .hash_key = {{1, 2}}};
	struct config_faults faults;
	struct config *config = config_parse(text, "fuzz", &faults);
	static struct random random;

	if (config == NULL)
		abort();
	config_faults_free(&faults);
	random_init(&random, 1);
	log_set_level(LOG_LEVEL_ERROR);
	parts.config = config;
	parts.load = load_table_new();
	load_table_apply(parts.load, config, NOW);
	parts.allocation = allocation_new(parts.load, 1.0);
	parts.connections = connection_table_new(&settings, NOW);
	remember_clients(&settings);
	parts.counters = &counters;
	parts.started = NOW;
	parts.reload = fake_reload;
	parts.changes = &changes;
	parts.edit = do_edit;
	parts.edit_arg = &changes;
	parts.last_reload = &last_reload;
	parts.certificate_expiry = fake_expiry;
	make_keys(&random);
	for (uint32_t i = 0; i < load_table_servers(parts.load); i++)
		load_table_server_set_state(parts.load, i, SERVER_UP, NULL, NOW);
	make_osaka();
	open_connection("192.0.2.1:4000", CONNECTION_LOCAL, 0, &random);
	open_connection("192.0.2.2:4000", CONNECTION_TRANSFERRED, 0, &random);
	open_connection("192.0.2.3:4000", CONNECTION_RECEIVED, 0, &random);
	open_connection("192.0.2.2:4001", CONNECTION_TRANSFERRED, 40000, &random);
	open_connection("192.0.2.3:4001", CONNECTION_RECEIVED, 40000, &random);
}

static void
check_answer(const char *answer, size_t len)
{
	char *body;
	unsigned long length;
	json_t *root;

	if (len < 7 || answer[len - 1] != '\n')
		abort();
	if (strncmp(answer, "err ", 4) == 0) {
		if (answer[4] < '1' || answer[4] > '4' || strchr(answer, '\n') != answer + len - 1)
			abort();
		return;
	}
	if (strcmp(answer, "ok stream\n") == 0)
		return;
	length = strtoul(answer + 3, &body, 10);
	if (strncmp(answer, "ok ", 3) != 0 || *body != '\n' ||
	    (size_t)(body + 1 - answer) + length != len)
		abort();
	root = json_loadb(body + 1, length, JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL)
		abort();
	json_decref(root);
}

/* What was asked might stand in a line of the log, in whatever form. */
static void
check_event(const char *line, size_t len)
{
	char *copy = xcalloc(1, len + 1);
	struct json json;
	json_t *root;

	memcpy(copy, line, len);
	json_init(&json);
	event_json(&json, LOG_LEVEL_INFO, copy, 1);
	if (memchr(json.data, '\n', json.len) != json.data + json.len - 1)
		abort();
	root = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL)
		abort();
	json_decref(root);
	json_fini(&json);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data + 1;
	const char *end = (const char *)data + size;
	int may_change;

	if (parts.load == NULL)
		make_site();
	if (size == 0)
		return 0;
	may_change = data[0] & 1;
	for (int i = 0; i < REQUESTS && line <= end; i++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((newline != NULL ? newline : end) - line), answer_len;
		char *answer = control_answer(&parts, line, len, 0, may_change, NOW, &answer_len);

		check_answer(answer, answer_len);
		check_event(line, len);
		free(answer);
		if (newline == NULL)
			break;
		line = newline + 1;
	}
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}
