#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/agents.h"
#include "agent/agent.h"
#include "agent_rig.h"

static struct agents *agents;

#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int
setup(void **state)
{
	*state = rig_new();
	agents = NULL;
	return 0;
}

static int
teardown(void **state)
{
	agents_free(agents);
	rig_free(*state);
	return 0;
}

static void
apply(struct rig *r)
{
	load_table_apply(r->table, &r->config, clock_now());
	if (agents == NULL)
		agents = agents_new(r->loop, r->table, &r->counters, &r->random);
	else
		agents_refresh(agents);
}

static struct server *
server(struct rig *r, uint32_t number)
{
	return load_table_server(r->table, number);
}

static uint64_t
counter(struct rig *r, enum counter number)
{
	return r->counters.counter[number];
}

/* One server, one agent with a script; runs until it has been asked so often. */
static void
ask(struct rig *r, const char *const *script, uint64_t times)
{
	struct scripted *agent = rig_agent(r, 0, "127.0.0.1", 0, script);

	r->services[0].agent.port = agent->port;
	rig_server(r, 0, "127.0.0.1");
	apply(r);
	rig_until(r, counter(r, COUNTER_agents_asked) >= times);
}

static void
test_all_kinds(void **state)
{
	struct rig *r = *state;
	struct server *s;

	log_set_level(LOG_LEVEL_INFO);
	log_set_hook(rig_keep_log, r);
	ask(r, SAYS("75%,maxconn:30,maint,down #disk\n"), 1);
	s = server(r, 0);
	assert_true(s->agent_down && s->agent_maint && !s->agent_drain);
	assert_int_equal(s->weight, 7);
	assert_int_equal(s->weight_configured, 10);
	assert_int_equal(s->max_connections, 30);
	assert_float_equal(s->agent_load, 0.25, 1e-9);
	assert_string_equal(s->agent_why, "agent says down");
	assert_string_equal(s->agent_text, "disk");
	assert_null(s->agent_fault);
	assert_true(s->agent_said_at != 0);
	assert_false(server_usable(s));
	/* what others set and measured is as it was */
	assert_int_equal(s->state, SERVER_UP);
	assert_int_equal(s->admin, SERVER_ENABLED);
	assert_int_equal(counter(r, COUNTER_agents_silent), 0);
	rig_until(r, counter(r, COUNTER_agents_asked) >= 4);
	/* said again and again, logged once */
	assert_string_equal(
	    r->log, "agent service=web server=s0 says=\"down maint 75% maxconn:30 #disk\"\n");
}

/* What a reply does not say, is not so any more. */
static void
test_each_complete(void **state)
{
	struct rig *r = *state;
	uint64_t version;

	ask(r, SAYS("drain 50% maxconn:10 #x\n", "weight:3\n", "up\n"), 1);
	assert_true(server(r, 0)->agent_drain);
	assert_int_equal(server(r, 0)->weight, 5);
	assert_int_equal(load_table_service(r->table, 0)->up, 0);
	version = load_table_service(r->table, 0)->version;
	rig_until(r, counter(r, COUNTER_agents_asked) >= 2);
	assert_false(server(r, 0)->agent_drain);
	assert_int_equal(server(r, 0)->weight, 3);
	assert_true(server(r, 0)->agent_load < 0);
	assert_int_equal(server(r, 0)->max_connections, LOAD_SELF_PORTS);
	assert_string_equal(server(r, 0)->agent_text, "");
	assert_int_equal(load_table_service(r->table, 0)->up, 1);
	assert_true(load_table_service(r->table, 0)->version != version);
	version = load_table_service(r->table, 0)->version;
	rig_until(r, counter(r, COUNTER_agents_asked) >= 3);
	assert_int_equal(server(r, 0)->weight, 10);
	assert_true(load_table_service(r->table, 0)->version != version);
	/* saying the same again changes nothing */
	version = load_table_service(r->table, 0)->version;
	rig_until(r, counter(r, COUNTER_agents_asked) >= 5);
	assert_int_equal(load_table_service(r->table, 0)->version, version);
}

