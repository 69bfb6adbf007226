/*
 * What control sees: addresses, ages, counts, names.
 */
#include "connection/internal.h"

struct addr
connection_client(const struct connection_table *table, const struct connection *c)
{
	(void)table;
	return (struct addr){.ip = c->client, .port = c->client_port};
}

struct addr
connection_service(const struct connection_table *table, const struct connection *c)
{
	return (struct addr){
	    .ip = *pool_ip(&table->pool, c->service_ip),
	    .port = c->service_port,
	};
}

struct addr
connection_self(const struct connection_table *table, const struct connection *c)
{
	return (struct addr){
	    .ip = *connection_self_ip(table, c),
	    .port = c->self_port,
	};
}

struct addr
connection_server(const struct connection_table *table, const struct connection *c)
{
	return (struct addr){
	    .ip = *pool_ip(&table->pool, c->server_ip),
	    .port = c->server_port,
	};
}

uint64_t
connection_idle_ms(const struct connection_table *table, const struct connection *c, uint64_t now)
{
	uint64_t touched = table->start + c->touched * TICK;

	return now > touched ? (now - touched) / CLOCK_MILLISECOND : 0;
}

uint64_t
connection_remaining_ms(
    const struct connection_table *table, const struct connection *c, uint64_t now)
{
	uint64_t deadline = table->start + connection_queue_deadline(table, c) * TICK;

	return deadline > now ? (deadline - now) / CLOCK_MILLISECOND : 0;
}

uint64_t
connection_table_now(const struct connection_table *table)
{
	return table->start + table->tick * TICK;
}

bool
connection_is_spent(const struct connection *c)
{
	return c->unkeyed && connection_is_one_sided(c);
}

bool
connection_is_older(const struct connection_table *table, const struct connection *c,
    uint64_t age, uint64_t time)
{
	return table->start + (c->opened + UINT64_C(1)) * TICK + age <= time;
}

struct connection *
connection_walk_some(
    struct connection_table *table, uint32_t *cursor, uint32_t *budget, bool *done)
{
	struct connection *c;

	for (*done = false; *cursor<table->fresh && * budget> 0; --*budget) {
		c = &table->records[(*cursor)++];
		if (c->flags & FLAG_LIVE) {
			--*budget;
			return c;
		}
	}
	*done = *cursor >= table->fresh;
	return NULL;
}

struct connection *
connection_walk(struct connection_table *table, uint32_t *cursor)
{
	uint32_t budget = UINT32_MAX;
	bool done;

	return connection_walk_some(table, cursor, &budget, &done);
}

uint64_t
connection_table_evicted(const struct connection_table *table)
{
	return table->evicted;
}

void
connection_table_counts(const struct connection_table *table, struct connection_counts *counts)
{
	uint32_t i;

	*counts = (struct connection_counts){
	    .live = table->live,
	    .capacity = table->capacity,
	};
	for (i = 0; i < CONNECTION_KINDS; i++)
		counts->by_kind[i] = table->by_kind[i];
	for (i = 0; i < CONNECTION_STATES; i++)
		counts->by_state[i] = table->by_state[i];
}

double
connection_table_bytes_each(const struct connection_table *table)
{
	return (double)table->octets / table->capacity;
}

const char *
connection_kind_name(enum connection_kind kind)
{
	static const char *const names[CONNECTION_KINDS] = {
	    [CONNECTION_LOCAL] = "local",
	    [CONNECTION_TRANSFERRED] = "transferred",
	    [CONNECTION_RECEIVED] = "received",
	    [CONNECTION_PASSED] = "passed",
	};

	return (unsigned)kind < CONNECTION_KINDS ? names[kind] : "unknown";
}

const char *
connection_state_name(enum connection_state state)
{
	static const char *const names[CONNECTION_STATES] = {
	    [CONNECTION_OPENING] = "opening",
	    [CONNECTION_ESTABLISHED] = "established",
	    [CONNECTION_CLOSING] = "closing",
	    [CONNECTION_TIME_WAIT] = "time_wait",
	};

	return (unsigned)state < CONNECTION_STATES ? names[state] : "unknown";
}
