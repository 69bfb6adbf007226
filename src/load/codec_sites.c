/*
 * codec_sites: SITES, bytes <-> struct.
 *
 * A record tells what has changed of a site: a name alone goes before a report or a word on what
 * has become of it.  Many sites take several messages.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "load/codec_internal.h"

enum sites_tag {
	SITES_FLAGS = 1, /* must (1): 1 the first message of a session, 2 the last of those that
	                  * tell all; what earlier sessions told and these do not is void */
	SITES_SITE = 2   /* repeats, up to 4096 times: one site, nested */
};

enum site_tag {
	SITE_NAME = 1,     /* must (1-63): as in its certificate */
	SITE_GONE = 2,     /* (1): 1 the sender knows it no more */
	SITE_DISTANCE = 3, /* (1): in a chain, transfers from the sender to it, 1 to 15; absent:
	                     * a coordinator introduces it */
	SITE_TRANSFER = 4, /* (18): address and port of its transfer packets; with this tag the
	                     * record says all of what the tags up to 9 say */
	SITE_LOAD = 5,     /* (18): where it takes sessions; absent: nowhere */
	SITE_DEMAND_PORT = 6, /* (2): where it takes connection demands */
	SITE_CERTIFICATE = 7, /* (32): SHA-256 of its certificate */
	SITE_INTERVAL = 8,    /* (4): milliseconds between two of its reports */
	SITE_SERVICE = 9,     /* repeats, up to 1024 times: one service, nested as in HELLO */
	SITE_SILENT = 10,     /* (1): 1 it has not reported for too long */
	SITE_REPORT = 11      /* its load, nested */
};

enum site_report_tag {
	SITE_REPORT_AGE = 1,      /* must (4): milliseconds since it was received */
	SITE_REPORT_SEQUENCE = 2, /* must (4): as in the LOAD that it came in */
	SITE_REPORT_SERVICES = 3 /* (29 each, up to 1024 of them): a record for each service, in
	                           * the order of LOAD's tags 1 to 7, 10 and 11; no two have the
	                           * same number */
};

/* Of all messages between sites this is the one that there is most of: number (2), servers up
 * (4) and not highly loaded (4), transferable (4), permitted (1), load (2), active (4), new
 * connections (4), mean life (4). */
#define REPORT_LEN 29

#define FLAGS_AT TLV_HEADER_LEN /* of the body: where the octet of SITES_FLAGS is */

/* ---- out ---- */

static void
put_identity(struct codec_buffer *b, const struct sites_record *r, bool servers)
{
	codec_put_address(b, SITE_TRANSFER, &r->hello.transfer);
	if (r->load.port != 0)
		codec_put_address(b, SITE_LOAD, &r->load);
	if (r->hello.demand_port != 0)
		tlv_put_number(b, SITE_DEMAND_PORT, r->hello.demand_port, 2);
	if (r->certified)
		tlv_put_bytes(b, SITE_CERTIFICATE, r->certificate, sizeof(r->certificate));
	if (r->hello.interval_ms != 0)
		tlv_put_number(b, SITE_INTERVAL, r->hello.interval_ms, 4);
	for (size_t i = 0; i < r->hello.services_count; i++) {
		struct hello_service s = r->hello.services[i];

		if (!servers)
			s.servers_count = 0;
		codec_put_service(b, SITE_SERVICE, &s);
	}
}

static void
put_report_service(uint8_t *at, const struct load_report_service *s)
{
	tlv_store(at, s->number, 2);
	tlv_store(at + 2, s->servers_up, 4);
	tlv_store(at + 6, s->servers_not_high, 4);
	tlv_store(at + 10, s->transferable, 4);
	at[14] = s->permitted;
	tlv_store(at + 15, s->load, 2);
	tlv_store(at + 17, s->active, 4);
	tlv_store(at + 21, s->new_per_second, 4);
	tlv_store(at + 25, s->mean_life, 4);
}

static void
put_site_report(struct codec_buffer *b, const struct sites_record *r)
{
	size_t start = tlv_nest_begin(b, SITE_REPORT), services;

	tlv_put_number(b, SITE_REPORT_AGE, r->age_ms, 4);
	tlv_put_number(b, SITE_REPORT_SEQUENCE, r->report.sequence, 4);
	services = tlv_nest_begin(b, SITE_REPORT_SERVICES);
	for (size_t i = 0; i < r->report.services_count; i++)
		put_report_service(tlv_append(b, REPORT_LEN), &r->report.services[i]);
	tlv_nest_end(b, services);
	tlv_nest_end(b, start);
}

