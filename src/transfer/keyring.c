#include "transfer/keyring.h"

#include <stdlib.h>

#include "base/xalloc.h"

#define SLOT_MASK (KEYRING_SLOTS - 1)

struct slot {
	uint32_t index;         /* 0: free */
	struct transfer_rx *rx; /* NULL: reserved, the key is to come */
	uint16_t site;
	struct addr from;
};

struct keyring {
	struct random *random;
	struct slot slots[KEYRING_SLOTS];
	struct transfer_tx **tx; /* by site; NULL: no key */
	size_t tx_count;
};

struct keyring *
keyring_new(struct random *random)
{
	struct keyring *ring = xcalloc(1, sizeof(*ring));

	ring->random = random;
	return ring;
}

void
keyring_free(struct keyring *ring)
{
	if (ring == NULL)
		return;
	for (size_t i = 0; i < KEYRING_SLOTS; i++)
		transfer_rx_free(ring->slots[i].rx);
	for (size_t i = 0; i < ring->tx_count; i++)
		transfer_tx_free(ring->tx[i]);
	free(ring->tx);
	free(ring);
}

/* The slot of an index that is reserved or entered, or NULL. */
static struct slot *
slot_find(struct keyring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index & SLOT_MASK];

	return index != 0 && slot->index == index ? slot : NULL;
}

/* The part of an index above the slot's number; never 0, so that no index is. */
static uint32_t
random_high(struct random *random)
{
	return (1 + random_below(random, UINT32_MAX / KEYRING_SLOTS)) * KEYRING_SLOTS;
}

uint32_t
keyring_reserve(struct keyring *ring)
{
	uint32_t start = random_below(ring->random, KEYRING_SLOTS);

	for (uint32_t i = 0; i < KEYRING_SLOTS; i++) {
		uint32_t number = (start + i) & SLOT_MASK;
		struct slot *slot = &ring->slots[number];

		if (slot->index != 0)
			continue;
		slot->index = random_high(ring->random) | number;
		return slot->index;
	}
	return 0;
}

int
keyring_enter(struct keyring *ring, uint32_t index, struct transfer_rx *rx, uint16_t site,
    const struct addr *from)
{
	struct slot *slot = slot_find(ring, index);

	if (slot == NULL || slot->rx != NULL || rx == NULL) {
		transfer_rx_free(rx);
		return -1;
	}
	slot->rx = rx;
	slot->site = site;
	slot->from = *from;
	return 0;
}

void
keyring_remove(struct keyring *ring, uint32_t index)
{
	struct slot *slot = slot_find(ring, index);

	if (slot == NULL)
		return;
	transfer_rx_free(slot->rx);
	*slot = (struct slot){0};
}

struct transfer_rx *
keyring_find(struct keyring *ring, uint32_t index, uint16_t *site, struct addr *from)
{
	struct slot *slot = slot_find(ring, index);

	if (slot == NULL || slot->rx == NULL)
		return NULL;
	*site = slot->site;
	*from = slot->from;
	return slot->rx;
}

static void
tx_make_room(struct keyring *ring, uint16_t site)
{
	size_t count = (size_t)site + 1;

	if (count <= ring->tx_count)
		return;
	ring->tx = xrealloc_array(ring->tx, count, sizeof(ring->tx[0]));
	for (size_t i = ring->tx_count; i < count; i++)
		ring->tx[i] = NULL;
	ring->tx_count = count;
}

void
keyring_set_tx(struct keyring *ring, uint16_t site, struct transfer_tx *tx)
{
	if (tx == NULL && site >= ring->tx_count)
		return;
	tx_make_room(ring, site);
	if (ring->tx[site] != tx)
		transfer_tx_free(ring->tx[site]);
	ring->tx[site] = tx;
}

struct transfer_tx *
keyring_tx(struct keyring *ring, uint16_t site)
{
	return site < ring->tx_count ? ring->tx[site] : NULL;
}

static void
describe_rx(const struct slot *slot, struct keyring_entry *entry)
{
	*entry = (struct keyring_entry){.site = slot->site,
	    .index = slot->index,
	    .cipher = transfer_rx_cipher(slot->rx),
	    .epoch = transfer_rx_epoch(slot->rx),
	    .packets = transfer_rx_opened(slot->rx),
	    .usable = true};
}

static void
describe_tx(const struct transfer_tx *tx, uint16_t site, struct keyring_entry *entry)
{
	*entry = (struct keyring_entry){.site = site,
	    .transmit = true,
	    .index = transfer_tx_index(tx),
	    .cipher = transfer_tx_cipher(tx),
	    .epoch = transfer_tx_epoch(tx),
	    .packets = transfer_tx_sealed(tx),
	    .usable = transfer_tx_usable(tx)};
}

bool
keyring_next(const struct keyring *ring, uint32_t *cursor, struct keyring_entry *entry)
{
	for (; *cursor < KEYRING_SLOTS; (*cursor)++) {
		const struct slot *slot = &ring->slots[*cursor];

		if (slot->rx == NULL)
			continue;
		describe_rx(slot, entry);
		(*cursor)++;
		return true;
	}
	for (; *cursor - KEYRING_SLOTS < ring->tx_count; (*cursor)++) {
		uint16_t site = (uint16_t)(*cursor - KEYRING_SLOTS);

		if (ring->tx[site] == NULL)
			continue;
		describe_tx(ring->tx[site], site, entry);
		(*cursor)++;
		return true;
	}
	return false;
}

void
keyring_next_epoch(struct keyring *ring)
{
	for (size_t i = 0; i < ring->tx_count; i++)
		if (ring->tx[i] != NULL)
			transfer_tx_next_epoch(ring->tx[i]);
}

void
keyring_expire(struct keyring *ring, uint64_t now)
{
	for (size_t i = 0; i < KEYRING_SLOTS; i++)
		if (ring->slots[i].rx != NULL)
			transfer_rx_expire(ring->slots[i].rx, now);
}