static void
test_failed_check_stands(void **state)
{
	struct rig *r = *state;

	ask(r, SAYS("up ready 100%\n"), 1);
	assert_true(server_usable(server(r, 0)));
	load_table_server_set_state(r->table, 0, SERVER_DOWN, "connection refused", clock_now());
	rig_until(r, counter(r, COUNTER_agents_asked) >= 4);
	assert_false(server_usable(server(r, 0)));
	assert_int_equal(server(r, 0)->state, SERVER_DOWN);
	assert_string_equal(server(r, 0)->why, "connection refused");
}

static void
test_administrator_stands(void **state)
{
	struct rig *r = *state;

	ask(r, SAYS("up ready weight:8\n"), 1);
	load_table_server_set_admin(r->table, 0, SERVER_DISABLED, clock_now());
	load_table_server_set_weight(r->table, 0, 2);
	rig_until(r, counter(r, COUNTER_agents_asked) >= 3);
	assert_false(server_usable(server(r, 0)));
	assert_int_equal(server(r, 0)->weight, 2);
	load_table_server_set_weight(r->table, 0, 20);
	assert_int_equal(server(r, 0)->weight, 8);
	load_table_server_set_weight(r->table, 0, LOAD_NONE);
	assert_int_equal(server(r, 0)->weight, 8);
}

/* 30% of a weight of 1 is neither nothing nor all of it. */
static void
test_small_weights(void **state)
{
	struct rig *r = *state;
	uint64_t version;

	ask(r, SAYS("30%\n", "31%\n", "0%\n"), 1);
	load_table_server_set_weight(r->table, 0, 1);
	assert_int_equal(server(r, 0)->weight, 1);
	assert_int_equal(server(r, 0)->weight_parts, LOAD_RAMP * 30 / 100);
	assert_true(server_usable(server(r, 0)));
	version = load_table_service(r->table, 0)->version;
	rig_until(r, counter(r, COUNTER_agents_asked) >= 2);
	assert_int_equal(server(r, 0)->weight_parts, LOAD_RAMP * 31 / 100);
	assert_true(load_table_service(r->table, 0)->version != version);
	rig_until(r, counter(r, COUNTER_agents_asked) >= 3);
	assert_int_equal(server(r, 0)->weight, 0);
	assert_int_equal(load_table_service(r->table, 0)->up, 0);
}

/* The larger of both counts, and each can take its own back. */
static void
test_script_beside(void **state)
{
	struct rig *r = *state;

	ask(r, SAYS("75%\n", "up\n"), 1);
	assert_float_equal(server_load(server(r, 0)), 0.25, 1e-9);
	load_table_server_set_script(r->table, 0, 0.4);
	assert_float_equal(server_load(server(r, 0)), 0.4, 1e-9);
	load_table_server_set_script(r->table, 0, 0.1);
	assert_float_equal(server_load(server(r, 0)), 0.25, 1e-9);
	rig_until(r, counter(r, COUNTER_agents_asked) >= 2);
	assert_float_equal(server_load(server(r, 0)), 0.1, 1e-9);
	assert_int_equal(server(r, 0)->weight, 10);
	load_table_server_set_script(r->table, 0, -1);
	assert_float_equal(server_load(server(r, 0)), 0, 1e-9);
}

/* The agent is gone: what it said last stays, and it shows. */
static void
test_silence(void **state)
{
	struct rig *r = *state;
	uint64_t said;
	uint16_t port;

	ask(r, SAYS("drain 50%\n"), 2);
	port = r->agents[0].port;
	log_set_level(LOG_LEVEL_INFO);
	log_set_hook(rig_keep_log, r);
	scripted_stop(&r->agents[0]);
	rig_until(r, counter(r, COUNTER_agents_silent) >= 3);
	said = server(r, 0)->agent_said_at;
	assert_true(said != 0 && said < clock_now());
	assert_string_equal(server(r, 0)->agent_fault, "connection refused");
	assert_true(server(r, 0)->agent_drain);
	assert_int_equal(server(r, 0)->weight, 5);

	rig_agent(r, 0, "127.0.0.1", port, SAYS("ready\n"));
	rig_until(r, server(r, 0)->agent_fault == NULL);
	assert_false(server(r, 0)->agent_drain);
	assert_true(server(r, 0)->agent_said_at > said);
	assert_non_null(strstr(r->log, "agent does not answer address=127.0.0.1:"));
	assert_non_null(strstr(r->log, "agent answers again address=127.0.0.1:"));
	/* each once */
	assert_ptr_equal(strstr(r->log, "does not"), strstr(r->log, "agent does") + 6);
	assert_null(strstr(strstr(r->log, "does not") + 1, "does not"));
}

