#include "allocation/maglev.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define FREE UINT32_MAX

/* Turns in which the rows are filled: more of them mix servers of unlike weight better. */
#define TURNS_MAX 1024

struct maglev_member {
	uint32_t index;
	uint32_t next, step;  /* the row it wants next, and how it goes on from there */
	uint32_t rows, taken; /* rows that are due to it, and that it has */
};

void
maglev_fini(struct maglev *m)
{
	free(m->rows);
	free(m->members);
	memset(m, 0, sizeof(*m));
}

static void
reserve(struct maglev *m, size_t count)
{
	if (m->rows == NULL)
		m->rows = xcalloc(MAGLEV_ROWS, sizeof(*m->rows));
	if (count <= m->size)
		return;
	m->members = xrealloc_array(m->members, count, sizeof(*m->members));
	m->size = count;
}

/* Gives each its share of the rows: those between the cumulated weights, to the last row. */
static size_t
enter_members(struct maglev *m, const uint64_t *identity, const uint32_t *weights, size_t count)
{
	uint64_t sum = 0, before = 0;
	size_t entered = 0;

	for (size_t i = 0; i < count; i++)
		sum += weights[i];
	for (size_t i = 0; i < count; i++) {
		uint64_t upto = before + weights[i];

		if (weights[i] == 0)
			continue;
		m->members[entered++] = (struct maglev_member){.index = (uint32_t)i,
		    .next = (uint32_t)(identity[i] >> 32) % MAGLEV_ROWS,
		    .step = (uint32_t)identity[i] % (MAGLEV_ROWS - 1) + 1,
		    .rows = (uint32_t)(upto * MAGLEV_ROWS / sum - before * MAGLEV_ROWS / sum)};
		before = upto;
	}
	return entered;
}

static uint32_t
step_from(uint32_t row, uint32_t step)
{
	row += step;
	return row < MAGLEV_ROWS ? row : row - MAGLEV_ROWS;
}

static void
take_row(struct maglev *m, struct maglev_member *member)
{
	uint32_t row = member->next;

	while (m->rows[row] != FREE)
		row = step_from(row, member->step);
	m->rows[row] = member->index;
	member->next = step_from(row, member->step);
	member->taken++;
}

void
maglev_build(struct maglev *m, const uint64_t *identity, const uint32_t *weights, size_t count)
{
	size_t members, turns;

	reserve(m, count);
	members = enter_members(m, identity, weights, count);
	for (size_t row = 0; row < MAGLEV_ROWS; row++)
		m->rows[row] = FREE;
	if (members == 0)
		return;
	turns = MAGLEV_ROWS / members;
	turns = turns < 1 ? 1 : turns > TURNS_MAX ? TURNS_MAX : turns;
	for (uint64_t turn = 1; turn <= turns; turn++) {
		for (size_t i = 0; i < members; i++) {
			struct maglev_member *member = &m->members[i];

			while (member->taken < member->rows * turn / turns)
				take_row(m, member);
		}
	}
}
