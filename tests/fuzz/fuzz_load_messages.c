/*
 * A stream of load exchange messages, as a session reads it.  What decodes is encoded and decoded
 * again, and must be the same.
 */
#include <stdlib.h>
#include <string.h>

#include "load/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static void
check_name(const char *name)
{
	size_t len = strnlen(name, CODEC_NAME_MAX + 1);

	check(len >= 1 && len <= CODEC_NAME_MAX);
}

static void
same_hello(const struct hello *a, const struct hello *b)
{
	check(a->version == b->version && strcmp(a->site, b->site) == 0 &&
	    a->boot_id == b->boot_id && addr_equal(&a->transfer, &b->transfer) &&
	    a->key_index == b->key_index &&
	    memcmp(a->random, b->random, KEYS_RANDOM_LEN) == 0 && a->cipher == b->cipher &&
	    a->interval_ms == b->interval_ms && a->demand_port == b->demand_port &&
	    a->ciphers_count == b->ciphers_count && a->ciphers_count <= HELLO_CIPHERS_MAX &&
	    memcmp(a->ciphers, b->ciphers, a->ciphers_count) == 0 &&
	    (a->load.port == 0 || addr_equal(&a->load, &b->load)) &&
	    a->services_count == b->services_count);
	for (size_t i = 0; i < a->services_count; i++) {
		const struct hello_service *s = &a->services[i], *t = &b->services[i];

		check_name(s->name);
		check(strcmp(s->name, t->name) == 0 && s->number == t->number &&
		    s->protocol == t->protocol && ip_equal(&s->v4, &t->v4) &&
		    ip_equal(&s->v6, &t->v6) && s->ports_count == t->ports_count &&
		    memcmp(s->ports, t->ports, s->ports_count * sizeof(s->ports[0])) == 0);
		check(s->servers_count == t->servers_count &&
		    s->servers_count <= HELLO_SERVERS_MAX);
		for (size_t j = 0; j < s->servers_count; j++)
			check(!ip_is_zero(&s->servers[j].ip) &&
			    addr_equal(&s->servers[j], &t->servers[j]));
	}
}

static void
try_hello(const uint8_t *body, size_t len)
{
	struct codec_buffer b = {0};
	struct hello hello, again;

	if (codec_decode_hello(body, len, &hello) != 0)
		return;
	check_name(hello.site);
	check(hello.services_count <= HELLO_SERVICES_MAX);
	/* without unknown tags it is no longer, but for tags that may lack and are always written */
	if (codec_encode_hello(&b, &hello) == 0) {
		check(codec_decode_hello(
			  b.data + CODEC_HEADER_LEN, b.len - CODEC_HEADER_LEN, &again) == 0);
		same_hello(&hello, &again);
		hello_fini(&again);
	} else {
		check(len > CODEC_MESSAGE_MAX - 22);
	}
	codec_buffer_fini(&b);
	hello_fini(&hello);
}

static void
same_report(const struct load_report *a, const struct load_report *b)
{
	check(a->sequence == b->sequence && a->sent_ms == b->sent_ms && a->echo_ms == b->echo_ms &&
	    a->services_count == b->services_count && a->path_mtu == b->path_mtu &&
	    a->path_mtu <= 65535 && a->direct == b->direct && a->direct <= 2);
	check(a->echo_ms == 0 || a->echo_held_ms == b->echo_held_ms);
	for (size_t i = 0; i < a->services_count; i++) {
		const struct load_report_service *s = &a->services[i], *t = &b->services[i];

		check(s->number == t->number && s->servers_up == t->servers_up &&
		    s->servers_not_high == t->servers_not_high &&
		    s->transferable == t->transferable && s->permitted == t->permitted &&
		    s->load == t->load && s->load <= 1000 && s->active == t->active &&
		    s->held_from_you == t->held_from_you && s->between == t->between);
	}
}

static void
try_load(const uint8_t *body, size_t len)
{
	struct codec_buffer b = {0};
	struct load_report report, again;

	if (codec_decode_load(body, len, &report) != 0)
		return;
	check(report.services_count <= HELLO_SERVICES_MAX);
	check(codec_encode_load(&b, &report) == 0);
	check(codec_decode_load(b.data + CODEC_HEADER_LEN, b.len - CODEC_HEADER_LEN, &again) == 0);
	same_report(&report, &again);
	load_report_fini(&again);
	codec_buffer_fini(&b);
	load_report_fini(&report);
}