/* An agent that was never there takes no server out. */
static void
test_never(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;

	close(rig_socket("127.0.0.1", &port)); /* nobody there any more */
	r->services[0].agent.port = port;
	rig_server(r, 0, "127.0.0.1");
	apply(r);
	assert_string_equal(server(r, 0)->agent_fault, "not asked yet");
	rig_until(r, counter(r, COUNTER_agents_silent) >= 2);
	assert_true(server_usable(server(r, 0)));
	assert_int_equal(server(r, 0)->agent_said_at, 0);
	assert_string_equal(server(r, 0)->agent_fault, "connection refused");
}

static void
fault(struct rig *r, const char *line, const char *text)
{
	const char *script[] = {"drain\n", line, NULL};

	ask(r, script, 1);
	rig_until(r, counter(r, COUNTER_agents_silent) >= 1);
	assert_string_equal(server(r, 0)->agent_fault, text);
	assert_true(server(r, 0)->agent_drain);
}

static void
test_closes(void **state)
{
	fault(*state, "", "closed before an answer");
}

static void
test_cut(void **state)
{
	fault(*state, "up ready", "closed before the end of a line");
}

static void
test_no_word(void **state)
{
	struct rig *r = *state;

	fault(r, "HTTP/1.1 400 Bad Request\r\n", "answer without a word of the agent protocol");
	assert_true(counter(r, COUNTER_agent_words_unknown) >= 4);
}

static void
test_long(void **state)
{
	char line[WORDS_LINE + 10];

	memset(line, ' ', sizeof(line));
	memcpy(line, "up", 2);
	line[sizeof(line) - 1] = '\0';
	fault(*state, line, "answer without the end of a line");
}

static void
test_unknown_words(void **state)
{
	struct rig *r = *state;

	ask(r, SAYS("up hello 30% world\n"), 1);
	assert_int_equal(server(r, 0)->weight, 3);
	assert_int_equal(
	    counter(r, COUNTER_agent_words_unknown), 2 * counter(r, COUNTER_agents_asked));
	assert_int_equal(counter(r, COUNTER_agents_silent), 0);
}

/* It accepts and says nothing: the timeout ends that, and asking goes on. */
static void
test_holds(void **state)
{
	struct rig *r = *state;
	struct scripted *agent = rig_agent(r, 0, "127.0.0.1", 0, SAYS("drain\n"));

	agent->holds = true;
	r->services[0].agent.port = agent->port;
	rig_server(r, 0, "127.0.0.1");
	apply(r);
	rig_until(r, counter(r, COUNTER_agents_silent) >= 3);
	assert_string_equal(server(r, 0)->agent_fault, "accepted, but no answer in time");
	assert_true(server_usable(server(r, 0)));
	assert_in_range(agent->most, 1, 2);
}

/* What is to be sent arrives, and the answer comes behind it. */
static void
test_send(void **state)
{
	struct rig *r = *state;
	struct scripted *agent = rig_agent(r, 0, "127.0.0.1", 0, SAYS("20%\n"));

	agent->wants = "web\r\n";
	r->services[0].agent.port = agent->port;
	assert_int_equal(octets_parse("web\\r\\n", &r->services[0].agent.send), 0);
	rig_server(r, 0, "127.0.0.1");
	apply(r);
	rig_until(r, counter(r, COUNTER_agents_asked) >= 2);
	assert_int_equal(server(r, 0)->weight, 2);
	assert_int_equal(counter(r, COUNTER_agents_silent), 0);
}

