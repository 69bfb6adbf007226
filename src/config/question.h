/*
 * question: what a check asks a name server: a name and a type.
 *
 * Written "www.example.net" (type A), "www.example.net AAAA", or "." (type NS).  The name is kept
 * as it is sent (RFC 1035, 3.1).  Plain data, copied by value.
 */
#ifndef WLAD_CONFIG_QUESTION_H
#define WLAD_CONFIG_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#define QUESTION_NAME 255 /* octets of a name with its last label, the empty one */
#define QUESTION_TEXT 300 /* octets that hold any question_format() with its NUL */

enum question_type {
	QUESTION_A = 1,
	QUESTION_NS = 2,
	QUESTION_SOA = 6,
	QUESTION_MX = 15,
	QUESTION_TXT = 16,
	QUESTION_AAAA = 28
};

struct dns_question {
	uint16_t type;
	uint8_t len;
	uint8_t name[QUESTION_NAME];
};

/* Letters, digits, '-' and '_' in labels of 1 to 63.  Returns 0, or -1 and leaves it as it was. */
int question_parse(const char *text, struct dns_question *question);

const char *question_format(const struct dns_question *question, char buf[QUESTION_TEXT]);

bool question_equal(const struct dns_question *a, const struct dns_question *b);

#endif
