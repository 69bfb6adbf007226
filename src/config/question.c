#include "config/question.h"

#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63

static const struct {
	const char *name;
	uint16_t type;
} types[] = {{"A", QUESTION_A}, {"AAAA", QUESTION_AAAA}, {"NS", QUESTION_NS},
    {"SOA", QUESTION_SOA}, {"MX", QUESTION_MX}, {"TXT", QUESTION_TXT}};

#define TYPES (sizeof(types) / sizeof(types[0]))

/* 0: there is no such type. */
static uint16_t
type_of(const char *name)
{
	for (size_t i = 0; i < TYPES; i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return 0;
}

static const char *
name_of(uint16_t type)
{
	for (size_t i = 0; i < TYPES; i++)
		if (types[i].type == type)
			return types[i].name;
	return "";
}

/* A label of the text, which is not empty, without what ends it. */
static int
add_label(struct dns_question *q, const char *label, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	/* one octet is left for the empty label */
	if (len == 0 || len > LABEL_MAX || q->len + 1 + len + 1 > QUESTION_NAME ||
	    strspn(label, allowed) < len)
		return -1;
	q->name[q->len++] = (uint8_t)len;
	memcpy(q->name + q->len, label, len);
	q->len = (uint8_t)(q->len + len);
	return 0;
}

/* "www.example.net", "www.example.net." or ".", of so many octets. */
static int
parse_name(struct dns_question *q, const char *name, size_t len)
{
	bool root = len == 1 && name[0] == '.';

	if (len == 0)
		return -1;
	if (len > 1 && name[len - 1] == '.')
		len--;
	for (size_t at = 0; !root;) {
		size_t label = strcspn(name + at, ".");

		if (label > len - at)
			label = len - at;
		if (add_label(q, name + at, label) == -1)
			return -1;
		at += label;
		if (at == len)
			break;
		at++;
	}
	q->name[q->len++] = 0;
	return 0;
}

int
question_parse(const char *text, struct dns_question *question)
{
	struct dns_question parsed = {0};
	size_t len = strcspn(text, " ");

	if (parse_name(&parsed, text, len) == -1)
		return -1;
	if (text[len] != '\0')
		parsed.type = type_of(text + len + 1);
	else
		parsed.type = parsed.len == 1 ? QUESTION_NS : QUESTION_A;
	if (parsed.type == 0)
		return -1;
	*question = parsed;
	return 0;
}

const char *
question_format(const struct dns_question *q, char buf[QUESTION_TEXT])
{
	size_t at = 0;

	for (size_t i = 0; i + 1 < q->len; i += 1u + q->name[i])
		at += (size_t)snprintf(buf + at, QUESTION_TEXT - at, "%s%.*s", i > 0 ? "." : "",
		    q->name[i], (const char *)&q->name[i + 1]);
	snprintf(buf + at, QUESTION_TEXT - at, "%s %s", q->len <= 1 ? "." : "", name_of(q->type));
	return buf;
}

bool
question_equal(const struct dns_question *a, const struct dns_question *b)
{
	return a->type == b->type && a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}