static void
test_v6(void **state)
{
	struct rig *r = *state;
	struct scripted *agent;
	struct config_server *c;

	if (access("/proc/sys/net/ipv6", F_OK) == -1)
		skip();
	agent = rig_agent(r, 0, "::1", 0, SAYS("drain\n"));
	c = rig_server(r, 0, "127.0.0.1");
	c->agent_port = agent->port;
	assert_int_equal(ip_parse("::1", &c->agent_v6), 0);
	apply(r);
	rig_until(r, counter(r, COUNTER_agents_asked) >= 1);
	assert_true(server(r, 0)->agent_drain);
}

/* Three servers of two services at one address: one question, three servers that are told. */
static void
test_shared(void **state)
{
	struct rig *r = *state;
	struct scripted *agent = rig_agent(r, 0, "127.0.0.1", 0, SAYS("drain\n"));
	struct scripted *other = rig_agent(r, 1, "127.0.0.1", 0, SAYS("50%\n"));

	r->config.services_count = 2;
	r->services[0].agent.port = r->services[1].agent.port = agent->port;
	r->services[0].agent.interval = 0.1; /* the shortest counts */
	rig_server(r, 0, "127.0.0.1")->port = 80;
	rig_server(r, 0, "127.0.0.1")->port = 81;
	rig_server(r, 0, "127.0.0.1")->port = 82;
	r->servers[0][2].agent_port = other->port;
	rig_server(r, 1, "127.0.0.1");
	apply(r);
	rig_until(r, agent->asked >= 4 && other->asked >= 2);
	rig_until(r, server(r, 3)->agent_drain);
	assert_true(server(r, 0)->agent_drain && server(r, 1)->agent_drain);
	assert_false(server(r, 2)->agent_drain);
	assert_int_equal(server(r, 2)->weight, 5);
	assert_true(counter(r, COUNTER_agents_asked) <= agent->asked + other->asked);
	/* every 50 ms and every 100 ms */
	assert_true(agent->asked > other->asked);
}

/* Another text makes another question of it. */
static void
test_not_shared(void **state)
{
	struct rig *r = *state;
	struct agent **list;
	size_t count;

	r->config.services_count = 3;
	for (int i = 0; i < 3; i++) {
		r->services[i].agent.port = 9;
		rig_server(r, i, "192.0.2.1");
	}
	assert_int_equal(octets_parse("mail\\n", &r->services[1].agent.send), 0);
	r->services[2].agent.interval = 0.06;
	r->services[2].agent.timeout = 3;
	load_table_apply(r->table, &r->config, clock_now());
	list = agent_list(r->table, &count);
	assert_int_equal(count, 2);
	assert_int_equal(list[0]->servers_count, 2);
	assert_int_equal(list[0]->servers[0], 0);
	assert_int_equal(list[0]->servers[1], 2);
	assert_float_equal(list[0]->interval, 0.05, 1e-9);
	assert_float_equal(list[0]->timeout, 0.05, 1e-9);
	assert_int_equal(list[1]->servers_count, 1);
	assert_true(agent_compare(list[0], list[1]) < 0);
	for (size_t i = 0; i < count; i++)
		agent_free(list[i]);
	free(list);
}

