#include "health/terms.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* FNV-1a: the file's author has no interest in collisions. */
static uint32_t
add(uint32_t hash, const void *data, size_t len)
{
	const uint8_t *octets = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ octets[i]) * 16777619u;
	return hash;
}

static uint32_t
hash_of(const struct config_check *c)
{
	uint32_t hash = 2166136261u;

	hash = add(hash, &c->type, sizeof(c->type));
	hash = add(hash, &c->interval, sizeof(c->interval));
	hash = add(hash, &c->port, sizeof(c->port));
	hash = add(hash, c->path, strlen(c->path));
	hash = add(hash, c->host, strlen(c->host));
	hash = add(hash, c->command, strlen(c->command));
	hash = add(hash, c->send.data, c->send.len);
	hash = add(hash, c->query.name, c->query.len);
	return add(hash, c->expect.data, c->expect.len);
}

static bool
same_times(const struct config_check *a, const struct config_check *b)
{
	return a->interval == b->interval && a->interval_down == b->interval_down &&
	    a->timeout == b->timeout;
}

static bool
same_texts(const struct config_check *a, const struct config_check *b)
{
	return strcmp(a->path, b->path) == 0 && strcmp(a->host, b->host) == 0 &&
	    strcmp(a->ca, b->ca) == 0 && strcmp(a->command, b->command) == 0 &&
	    octets_equal(&a->send, &b->send) && octets_equal(&a->expect, &b->expect);
}

static bool
same(const struct config_check *a, const struct config_check *b)
{
	return a->type == b->type && a->port == b->port && a->proxy == b->proxy &&
	    same_times(a, b) && same_texts(a, b) && question_equal(&a->query, &b->query) &&
	    memcmp(&a->status, &b->status, sizeof(a->status)) == 0;
}

struct terms *
terms_get(struct terms_pool *pool, const struct config_check *check)
{
	uint32_t hash = hash_of(check);
	struct terms_list *list = &pool->bucket[hash % TERMS_BUCKETS];
	struct terms *s;

	LIST_FOREACH(s, list, entry)
	if (s->hash == hash && same(&s->check, check)) {
		s->references++;
		return s;
	}
	s = xcalloc(1, sizeof(*s));
	s->check = *check;
	s->check.rise = s->check.fall = 0;
	s->references = 1;
	s->hash = hash;
	LIST_INSERT_HEAD(list, s, entry);
	return s;
}

void
terms_put(struct terms *s)
{
	if (--s->references > 0)
		return;
	LIST_REMOVE(s, entry);
	free(s);
}
