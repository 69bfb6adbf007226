/*
 * codec: the messages of the load exchange, bytes <-> struct.
 *
 * A message: type (1), reserved 0 (1), length of what follows (4, at most 65536); then TLVs: tag (2), length
 * (2), value.  Big-endian.  Unknown tags are skipped, unknown types are counted by the
 * caller.  A TLV that may repeat (services) nests TLVs.  One encode and one decode a message;
 * every length is checked before it is read.  The tags are in wlad-protocol(7) and codec*.c.
 */
#ifndef WLAD_LOAD_CODEC_H
#define WLAD_LOAD_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "connection/connection.h"
#include "transfer/keys.h"

#define CODEC_VERSION     1
#define CODEC_HEADER_LEN  6
#define CODEC_MESSAGE_MAX 65536
#define CODEC_NAME_MAX    63

enum message_type {
	MESSAGE_HELLO = 1,
	MESSAGE_KEY_READY,
	MESSAGE_LOAD,
	MESSAGE_CLOSED,
	MESSAGE_PROBE,
	MESSAGE_SITES,
	MESSAGE_BYE
};

/* A growing output buffer. */
struct codec_buffer {
	uint8_t *data; /* owned; freed by codec_buffer_fini */
	size_t len, size;
};
void codec_buffer_fini(struct codec_buffer *b);

#define HELLO_SERVICES_MAX 1024
#define HELLO_PORTS_MAX    1024 /* of one service */
#define HELLO_SERVERS_MAX  4096 /* addresses of one service's servers */
#define HELLO_CIPHERS_MAX  16

/* A service whose servers want a PROXY header in front of the client's data. */
#define HELLO_CLIENT_PROXY 1

struct hello_service {
	char name[CODEC_NAME_MAX + 1];
	uint16_t number;
	uint8_t protocol;
	struct ip v4, v6; /* zero: none */
	uint16_t *ports;  /* host order; owned by the hello */
	size_t ports_count;
	uint8_t client_address; /* HELLO_CLIENT_PROXY, or anything else: nothing to do */
	struct addr *servers; /* who serves it, for rule 3; port 0: the client's; owned as well */
	size_t servers_count;
};

struct hello {
	uint8_t version;
	char site[CODEC_NAME_MAX + 1];
	uint64_t boot_id; /* random per start */
	struct addr transfer; /* where this site's transfer packets come from and go to; zero ip: the session's */
	struct addr load; /* where it takes sessions, as transfer; said to coordinators; port 0: nowhere */
	uint16_t demand_port; /* where connection demands go to; 0: with the rest */
	uint32_t key_index;   /* for transfer packets to this site; 0: none offered */
	uint8_t random[KEYS_RANDOM_LEN];
	uint8_t cipher; /* enum keys_cipher, or one that is not known here: its first choice */
	uint8_t ciphers[HELLO_CIPHERS_MAX]; /* others that it accepts, in order of preference */
	size_t ciphers_count;
	uint32_t interval_ms;           /* between two reports of the sender; 0: not said */
	struct hello_service *services; /* owned */
	size_t services_count;
};

#define CLOSED_ENTRIES_MAX 1024 /* of one message */

/* Connections that are over, or that the sender does not know. */
struct closed {
	struct connection_closed *entries; /* owned */
	size_t count;
};

/* A direct-reply probe of the receiver's has arrived at the sender. */
struct probe_seen {
	uint64_t id;
};

struct load_report_service {
	uint16_t number;
	bool between; /* says nothing of load, only what is between the two sites */
	uint32_t servers_up, servers_not_high; /* I */
	uint32_t transferable;                 /* II */
	bool permitted;                        /* III */
	uint16_t load;                         /* IV, 0 to 1000 */
	uint32_t active;
	uint32_t held_from_you;
	bool limited;   /* quota is said */
	uint32_t quota; /* thousandths of a new connection a second that you may send */
	uint32_t new_per_second; /* the same of the sender's clients, wherever served */
	uint32_t mean_life;      /* of connections, milliseconds; 0: not said */
	uint8_t distance; /* in a chain: transfers from the sender to the servers; 0: its own */
};

struct load_report {
	uint32_t sequence;
	uint64_t sent_ms; /* sender's monotonic clock, given back by the other in echo_ms */
	uint64_t echo_ms; /* the receiver's own sent_ms of its last report; 0: none */
	uint32_t echo_held_ms; /* how long the sender held it: gives the round-trip time */
	uint32_t path_mtu; /* outer transfer packets that get from the sender to you; 0: not known */
	uint8_t direct; /* enum site_direct: do the sender's replies under your addresses get through */
	struct load_report_service *services; /* owned */
	size_t services_count;
};

