#include "allocation/turns.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Far below where weight * turns leaves 63 bits: time starts again. */
#define TURNS_MAX (INT64_C(1) << 37)

void
turns_fini(struct turns *t)
{
	free(t->weight);
	free(t->base);
	free(t->ahead);
	free(t->until);
	memset(t, 0, sizeof(*t));
}

static void
reserve(struct turns *t, size_t count)
{
	size_t leaves = 1;

	while (leaves < count)
		leaves *= 2;
	t->leaves = leaves;
	if (leaves <= t->size)
		return;
	t->weight = xrealloc_array(t->weight, leaves, sizeof(*t->weight));
	t->base = xrealloc_array(t->base, leaves, sizeof(*t->base));
	t->ahead = xrealloc_array(t->ahead, 2 * leaves, sizeof(*t->ahead));
	t->until = xrealloc_array(t->until, 2 * leaves, sizeof(*t->until));
	memset(t->weight + t->size, 0, (leaves - t->size) * sizeof(*t->weight));
	t->size = leaves;
}

static int64_t
credit(const struct turns *t, uint32_t who)
{
	return t->weight[who] * t->now + t->base[who];
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Who is ahead at a node, left winning ties, and when the other one will have caught up. */
static void
compare(struct turns *t, size_t node)
{
	uint32_t left = t->ahead[2 * node], right = t->ahead[2 * node + 1];
	int64_t lead, closing; /* of the one ahead, and how much of it goes with each turn */

	t->until[node] = earlier(t->until[2 * node], t->until[2 * node + 1]);
	if (left == TURNS_NONE || right == TURNS_NONE) {
		t->ahead[node] = left != TURNS_NONE ? left : right;
		return;
	}
	lead = credit(t, left) - credit(t, right);
	closing = (int64_t)t->weight[right] - t->weight[left];
	t->ahead[node] = lead >= 0 ? left : right;
	if (lead >= 0 && closing > 0) /* right has to pass */
		t->until[node] = earlier(t->until[node], t->now + lead / closing + 1);
	else if (lead < 0 && closing < 0) /* left has to draw level: rounded up */
		t->until[node] =
		    earlier(t->until[node], t->now + (-lead - closing - 1) / -closing);
}

/* Compares again where somebody has caught up. */
static void
advance(struct turns *t, size_t node)
{
	if (t->until[node] > t->now)
		return;
	advance(t, 2 * node);
	advance(t, 2 * node + 1);
	compare(t, node);
}

static void
begin(struct turns *t)
{
	for (size_t i = 0; i < t->leaves; i++) {
		bool in = i < t->count && t->weight[i] > 0;

		t->ahead[t->leaves + i] = in ? (uint32_t)i : TURNS_NONE;
		t->until[t->leaves + i] = INT64_MAX;
	}
	for (size_t node = t->leaves - 1; node > 0; node--)
		compare(t, node);
}

/* The credit of now becomes that of turn 0. */
static void
rebase(struct turns *t)
{
	for (size_t i = 0; i < t->count; i++)
		t->base[i] = credit(t, (uint32_t)i);
	t->now = 0;
}

void
turns_build(struct turns *t, const uint32_t *weights, size_t count)
{
	double scale;
	int64_t before = t->sum;

	for (size_t i = count; i < t->count; i++)
		t->weight[i] = 0;
	if (t->count > 0)
		rebase(t);
	reserve(t, count);
	t->sum = t->members = t->credits = 0;
	for (size_t i = 0; i < count; i++) {
		t->sum += weights[i];
		t->members += weights[i] > 0;
	}
	scale = before > 0 ? (double)t->sum / (double)before : 0;
	for (size_t i = 0; i < count; i++) {
		bool stays = i < t->count && t->weight[i] > 0;

		t->base[i] = stays ? (int64_t)((double)t->base[i] * scale) : 0;
		t->weight[i] = weights[i];
		t->credits += weights[i] > 0 ? t->base[i] : 0;
	}
	t->count = count;
	begin(t);
}

void
turns_set(struct turns *t, uint32_t who, uint32_t weight)
{
	int64_t has;

	if (who >= t->count || t->weight[who] == weight)
		return;
	has = credit(t, who);
	if (t->weight[who] == 0) {
		has = t->members > 0 ? t->credits / t->members : 0;
		t->members++;
		t->credits += has;
	} else if (weight == 0) {
		t->members--;
		t->credits -= has;
	}
	t->base[who] = has - (int64_t)weight * t->now;
	t->sum += (int64_t)weight - t->weight[who];
	t->weight[who] = weight;
	t->ahead[t->leaves + who] = weight > 0 ? who : TURNS_NONE;
	for (size_t node = (t->leaves + who) / 2; node > 0; node /= 2)
		compare(t, node);
}

uint32_t
turns_next(struct turns *t)
{
	uint32_t who;

	if (t->sum == 0)
		return TURNS_NONE;
	if (t->now == TURNS_MAX) {
		rebase(t);
		begin(t);
	}
	t->now++;
	advance(t, 1);
	who = t->ahead[1];
	t->base[who] -= t->sum;
	for (size_t node = (t->leaves + who) / 2; node > 0; node /= 2)
		compare(t, node);
	return who;
}
