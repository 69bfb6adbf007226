/*
 * views_keys: the keys of transfer packets, as far as they are no secret.
 */
#include <stdio.h>

#include "control/views.h"

static void
key_object(struct request *request, const struct keyring_entry *entry)
{
	const struct site *site = load_table_site(request->parts->load, entry->site);
	struct json *json = &request->json;
	char index[16];

	snprintf(index, sizeof(index), "%08x", (unsigned)entry->index);
	json_begin_object(json, NULL);
	json_put_string(json, "site", site != NULL ? site->name : NULL);
	json_put_string(json, "direction", entry->transmit ? "out" : "in");
	json_put_string(json, "index", index);
	json_put_string(json, "cipher", keys_cipher_name(entry->cipher));
	json_put_uint(json, "epoch", entry->epoch);
	json_put_uint(json, "packets", entry->packets);
	json_put_bool(json, "usable", entry->usable);
	json_end_object(json);
}

void
view_keys(struct request *request)
{
	const struct keyring *ring = request->parts->keyring;
	struct keyring_entry entry;
	uint32_t sites = load_table_sites(request->parts->load);

	json_begin_array(&request->json, "keys");
	/* in the order of the sites; keys of no site come last */
	for (uint32_t site = 0; ring != NULL && site <= sites; site++) {
		uint32_t cursor = 0;

		while (keyring_next(ring, &cursor, &entry))
			if (entry.site == site || (site == sites && entry.site > sites))
				key_object(request, &entry);
	}
	json_end_array(&request->json);
}
