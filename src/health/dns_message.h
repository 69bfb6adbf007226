/*
 * dns_message: a query of one question, and whether a message answers it (RFC 1035, 4).
 *
 * A pure function over octets from outside: what comes behind the question is not read.
 */
#ifndef WLAD_HEALTH_DNS_MESSAGE_H
#define WLAD_HEALTH_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/question.h"

#define DNS_HEADER    12
#define DNS_QUERY_MAX (DNS_HEADER + QUESTION_NAME + 4)

/* Writes the query, recursion desired.  Returns its length. */
size_t dns_message_query(
    const struct dns_question *question, uint16_t id, uint8_t buf[DNS_QUERY_MAX]);

/*
 * True if it is an answer to that question with that id; its response code goes to *rcode.  Who
 * cannot read a query answers without the question.
 */
bool dns_message_answers(const uint8_t *data, size_t len, const struct dns_question *question,
    uint16_t id, unsigned *rcode);

#endif
