/* Processor sharing in the virtual time of a server's own work. */
#include "base/clock.h"
#include "base/xalloc.h"
#include "sim.h"

#define SERVER_SLOTS 0.9 /* of its places: what runs at full speed */

static double
speed(const struct sim_server *s)
{
	double slots = SERVER_SLOTS * s->places;

	return (double)s->count <= slots ? 1 : slots / (double)s->count;
}

static void
work_until(struct sim_server *s, uint64_t now)
{
	s->work += (double)(now - s->at) / CLOCK_SECOND * speed(s);
	s->at = now;
}

void
server_start(struct sim_server *s, uint32_t connection, double seconds, uint64_t now)
{
	struct sim_job job;
	size_t i;

	work_until(s, now);
	job = (struct sim_job){s->work + seconds, connection};
	i = s->count++;
	if (s->count > s->size) {
		s->size = s->size == 0 ? 16 : s->size * 2;
		s->heap = xrealloc_array(s->heap, s->size, sizeof(s->heap[0]));
	}
	while (i > 0 && job.until < s->heap[(i - 1) / 2].until) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = job;
	s->version++;
}

uint64_t
server_next(const struct sim_server *s)
{
	double left;

	if (s->count == 0)
		return UINT64_MAX;
	left = (s->heap[0].until - s->work) / speed(s);
	/* rounded up, or it would not be over by then */
	return s->at + (left > 0 ? (uint64_t)(left * CLOCK_SECOND) + 1 : 0);
}

uint32_t
server_end(struct sim_server *s, uint64_t now)
{
	uint32_t connection = s->heap[0].connection;
	struct sim_job last;
	size_t i = 0, child;

	work_until(s, now);
	last = s->heap[--s->count];
	while ((child = 2 * i + 1) < s->count) {
		if (child + 1 < s->count && s->heap[child + 1].until < s->heap[child].until)
			child++;
		if (last.until <= s->heap[child].until)
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	s->version++;
	return connection;
}