/* One site, as SITES tells of it. */
struct sites_record {
	struct hello hello; /* its name; if identity also transfer, demand port, interval, services */
	bool identity;    /* says where it is and what it offers, not only its name */
	struct addr load; /* where it takes sessions; port 0: nowhere */
	bool certified;
	uint8_t certificate[KEYS_DIGEST_LEN]; /* SHA-256 of its certificate, if certified */
	uint8_t distance; /* in a chain: transfers from the sender to it; from a coordinator 0 */
	bool gone;        /* the sender knows it no more */
	bool silent;      /* it has not reported to the coordinator for too long */
	bool reported;    /* its load: */
	uint32_t age_ms;  /* of the report, when sent */
	struct load_report report; /* sequence and services, without what is for one site alone */
};

#define SITES_FIRST 0x01 /* what the sender has told in earlier sessions is void ... */
#define SITES_LAST  0x02 /* ... all that has not been told again by this message */

#define SITES_RECORDS_MAX  4096 /* of one message */
#define SITES_DISTANCE_MAX 15

struct sites {
	uint8_t flags;
	struct sites_record *records; /* owned */
	size_t count;
};

/* Writes as many messages as it takes.  Zeroed it is empty; b is the caller's to free. */
struct sites_writer {
	struct codec_buffer b;
	unsigned messages;
	size_t start;   /* of the message under way */
	uint8_t flags;  /* SITES_FIRST, SITES_LAST: of all of them together */
	size_t records; /* of the message under way */
};

enum bye_reason { BYE_STOP = 1, BYE_RESTART, BYE_REPLACED, BYE_PROTOCOL, BYE_IDLE };

/*
 * Each appends one whole message; 0, or -1 if its body would exceed CODEC_MESSAGE_MAX, or
 * services, ports or servers their limit (nothing appended).
 */
int codec_encode_hello(struct codec_buffer *b, const struct hello *hello);
int codec_encode_key_ready(struct codec_buffer *b, uint32_t key_index);
int codec_encode_load(struct codec_buffer *b, const struct load_report *report);
int codec_encode_bye(struct codec_buffer *b, enum bye_reason reason);
int codec_encode_probe(struct codec_buffer *b, const struct probe_seen *probe);

/* Also -1 if there are more than CLOSED_ENTRIES_MAX, or client and service of one are not of the same
 * family.  IPv4 comes first in the message, else the order stays. */
int codec_encode_closed(
    struct codec_buffer *b, const struct connection_closed *entries, size_t count);

/*
 * Reads a message's header.  1: type and length of the body are known; 0: fewer than
 * CODEC_HEADER_LEN octets; -1: reserved not 0 or too long.
 */
int codec_header(const uint8_t *data, size_t len, uint8_t *type, uint32_t *body_len);

/*
 * Each decodes the body of one message; 0 and the caller owns what _fini frees, or -1 if it is
 * malformed or lacks something that must be there.
 */
int codec_decode_hello(const uint8_t *body, size_t len, struct hello *hello);
int codec_decode_key_ready(const uint8_t *body, size_t len, uint32_t *key_index);
int codec_decode_load(const uint8_t *body, size_t len, struct load_report *report);
int codec_decode_bye(const uint8_t *body, size_t len, enum bye_reason *reason);
int codec_decode_probe(const uint8_t *body, size_t len, struct probe_seen *probe);
int codec_decode_closed(const uint8_t *body, size_t len, struct closed *closed);

int codec_decode_sites(const uint8_t *body, size_t len, struct sites *sites);

/*
 * SITES: begin once, add each record, end once.  At least one message comes of it.  A record that is too
 * large for a message goes without its servers, and if it still is, without identity: add
 * returns false then.
 */
void sites_begin(struct sites_writer *w, uint8_t flags);
bool sites_add(struct sites_writer *w, const struct sites_record *record);
void sites_end(struct sites_writer *w);

void sites_fini(struct sites *sites);
void sites_record_fini(struct sites_record *record);
void hello_copy(struct hello *to, const struct hello *from); /* services and all */
void hello_fini(struct hello *hello);
void hello_forget_servers(struct hello *hello); /* of all services */
void load_report_fini(struct load_report *report);
void closed_fini(struct closed *closed);

#endif