/* How much of a record is told. */
enum extent { NAME_ALONE, WITHOUT_SERVERS, WHOLE };

static void
put_site(struct codec_buffer *b, const struct sites_record *r, enum extent extent)
{
	size_t start = tlv_nest_begin(b, SITES_SITE);

	tlv_put_bytes(b, SITE_NAME, r->hello.site, strlen(r->hello.site));
	if (r->gone)
		tlv_put_number(b, SITE_GONE, 1, 1);
	if (r->distance != 0)
		tlv_put_number(b, SITE_DISTANCE, r->distance, 1);
	if (r->identity && extent != NAME_ALONE)
		put_identity(b, r, extent == WHOLE);
	if (r->silent)
		tlv_put_number(b, SITE_SILENT, 1, 1);
	if (r->reported && extent != NAME_ALONE)
		put_site_report(b, r);
	tlv_nest_end(b, start);
}

static void
begin_message(struct sites_writer *w, uint8_t flags)
{
	w->start = codec_begin(&w->b, MESSAGE_SITES);
	w->records = 0;
	tlv_put_number(&w->b, SITES_FLAGS, flags, 1);
}

void
sites_begin(struct sites_writer *w, uint8_t flags)
{
	*w = (struct sites_writer){.flags = flags};
	begin_message(w, flags & SITES_FIRST);
}

void
sites_end(struct sites_writer *w)
{
	w->b.data[w->start + FLAGS_AT] |= w->flags & SITES_LAST;
	codec_end(&w->b, w->start);
	w->messages++;
}

/* Appends the record to the message under way; false if that has no room for it. */
static bool
fits(struct sites_writer *w, const struct sites_record *record, enum extent extent)
{
	size_t before = w->b.len;

	if (w->records == SITES_RECORDS_MAX)
		return false;
	put_site(&w->b, record, extent);
	if (w->b.len - before <= TLV_HEADER_LEN + TLV_VALUE_MAX &&
	    w->b.len - w->start <= CODEC_MESSAGE_MAX) {
		w->records++;
		return true;
	}
	w->b.len = before;
	return false;
}

bool
sites_add(struct sites_writer *w, const struct sites_record *record)
{
	if (fits(w, record, WHOLE))
		return true;
	if (w->records > 0) {
		codec_end(&w->b, w->start);
		w->messages++;
		begin_message(w, 0);
	}
	return fits(w, record, WHOLE) || fits(w, record, WITHOUT_SERVERS) ||
	    (fits(w, record, NAME_ALONE) && !record->identity && !record->reported);
}

/* ---- in ---- */

static int
take_name(void *out, const uint8_t *value, size_t len)
{
	return codec_take_name(((struct sites_record *)out)->hello.site, value, len);
}

static int
take_transfer(void *out, const uint8_t *value, size_t len)
{
	struct sites_record *r = out;

	(void)len;
	r->identity = true;
	r->hello.transfer = codec_fetch_address(value);
	return 0;
}

static int
take_load(void *out, const uint8_t *value, size_t len)
{
	(void)len;
	((struct sites_record *)out)->load = codec_fetch_address(value);
	return 0;
}

static int
take_certificate(void *out, const uint8_t *value, size_t len)
{
	struct sites_record *r = out;

	r->certified = true;
	memcpy(r->certificate, value, len);
	return 0;
}

static int
take_service(void *out, const uint8_t *value, size_t len)
{
	return codec_take_service(&((struct sites_record *)out)->hello, value, len);
}

static int
take_report_service(struct load_report_service *s, const uint8_t *at)
{
	*s = (struct load_report_service){.number = (uint16_t)tlv_fetch(at, 2),
	    .servers_up = (uint32_t)tlv_fetch(at + 2, 4),
	    .servers_not_high = (uint32_t)tlv_fetch(at + 6, 4),
	    .transferable = (uint32_t)tlv_fetch(at + 10, 4),
	    .permitted = at[14] != 0,
	    .load = (uint16_t)tlv_fetch(at + 15, 2),
	    .active = (uint32_t)tlv_fetch(at + 17, 4),
	    .new_per_second = (uint32_t)tlv_fetch(at + 21, 4),
	    .mean_life = (uint32_t)tlv_fetch(at + 25, 4)};
	return at[14] <= 1 && s->load <= 1000 ? 0 : -1;
}

static int
take_report_services(void *out, const uint8_t *value, size_t len)
{
	struct load_report *report = &((struct sites_record *)out)->report;
	size_t count = len / REPORT_LEN;

	if (len % REPORT_LEN != 0)
		return -1;
	report->services = xcalloc(count + 1, sizeof(report->services[0]));
	for (; report->services_count < count; report->services_count++)
		if (take_report_service(&report->services[report->services_count],
			value + report->services_count * REPORT_LEN) != 0)
			return -1;
	return 0;
}

