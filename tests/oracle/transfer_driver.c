/*
 * transfer_driver: keys, transfer packets and messages of the load exchange behind lines of text,
 * for tests/oracle/test_transfer_oracle.py and test_message_oracle.py.
 *
 * One command a line, one answer a line; octets are hexadecimal, "-" if there are none.
 *
 *   label SECRET LABEL LEN                          Expand-Label
 *   context CIPHER NAME CERT RANDOM NAME CERT RANDOM  the exporter's context; dialer first
 *   nonce IV EPOCH COUNTER
 *   tx N DIRECTION INDEX LIMIT CIPHER               makes sender N, LIMIT packets an epoch
 *   seal N TYPE SERVICE PORT FLAGS HOPS HEAD BODY   one packet
 *   next N                                          ends its epoch
 *   rx N DIRECTION CIPHER                           makes receiver N
 *   open N NOW DATAGRAM                             NOW in ns
 *   message TYPE BODY                               decodes it, and encodes what it has read
 *
 * Answers: "ok ..." with octets, or for open "ok TYPE SERVICE PORT FLAGS HOPS INNER"; "drop
 * NAME"; "refused" for what has no answer; "error TEXT" for a command that is none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/codec.h"
#include "transfer/keys.h"
#include "transfer/seal.h"

#define ENDS   16
#define WORDS  10
#define OCTETS 66000
#define LINE   (4 * OCTETS)

static struct transfer_tx *senders[ENDS];
static struct transfer_rx *receivers[ENDS];

/* A command's words and their octets, where they have any. */
static char *words[WORDS];
static uint8_t octets[WORDS][OCTETS];

static void
answer(const char *before, const uint8_t *data, size_t len)
{
	printf("%s ", before);
	for (size_t i = 0; i < len; i++)
		printf("%02x", data[i]);
	puts(len == 0 ? "-" : "");
}

static unsigned long long
number(int word)
{
	return strtoull(words[word], NULL, 0);
}

/* Octets of a word; ends the program if it has not the length that it must have (0: any). */
static size_t
hex(int word, size_t must)
{
	const char *text = words[word];
	size_t len = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
	unsigned value;

	if (len > OCTETS || (must != 0 && len != must)) {
		printf("error wrong length of argument %d\n", word);
		exit(1);
	}
	for (size_t i = 0; i < len; i++) {
		if (sscanf(text + 2 * i, "%2x", &value) != 1) {
			printf("error argument %d is not hexadecimal\n", word);
			exit(1);
		}
		octets[word][i] = (uint8_t)value;
	}
	return len;
}

static unsigned
end(int word)
{
	unsigned long long n = number(word);

	if (n < ENDS)
		return (unsigned)n;
	printf("error no end %llu\n", n);
	exit(1);
}

static void
do_label(void)
{
	static uint8_t out[OCTETS];
	size_t len = number(3);

	hex(1, KEYS_SECRET_LEN);
	if (len > sizeof(out) || keys_expand_label(octets[1], words[2], out, len) == -1)
		puts("refused");
	else
		answer("ok", out, len);
}

static void
do_context(void)
{
	struct keys_context context = {.cipher = (enum keys_cipher)number(1)};
	uint8_t out[KEYS_CONTEXT_MAX];
	size_t len;

	for (int side = 0; side < 2; side++) {
		int word = 2 + 3 * side;

		context.site[side] = strcmp(words[word], "-") == 0 ? "" : words[word];
		hex(word + 1, KEYS_DIGEST_LEN);
		hex(word + 2, KEYS_RANDOM_LEN);
		memcpy(context.certificate[side], octets[word + 1], KEYS_DIGEST_LEN);
		memcpy(context.random[side], octets[word + 2], KEYS_RANDOM_LEN);
	}
	len = keys_context_encode(&context, out);
	if (len == 0)
		puts("refused");
	else
		answer("ok", out, len);
}

static void
do_nonce(void)
{
	uint8_t nonce[KEYS_IV_LEN];

	hex(1, KEYS_IV_LEN);
	keys_nonce(octets[1], (uint16_t)number(2), number(3), nonce);
	answer("ok", nonce, sizeof(nonce));
}

static void
do_tx(void)
{
	unsigned n = end(1);

	hex(2, KEYS_SECRET_LEN);
	transfer_tx_free(senders[n]);
	senders[n] = transfer_tx_new((enum keys_cipher)number(5), octets[2], (uint32_t)number(3));
	if (senders[n] == NULL) {
		puts("refused");
		return;
	}
	transfer_tx_set_limit(senders[n], number(4));
	puts("ok");
}

static void
do_seal(void)
{
	static uint8_t out[OCTETS];
	const struct transfer_info info = {
	    (uint16_t)number(3), (uint16_t)number(4), (uint8_t)number(5), (uint8_t)number(6)};
	struct transfer_tx *tx = senders[end(1)];
	size_t head_len = hex(7, 0), body_len = hex(8, 0), len = 0;

	if (tx != NULL)
		len = transfer_seal(tx, (enum transfer_type)number(2), &info, octets[7],
		    head_len, octets[8], body_len, out, sizeof(out));
	if (len == 0)
		puts("refused");
	else
		answer("ok", out, len);
}

