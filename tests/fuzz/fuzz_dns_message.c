/*
 * Fuzz target: what comes back for a DNS query.  The first octet is the id's lower one.
 *
 * Only what repeats the question, or is an error without one, is an answer; an answer that is cut
 * is none.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "health/dns_message.h"

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_question question;
	unsigned rcode = 99;
	uint8_t *copy;
	uint16_t id;

	if (size == 0)
		return 0;
	id = (uint16_t)(0x1200 | data[0]);
	expect(question_parse("www.example.net AAAA", &question) == 0);
	/* a copy of exactly that size, so that reading beyond it is noticed */
	copy = malloc(size > 1 ? size - 1 : 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (dns_message_answers(copy, size - 1, &question, id, &rcode)) {
		expect(rcode <= 15);
		expect((copy[2] & 0xf8) == 0x80);
		expect(copy[0] == 0x12 && copy[1] == data[0]);
		if (copy[5] == 0)
			expect(rcode != 0);
		else
			expect(!dns_message_answers(
			    copy, DNS_HEADER + question.len + 3u, &question, id, &rcode));
	}
	free(copy);
	return 0;
}
