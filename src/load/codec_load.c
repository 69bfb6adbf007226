/*
 * codec_load: LOAD, bytes <-> struct.
 */
#include <stdlib.h>

#include "load/codec_internal.h"

enum load_tag {
	LOAD_SEQUENCE = 1,  /* must (4): 1, 2, 3 ... within a session */
	LOAD_SENT = 2,      /* must (8): the sender's clock, milliseconds */
	LOAD_ECHO = 3,      /* (8): LOAD_SENT of the last report that the sender has received */
	LOAD_ECHO_HELD = 4, /* (4): milliseconds since it was received */
	LOAD_SERVICE = 5,   /* repeats, up to 1024 times: one service, nested; no two have the
	                     * same number */
	LOAD_PATH_MTU = 6, /* (4): largest outer packet, 65535 at most, that gets from the sender to
	                    * the receiver; absent or 0: not known */
	LOAD_DIRECT = 7, /* (1): do the sender's replies under the receiver's addresses get
	                  * through; 0 or absent: not known, 1 yes, 2 no */
	LOAD_BETWEEN = 8 /* repeats: in place of LOAD_SERVICE between sites that know each other's
	                  * load from a coordinator: number, held and quota alone */
};

enum load_service_tag {
	REPORT_NUMBER = 1,       /* must (2): as in the sender's HELLO */
	REPORT_UP = 2,           /* must (4): I, servers that serve */
	REPORT_NOT_HIGH = 3,     /* must (4): I, those of them that are not highly loaded */
	REPORT_TRANSFERABLE = 4, /* must (4): II, connections that could still be taken */
	REPORT_PERMITTED = 5,    /* must (1): III, 1 transfer permitted, 0 prohibited */
	REPORT_LOAD = 6,         /* must (2): IV, load as a converted value, 0 to 1000 */
	REPORT_ACTIVE = 7,       /* (4): connections now */
	REPORT_HELD = 8,         /* (4): those of them that the receiver has transferred */
	REPORT_QUOTA = 9, /* (4): new connections in 1000 seconds that the receiver may transfer;
	                   * absent: any */
	REPORT_NEW = 10,  /* (4): new connections in 1000 seconds of the sender's own clients,
	                  * whichever site serves them */
	REPORT_LIFE = 11, /* (4): mean life of a connection, milliseconds; absent or 0: not known */
	REPORT_DISTANCE = 12 /* (1): transfers from the sender to the servers that all this is said
	                      * of, 0 to 15; absent or 0: they are its own */
};

#define SERVICE_LEN       61 /* octets of a service at most, without its rates */
#define SERVICE_RATES_LEN 29

static void
put_rates(struct codec_buffer *b, const struct load_report_service *s)
{
	if (s->limited)
		tlv_put_number(b, REPORT_QUOTA, s->quota, 4);
	tlv_put_number(b, REPORT_NEW, s->new_per_second, 4);
	if (s->mean_life != 0)
		tlv_put_number(b, REPORT_LIFE, s->mean_life, 4);
	if (s->distance != 0)
		tlv_put_number(b, REPORT_DISTANCE, s->distance, 1);
}

static void
put_between(struct codec_buffer *b, const struct load_report_service *s)
{
	size_t start = tlv_nest_begin(b, LOAD_BETWEEN);

	tlv_put_number(b, REPORT_NUMBER, s->number, 2);
	tlv_put_number(b, REPORT_HELD, s->held_from_you, 4);
	if (s->limited)
		tlv_put_number(b, REPORT_QUOTA, s->quota, 4);
	tlv_nest_end(b, start);
}

static void
put_load(struct codec_buffer *b, const struct load_report_service *s, bool rates)
{
	size_t start = tlv_nest_begin(b, LOAD_SERVICE);

	tlv_put_number(b, REPORT_NUMBER, s->number, 2);
	tlv_put_number(b, REPORT_UP, s->servers_up, 4);
	tlv_put_number(b, REPORT_NOT_HIGH, s->servers_not_high, 4);
	tlv_put_number(b, REPORT_TRANSFERABLE, s->transferable, 4);
	tlv_put_number(b, REPORT_PERMITTED, s->permitted, 1);
	tlv_put_number(b, REPORT_LOAD, s->load, 2);
	tlv_put_number(b, REPORT_ACTIVE, s->active, 4);
	tlv_put_number(b, REPORT_HELD, s->held_from_you, 4);
	if (rates)
		put_rates(b, s);
	tlv_nest_end(b, start);
}

static void
put_load_service(struct codec_buffer *b, const struct load_report_service *s, bool rates)
{
	if (s->between)
		put_between(b, s);
	else
		put_load(b, s, rates);
}

