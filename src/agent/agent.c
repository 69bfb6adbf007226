#include "agent/agent.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* A server and where its agent is. */
struct wish {
	uint32_t server;
	const struct addr *at;
	const struct config_agent *agent;
};

static int
compare(const struct addr *at, const struct octets *send, const struct addr *other_at,
    const struct octets *other_send)
{
	int order = addr_compare(at, other_at);

	if (order != 0)
		return order;
	if (send->len != other_send->len)
		return send->len < other_send->len ? -1 : 1;
	return memcmp(send->data, other_send->data, send->len);
}

int
agent_compare(const struct agent *a, const struct agent *b)
{
	return compare(&a->at, &a->send, &b->at, &b->send);
}

static int
compare_wishes(const void *a, const void *b)
{
	const struct wish *one = a, *other = b;
	int order = compare(one->at, &one->agent->send, other->at, &other->agent->send);

	return order != 0 ? order : (one->server > other->server) - (one->server < other->server);
}

static struct wish *
wishes_of(struct load_table *table, size_t *count)
{
	uint32_t servers = load_table_servers(table);
	struct wish *wishes = xcalloc(servers > 0 ? servers : 1, sizeof(*wishes));

	*count = 0;
	for (uint32_t i = 0; i < servers; i++) {
		const struct server *server = load_table_server(table, i);

		if (server->present && server->agent_at.port != 0)
			wishes[(*count)++] = (struct wish){.server = i,
			    .at = &server->agent_at,
			    .agent = &load_table_service(table, server->service)->agent};
	}
	qsort(wishes, *count, sizeof(*wishes), compare_wishes);
	return wishes;
}

/* Of so many wishes for the same. */
static struct agent *
agent_new(const struct wish *wishes, size_t count)
{
	struct agent *agent = xcalloc(1, sizeof(*agent));

	agent->at = *wishes[0].at;
	agent->send = wishes[0].agent->send;
	agent->servers = xcalloc(count, sizeof(*agent->servers));
	agent->servers_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct config_agent *wish = wishes[i].agent;

		agent->servers[i] = wishes[i].server;
		if (i == 0 || wish->interval < agent->interval) {
			agent->interval = wish->interval;
			agent->timeout = wish->timeout;
		}
	}
	return agent;
}

struct agent **
agent_list(struct load_table *table, size_t *count)
{
	size_t wishes_count, from = 0, to;
	struct wish *wishes = wishes_of(table, &wishes_count);
	struct agent **list =
	    xcalloc(wishes_count > 0 ? wishes_count : 1, sizeof(struct agent *));

	*count = 0;
	for (; from < wishes_count; from = to) {
		for (to = from + 1; to < wishes_count; to++)
			if (compare(wishes[from].at, &wishes[from].agent->send, wishes[to].at,
				&wishes[to].agent->send) != 0)
				break;
		list[(*count)++] = agent_new(&wishes[from], to - from);
	}
	free(wishes);
	return list;
}

void
agent_free(struct agent *agent)
{
	free(agent->servers);
	free(agent);
}