static const struct tlv_field report_fields[] = {
    [SITE_REPORT_AGE] = TLV_NUMBER(struct sites_record, age_ms, true, 0),
    [SITE_REPORT_SEQUENCE] = TLV_NUMBER(struct sites_record, report.sequence, true, 0),
    [SITE_REPORT_SERVICES] =
	TLV_BYTES(0, HELLO_SERVICES_MAX *REPORT_LEN, false, take_report_services),
};

static int
take_report(void *out, const uint8_t *value, size_t len)
{
	struct sites_record *r = out;

	r->reported = true;
	if (tlv_read(value, len, TLV_TABLE(report_fields), r) != 0)
		return -1;
	return r->report.services_count > 1 && codec_ambiguous_report(&r->report) ? -1 : 0;
}

static const struct tlv_field site_fields[] = {
    [SITE_NAME] = TLV_BYTES(1, CODEC_NAME_MAX, true, take_name),
    [SITE_GONE] = TLV_NUMBER(struct sites_record, gone, false, 1),
    [SITE_DISTANCE] = TLV_NUMBER(struct sites_record, distance, false, SITES_DISTANCE_MAX),
    [SITE_TRANSFER] = TLV_BYTES(CODEC_ADDRESS_LEN, CODEC_ADDRESS_LEN, false, take_transfer),
    [SITE_LOAD] = TLV_BYTES(CODEC_ADDRESS_LEN, CODEC_ADDRESS_LEN, false, take_load),
    [SITE_DEMAND_PORT] = TLV_NUMBER(struct sites_record, hello.demand_port, false, 0),
    [SITE_CERTIFICATE] = TLV_BYTES(KEYS_DIGEST_LEN, KEYS_DIGEST_LEN, false, take_certificate),
    [SITE_INTERVAL] = TLV_NUMBER(struct sites_record, hello.interval_ms, false, 0),
    [SITE_SERVICE] = TLV_NESTED(take_service),
    [SITE_SILENT] = TLV_NUMBER(struct sites_record, silent, false, 1),
    [SITE_REPORT] = TLV_BYTES(0, TLV_VALUE_MAX, false, take_report),
};

static int
take_site(void *out, const uint8_t *value, size_t len)
{
	struct sites *sites = out;
	struct sites_record *r =
	    codec_grow(sites->records, sites->count, SITES_RECORDS_MAX, sizeof(*r));

	if (r == NULL)
		return -1;
	sites->records = r;
	r = &sites->records[sites->count++];
	if (tlv_read(value, len, TLV_TABLE(site_fields), r) != 0)
		return -1;
	return r->hello.services_count > 1 && codec_ambiguous_services(&r->hello) ? -1 : 0;
}

static const struct tlv_field sites_fields[] = {
    [SITES_FLAGS] = TLV_NUMBER(struct sites, flags, true, 0),
    [SITES_SITE] = TLV_NESTED(take_site),
};

int
codec_decode_sites(const uint8_t *body, size_t len, struct sites *sites)
{
	*sites = (struct sites){0};
	if (tlv_read(body, len, TLV_TABLE(sites_fields), sites) == 0)
		return 0;
	sites_fini(sites);
	return -1;
}

void
sites_record_fini(struct sites_record *record)
{
	hello_fini(&record->hello);
	load_report_fini(&record->report);
	*record = (struct sites_record){0};
}

void
sites_fini(struct sites *sites)
{
	for (size_t i = 0; i < sites->count; i++)
		sites_record_fini(&sites->records[i]);
	free(sites->records);
	*sites = (struct sites){0};
}

void
hello_copy(struct hello *to, const struct hello *from)
{
	*to = *from;
	to->services = xcalloc(from->services_count + 1, sizeof(to->services[0]));
	for (size_t i = 0; i < from->services_count; i++) {
		const struct hello_service *s = &from->services[i];
		struct hello_service *t = &to->services[i];

		*t = *s;
		t->ports = xcalloc(s->ports_count + 1, sizeof(t->ports[0]));
		memcpy(t->ports, s->ports, s->ports_count * sizeof(t->ports[0]));
		t->servers = xcalloc(s->servers_count + 1, sizeof(t->servers[0]));
		if (s->servers_count > 0)
			memcpy(t->servers, s->servers, s->servers_count * sizeof(t->servers[0]));
	}
}