static void
test_reload(void **state)
{
	struct rig *r = *state;
	uint16_t port;
	unsigned asked;

	ask(r, SAYS("drain 50% #x\n"), 1);
	port = r->agents[0].port;

	/* one more with the same agent knows at once */
	rig_server(r, 0, "127.0.0.1")->port = 81;
	asked = r->agents[0].asked;
	apply(r);
	assert_int_equal(r->agents[0].asked, asked);
	assert_true(server(r, 1)->agent_drain);
	assert_int_equal(server(r, 1)->weight, 5);
	assert_true(server(r, 0)->agent_drain);

	/* another one: what the old one said is over */
	rig_agent(r, 1, "127.0.0.1", 0, SAYS("maint\n"));
	r->servers[0][0].agent_port = r->agents[1].port;
	apply(r);
	assert_false(server(r, 0)->agent_drain);
	assert_string_equal(server(r, 0)->agent_fault, "not asked yet");
	assert_true(server(r, 1)->agent_drain);
	rig_until(r, server(r, 0)->agent_maint);

	/* none any more: as if there had never been one */
	r->services[0].agent.port = r->servers[0][0].agent_port = 0;
	apply(r);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(server_usable(server(r, i)));
		assert_int_equal(server(r, i)->weight, 10);
		assert_true(server(r, i)->agent_load < 0);
		assert_string_equal(server(r, i)->agent_text, "");
		assert_int_equal(server(r, i)->agent_at.port, 0);
		assert_null(server(r, i)->agent_fault);
	}
	asked = r->agents[0].asked + r->agents[1].asked;
	rig_run(r, 200);
	assert_int_equal(r->agents[0].asked + r->agents[1].asked, asked);

	/* a server that goes takes its agent along, while it is asked */
	r->services[0].agent.port = port;
	r->agents[0].holds = true;
	apply(r);
	rig_until(r, r->agents[0].asked + r->agents[1].asked > asked);
	r->services[0].servers_count = 0;
	apply(r);
	assert_int_equal(server(r, 0)->agent_at.port, port);
	asked = r->agents[0].asked;
	rig_run(r, 200);
	assert_int_equal(r->agents[0].asked, asked);
}

/* Hundreds of agents that hold: questions are bounded, and each gets its turn. */
static void
test_many(void **state)
{
	struct rig *r = *state;
	struct scripted *agent = rig_agent(r, 0, "0.0.0.0", 0, SAYS("up\n"));
	char ip[32];

	agent->holds = true;
	r->services[0].agent.port = agent->port;
	r->services[0].agent.timeout = r->services[0].agent.interval = 0.3;
	for (int i = 0; i < RIG_SERVERS; i++) {
		snprintf(ip, sizeof(ip), "127.1.%d.%d", i / 200, 1 + i % 200);
		rig_server(r, 0, ip);
		snprintf(r->names[i], sizeof(r->names[i]), "s%d", i);
	}
	apply(r);
	rig_until(r, counter(r, COUNTER_agents_asked) >= 2 * RIG_SERVERS);
	assert_in_range(agent->most, 200, 300);
	for (uint32_t i = 0; i < RIG_SERVERS; i++)
		assert_string_equal(server(r, i)->agent_fault, "accepted, but no answer in time");
}

/* First questions do not come all at once. */
static void
test_spread(void **state)
{
	struct rig *r = *state;
	struct scripted *agent = rig_agent(r, 0, "0.0.0.0", 0, SAYS("up\n"));
	char ip[32];

	r->services[0].agent.port = agent->port;
	r->services[0].agent.timeout = r->services[0].agent.interval = 0.5;
	for (int i = 0; i < 100; i++) {
		snprintf(ip, sizeof(ip), "127.1.0.%d", 1 + i);
		rig_server(r, 0, ip);
	}
	apply(r);
	rig_run(r, 100);
	assert_in_range(agent->asked, 5, 80);
	rig_until(r, agent->asked >= 100);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_all_kinds),
	    TEST(test_each_complete),
	    TEST(test_failed_check_stands),
	    TEST(test_administrator_stands),
	    TEST(test_small_weights),
	    TEST(test_script_beside),
	    TEST(test_silence),
	    TEST(test_never),
	    TEST(test_closes),
	    TEST(test_cut),
	    TEST(test_no_word),
	    TEST(test_long),
	    TEST(test_unknown_words),
	    TEST(test_holds),
	    TEST(test_send),
	    TEST(test_v6),
	    TEST(test_shared),
	    TEST(test_not_shared),
	    TEST(test_reload),
	    TEST(test_many),
	    TEST(test_spread),
	};

	return cmocka_run_group_tests_name("agents", tests, NULL, NULL);
}