static void
do_next(void)
{
	struct transfer_tx *tx = senders[end(1)];

	if (tx == NULL) {
		puts("refused");
		return;
	}
	transfer_tx_next_epoch(tx);
	printf("ok %u %" PRIu64 "\n", transfer_tx_epoch(tx), transfer_tx_counter(tx));
}

static void
do_rx(void)
{
	unsigned n = end(1);

	hex(2, KEYS_SECRET_LEN);
	transfer_rx_free(receivers[n]);
	receivers[n] = transfer_rx_new((enum keys_cipher)number(3), octets[2]);
	puts(receivers[n] == NULL ? "refused" : "ok");
}

static void
do_open(void)
{
	struct transfer_rx *rx = receivers[end(1)];
	size_t len = hex(3, 0);
	struct transfer_header header;
	struct transfer_opened opened;
	enum drop drop = transfer_header_decode(octets[3], len, &header);
	char before[64];

	if (rx == NULL) {
		puts("refused");
		return;
	}
	if (drop == DROP_none)
		drop = transfer_open(rx, &header, octets[3], len, number(2), &opened);
	if (drop != DROP_none) {
		printf("drop %s\n", drop_name(drop));
		return;
	}
	snprintf(before, sizeof(before), "ok %d %u %u %u %u", opened.type, opened.info.service,
	    opened.info.relay_port, opened.info.flags, opened.info.hops);
	answer(before, opened.inner, opened.inner_len);
}

/* ---- messages ---- */

static int
again_hello(struct codec_buffer *b, const uint8_t *body, size_t len)
{
	struct hello hello;
	int ret;

	if (codec_decode_hello(body, len, &hello) != 0)
		return -1;
	ret = codec_encode_hello(b, &hello);
	hello_fini(&hello);
	return ret;
}

static int
again_load(struct codec_buffer *b, const uint8_t *body, size_t len)
{
	struct load_report report;
	int ret;

	if (codec_decode_load(body, len, &report) != 0)
		return -1;
	ret = codec_encode_load(b, &report);
	load_report_fini(&report);
	return ret;
}

static int
again_closed(struct codec_buffer *b, const uint8_t *body, size_t len)
{
	struct closed closed;
	int ret;

	if (codec_decode_closed(body, len, &closed) != 0)
		return -1;
	ret = codec_encode_closed(b, closed.entries, closed.count);
	closed_fini(&closed);
	return ret;
}

static int
again_sites(struct codec_buffer *b, const uint8_t *body, size_t len)
{
	struct sites_writer w;
	struct sites sites;

	if (codec_decode_sites(body, len, &sites) != 0)
		return -1;
	sites_begin(&w, sites.flags);
	for (size_t i = 0; i < sites.count; i++)
		sites_add(&w, &sites.records[i]);
	sites_end(&w);
	sites_fini(&sites);
	*b = w.b;
	return 0;
}

static int
again(struct codec_buffer *b, int type, const uint8_t *body, size_t len)
{
	uint32_t index;
	enum bye_reason reason;
	struct probe_seen probe;

	switch (type) {
	case MESSAGE_HELLO:
		return again_hello(b, body, len);
	case MESSAGE_LOAD:
		return again_load(b, body, len);
	case MESSAGE_CLOSED:
		return again_closed(b, body, len);
	case MESSAGE_SITES:
		return again_sites(b, body, len);
	case MESSAGE_KEY_READY:
		return codec_decode_key_ready(body, len, &index) == 0
		    ? codec_encode_key_ready(b, index)
		    : -1;
	case MESSAGE_PROBE:
		return codec_decode_probe(body, len, &probe) == 0 ? codec_encode_probe(b, &probe)
								  : -1;
	case MESSAGE_BYE:
		return codec_decode_bye(body, len, &reason) == 0 ? codec_encode_bye(b, reason)
								 : -1;
	}
	return -1;
}

static void
do_message(void)
{
	struct codec_buffer b = {0};
	size_t len = hex(2, 0);

	if (again(&b, (int)number(1), octets[2], len) == 0)
		answer("ok", b.data, b.len);
	else
		puts("refused");
	codec_buffer_fini(&b);
}

static const struct {
	const char *name;
	int words; /* with the command itself */
	void (*run)(void);
} commands[] = {
    {"label", 4, do_label},
    {"context", 8, do_context},
    {"nonce", 4, do_nonce},
    {"tx", 6, do_tx},
    {"seal", 9, do_seal},
    {"next", 2, do_next},
    {"rx", 4, do_rx},
    {"open", 4, do_open},
    {"message", 3, do_message},
};

static void
run(char *line)
{
	int count = 0;

	for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n"))
		if (count < WORDS)
			words[count++] = word;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (count == commands[i].words && strcmp(words[0], commands[i].name) == 0) {
			commands[i].run();
			return;
		}
	}
	puts("error unknown command");
}

int
main(void)
{
	static char line[LINE];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		run(line);
		fflush(stdout);
	}
	for (int i = 0; i < ENDS; i++) {
		transfer_tx_free(senders[i]);
		transfer_rx_free(receivers[i]);
	}
	return 0;
}
