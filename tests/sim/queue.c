/* Events in the order of time; of the same time, in the order of entry. */
#include <stdlib.h>

#include "base/xalloc.h"
#include "sim.h"

static bool
before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void
queue_add(struct sim_queue *q, uint64_t at, enum sim_event_kind kind, uint32_t a, uint32_t b)
{
	struct sim_event event = {at, q->order++, kind, a, b};
	size_t i = q->count++;

	if (q->count > q->size) {
		q->size = q->size == 0 ? 1024 : q->size * 2;
		q->heap = xrealloc_array(q->heap, q->size, sizeof(q->heap[0]));
	}
	while (i > 0 && before(&event, &q->heap[(i - 1) / 2])) {
		q->heap[i] = q->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	q->heap[i] = event;
}

bool
queue_take(struct sim_queue *q, struct sim_event *event)
{
	struct sim_event last;
	size_t i = 0, child;

	if (q->count == 0)
		return false;
	*event = q->heap[0];
	last = q->heap[--q->count];
	while ((child = 2 * i + 1) < q->count) {
		if (child + 1 < q->count && before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (!before(&q->heap[child], &last))
			break;
		q->heap[i] = q->heap[child];
		i = child;
	}
	q->heap[i] = last;
	return true;
}

void
queue_fini(struct sim_queue *q)
{
	free(q->heap);
}
