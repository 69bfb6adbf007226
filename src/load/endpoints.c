#include "load/endpoints.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/siphash.h"
#include "base/xalloc.h"

struct slot {
	struct addr addr;
	uint8_t protocol;
	uint32_t value; /* UINT32_MAX: free */
};

struct endpoints {
	struct siphash_key key;
	size_t mask, used;
	struct slot *slots;
};

struct endpoints *
endpoints_new(size_t count)
{
	struct endpoints *e = xcalloc(1, sizeof(*e));
	size_t size = 8;

	while (size < 2 * count)
		size *= 2;
	e->mask = size - 1;
	e->slots = xcalloc(size, sizeof(*e->slots));
	for (size_t i = 0; i < size; i++)
		e->slots[i].value = UINT32_MAX;
	random_system(&e->key, sizeof(e->key));
	return e;
}

void
endpoints_free(struct endpoints *e)
{
	if (e == NULL)
		return;
	free(e->slots);
	free(e);
}

/* The slot that holds the endpoint, or the free one where it would go. */
static struct slot *
slot_find(const struct endpoints *e, const struct addr *addr, uint8_t protocol)
{
	uint8_t octets[19];
	size_t i;

	memcpy(octets, &addr->ip, 16);
	memcpy(octets + 16, &addr->port, 2);
	octets[18] = protocol;
	i = siphash13(&e->key, octets, sizeof(octets)) & e->mask;
	while (e->slots[i].value != UINT32_MAX &&
	    (e->slots[i].protocol != protocol || !addr_equal(&e->slots[i].addr, addr)))
		i = (i + 1) & e->mask;
	return &e->slots[i];
}

void
endpoints_add(struct endpoints *e, const struct addr *addr, uint8_t protocol, uint32_t value)
{
	struct slot *slot = slot_find(e, addr, protocol);

	/* more than was announced: half a table must stay free to end a search */
	if (slot->value != UINT32_MAX || e->used * 2 > e->mask)
		return;
	e->used++;
	*slot = (struct slot){*addr, protocol, value};
}

uint32_t
endpoints_find(const struct endpoints *e, const struct addr *addr, uint8_t protocol)
{
	return e == NULL ? UINT32_MAX : slot_find(e, addr, protocol)->value;
}