int
codec_encode_load(struct codec_buffer *b, const struct load_report *report)
{
	size_t start = codec_begin(b, MESSAGE_LOAD);

	if (report->services_count > HELLO_SERVICES_MAX)
		return codec_cancel(b, start);
	tlv_put_number(b, LOAD_SEQUENCE, report->sequence, 4);
	tlv_put_number(b, LOAD_SENT, report->sent_ms, 8);
	if (report->echo_ms != 0) {
		tlv_put_number(b, LOAD_ECHO, report->echo_ms, 8);
		tlv_put_number(b, LOAD_ECHO_HELD, report->echo_held_ms, 4);
	}
	if (report->path_mtu != 0)
		tlv_put_number(b, LOAD_PATH_MTU, report->path_mtu, 4);
	if (report->direct != 0)
		tlv_put_number(b, LOAD_DIRECT, report->direct, 1);
	/* of more than 720 services the last ones go without rates, so that all find room */
	for (size_t i = 0; i < report->services_count; i++)
		put_load_service(b, &report->services[i],
		    b->len - start + SERVICE_RATES_LEN +
			    (report->services_count - i) * SERVICE_LEN <=
			CODEC_MESSAGE_MAX);
	return codec_end(b, start);
}

/* None at all is a limit, too. */
static int
take_quota(void *out, const uint8_t *value, size_t len)
{
	struct load_report_service *s = out;

	s->limited = true;
	s->quota = (uint32_t)tlv_fetch(value, len);
	return 0;
}

static const struct tlv_field report_fields[] = {
    [REPORT_NUMBER] = TLV_NUMBER(struct load_report_service, number, true, 0),
    [REPORT_UP] = TLV_NUMBER(struct load_report_service, servers_up, true, 0),
    [REPORT_NOT_HIGH] = TLV_NUMBER(struct load_report_service, servers_not_high, true, 0),
    [REPORT_TRANSFERABLE] = TLV_NUMBER(struct load_report_service, transferable, true, 0),
    [REPORT_PERMITTED] = TLV_NUMBER(struct load_report_service, permitted, true, 1),
    [REPORT_LOAD] = TLV_NUMBER(struct load_report_service, load, true, 1000),
    [REPORT_ACTIVE] = TLV_NUMBER(struct load_report_service, active, false, 0),
    [REPORT_HELD] = TLV_NUMBER(struct load_report_service, held_from_you, false, 0),
    [REPORT_QUOTA] = TLV_BYTES(4, 4, false, take_quota),
    [REPORT_NEW] = TLV_NUMBER(struct load_report_service, new_per_second, false, 0),
    [REPORT_LIFE] = TLV_NUMBER(struct load_report_service, mean_life, false, 0),
    [REPORT_DISTANCE] =
	TLV_NUMBER(struct load_report_service, distance, false, SITES_DISTANCE_MAX),
};

static int
take_report(void *out, const uint8_t *value, size_t len)
{
	struct load_report *report = out;
	struct load_report_service *s =
	    codec_grow(report->services, report->services_count, HELLO_SERVICES_MAX, sizeof(*s));

	if (s == NULL)
		return -1;
	report->services = s;
	s = &report->services[report->services_count++];
	return tlv_read(value, len, TLV_TABLE(report_fields), s);
}

static const struct tlv_field between_fields[] = {
    [REPORT_NUMBER] = TLV_NUMBER(struct load_report_service, number, true, 0),
    [REPORT_HELD] = TLV_NUMBER(struct load_report_service, held_from_you, false, 0),
    [REPORT_QUOTA] = TLV_BYTES(4, 4, false, take_quota),
};

static int
take_between(void *out, const uint8_t *value, size_t len)
{
	struct load_report *report = out;
	struct load_report_service *s =
	    codec_grow(report->services, report->services_count, HELLO_SERVICES_MAX, sizeof(*s));

	if (s == NULL)
		return -1;
	report->services = s;
	s = &report->services[report->services_count++];
	s->between = true;
	return tlv_read(value, len, TLV_TABLE(between_fields), s);
}

#define DIRECT_LARGEST 2

static const struct tlv_field load_fields[] = {
    [LOAD_SEQUENCE] = TLV_NUMBER(struct load_report, sequence, true, 0),
    [LOAD_SENT] = TLV_NUMBER(struct load_report, sent_ms, true, 0),
    [LOAD_ECHO] = TLV_NUMBER(struct load_report, echo_ms, false, 0),
    [LOAD_ECHO_HELD] = TLV_NUMBER(struct load_report, echo_held_ms, false, 0),
    [LOAD_SERVICE] = TLV_NESTED(take_report),
    [LOAD_PATH_MTU] = TLV_NUMBER(struct load_report, path_mtu, false, 65535),
    [LOAD_DIRECT] = TLV_NUMBER(struct load_report, direct, false, DIRECT_LARGEST),
    [LOAD_BETWEEN] = TLV_NESTED(take_between),
};

bool
codec_ambiguous_report(const struct load_report *report)
{
	uint8_t numbers[65536 / 8] = {0};

	for (size_t i = 0; i < report->services_count; i++)
		if (codec_mark(numbers, report->services[i].number))
			return true;
	return false;
}

int
codec_decode_load(const uint8_t *body, size_t len, struct load_report *report)
{
	*report = (struct load_report){0};
	if (tlv_read(body, len, TLV_TABLE(load_fields), report) == 0 &&
	    !codec_ambiguous_report(report))
		return 0;
	load_report_fini(report);
	return -1;
}

void
load_report_fini(struct load_report *report)
{
	free(report->services);
	*report = (struct load_report){0};
}