static void
try_closed(const uint8_t *body, size_t len)
{
	struct codec_buffer b = {0};
	struct closed closed, again;
	size_t v4 = 0;

	if (codec_decode_closed(body, len, &closed) != 0)
		return;
	check(closed.count <= CLOSED_ENTRIES_MAX);
	check(codec_encode_closed(&b, closed.entries, closed.count) == 0);
	check(codec_decode_closed(b.data + CODEC_HEADER_LEN, b.len - CODEC_HEADER_LEN, &again) ==
	    0);
	check(closed.count == again.count);
	/* the families may have come in another order, each in its own */
	for (size_t i = 0; i < closed.count; i++)
		v4 += ip_is_v4(&closed.entries[i].client.ip);
	for (size_t i = 0, at4 = 0, at6 = v4; i < closed.count; i++) {
		const struct connection_closed *s = &closed.entries[i], *t;

		t = &again.entries[ip_is_v4(&s->client.ip) ? at4++ : at6++];
		check(addr_equal(&s->client, &t->client) && addr_equal(&s->service, &t->service) &&
		    s->protocol == t->protocol && s->reset == t->reset &&
		    s->from_transferor == t->from_transferor && s->seq == t->seq);
	}
	closed_fini(&closed);
	closed_fini(&again);
	codec_buffer_fini(&b);
}

static void
same_record(const struct sites_record *a, const struct sites_record *b)
{
	check_name(a->hello.site);
	check(strcmp(a->hello.site, b->hello.site) == 0 && a->gone == b->gone &&
	    a->silent == b->silent && a->distance == b->distance && a->distance <= 15 &&
	    a->identity == b->identity && a->reported == b->reported);
	if (a->identity)
		check(addr_equal(&a->hello.transfer, &b->hello.transfer) &&
		    (a->load.port == 0 || addr_equal(&a->load, &b->load)) &&
		    a->certified == b->certified &&
		    memcmp(a->certificate, b->certificate, sizeof(a->certificate)) == 0 &&
		    a->hello.services_count == b->hello.services_count);
	if (!a->reported)
		return;
	check(a->age_ms == b->age_ms && a->report.sequence == b->report.sequence &&
	    a->report.services_count == b->report.services_count);
	for (size_t i = 0; i < a->report.services_count; i++)
		check(memcmp(&a->report.services[i], &b->report.services[i],
			  sizeof(a->report.services[i])) == 0 &&
		    a->report.services[i].load <= 1000);
}

/* One message makes one message again, as long as it is not near the limit. */
static void
try_sites(const uint8_t *body, size_t len)
{
	struct sites_writer w;
	struct sites sites, again;

	if (codec_decode_sites(body, len, &sites) != 0)
		return;
	check(sites.count <= SITES_RECORDS_MAX);
	sites_begin(&w, sites.flags);
	for (size_t i = 0; i < sites.count; i++)
		sites_add(&w, &sites.records[i]);
	sites_end(&w);
	if (w.messages == 1 && len < CODEC_MESSAGE_MAX / 2) {
		check(codec_decode_sites(w.b.data + CODEC_HEADER_LEN,
			  w.b.len - CODEC_HEADER_LEN, &again) == 0);
		check(again.count == sites.count);
		for (size_t i = 0; i < sites.count; i++)
			same_record(&sites.records[i], &again.records[i]);
		sites_fini(&again);
	}
	codec_buffer_fini(&w.b);
	sites_fini(&sites);
}

static void
try_small(uint8_t type, const uint8_t *body, size_t len)
{
	struct codec_buffer b = {0};
	enum bye_reason reason, reason_again;
	uint32_t index, index_again;
	struct probe_seen probe, probe_again;

	if (type == MESSAGE_KEY_READY && codec_decode_key_ready(body, len, &index) == 0) {
		check(index != 0 && codec_encode_key_ready(&b, index) == 0);
		check(codec_decode_key_ready(b.data + CODEC_HEADER_LEN,
			  b.len - CODEC_HEADER_LEN, &index_again) == 0);
		check(index == index_again);
	} else if (type == MESSAGE_BYE && codec_decode_bye(body, len, &reason) == 0) {
		check(codec_encode_bye(&b, reason) == 0);
		check(codec_decode_bye(b.data + CODEC_HEADER_LEN, b.len - CODEC_HEADER_LEN,
			  &reason_again) == 0);
		check(reason == reason_again);
	} else if (type == MESSAGE_PROBE && codec_decode_probe(body, len, &probe) == 0) {
		check(codec_encode_probe(&b, &probe) == 0);
		check(codec_decode_probe(b.data + CODEC_HEADER_LEN, b.len - CODEC_HEADER_LEN,
			  &probe_again) == 0);
		check(probe.id == probe_again.id);
	}
	codec_buffer_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t type;
	uint32_t len;

	while (codec_header(data, size, &type, &len) == 1 &&
	    size >= CODEC_HEADER_LEN + (size_t)len) {
		const uint8_t *body = data + CODEC_HEADER_LEN;

		if (type == MESSAGE_HELLO)
			try_hello(body, len);
		else if (type == MESSAGE_LOAD)
			try_load(body, len);
		else if (type == MESSAGE_CLOSED)
			try_closed(body, len);
		else if (type == MESSAGE_SITES)
			try_sites(body, len);
		else
			try_small(type, body, len);
		data += CODEC_HEADER_LEN + (size_t)len;
		size -= CODEC_HEADER_LEN + (size_t)len;
	}
	return 0;
}
