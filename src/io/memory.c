#include "io/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "packet/segment.h"

struct slot {
	/* IO_HEADROOM, then the octets; none more, so that who reads past the end is noticed */
	uint8_t *block;
	size_t size;
	struct memory_packet packet;
};

/* A ring with IO_BATCH slots more than it holds: what was taken out last stays
 * as it is while others come in. */
struct queue {
	struct slot *slot;
	size_t slots, head, count;
};

struct memory {
	struct io io; /* first: an io is cast to its memory */
	size_t capacity;
	size_t datagram_max;
	uint32_t device_max;
	struct io_refused refused;
	uint8_t *refused_data; /* of refused.packet */
	struct queue device_in, device_out, transfer_in, transfer_out;
};

static void
queue_init(struct queue *q, size_t capacity)
{
	q->slots = capacity + IO_BATCH;
	q->slot = xcalloc(q->slots, sizeof(*q->slot));
}

static void
queue_fini(struct queue *q)
{
	for (size_t i = 0; i < q->slots; i++)
		free(q->slot[i].block);
	free(q->slot);
}

/* A slot at the end of the queue with a copy of the octets; NULL if it is full. */
static struct memory_packet *
queue_put(struct memory *m, struct queue *q, const void *data, size_t len)
{
	struct slot *s;

	if (q->count == m->capacity || len > UINT32_MAX) {
		errno = EAGAIN;
		return NULL;
	}
	s = &q->slot[(q->head + q->count) % q->slots];
	if (s->block == NULL || s->size != len) {
		free(s->block);
		s->block = xmalloc(IO_HEADROOM + len);
		s->size = len;
	}
	if (len != 0)
		memcpy(s->block + IO_HEADROOM, data, len);
	memset(&s->packet, 0, sizeof(s->packet));
	s->packet.data = s->block + IO_HEADROOM;
	s->packet.len = len;
	q->count++;
	return &s->packet;
}

static struct memory_packet *
queue_take(struct queue *q)
{
	struct memory_packet *packet;

	if (q->count == 0)
		return NULL;
	packet = &q->slot[q->head].packet;
	q->head = (q->head + 1) % q->slots;
	q->count--;
	return packet;
}

static int
device_receive(struct io *io, struct packet *p)
{
	struct memory_packet *m = queue_take(&((struct memory *)io)->device_in);

	if (m == NULL)
		return 0;
	memset(p, 0, sizeof(*p));
	p->data = m->data;
	p->len = (uint32_t)m->len;
	p->headroom = IO_HEADROOM;
	p->gso = m->gso;
	p->gso_size = m->gso_size;
	p->partial = m->partial;
	return 1;
}

/* What was taken out last stays: IO_BATCH of them. */
static int
device_receive_many(struct io *io, struct packet *p, int max, bool *more)
{
	int count = 0;

	while (count < max && count < IO_BATCH && device_receive(io, &p[count]) == 1)
		count++;
	*more = ((struct memory *)io)->device_in.count > 0;
	return count;
}

/* Keeps the first for device_flush. */
static void
refuse(struct memory *m, const struct packet *p)
{
	m->refused.count++;
	m->refused.too_big++;
	if (m->refused.mtu != 0)
		return;
	m->refused.mtu = m->device_max;
	m->refused.packet = *p;
	m->refused.packet.headroom = 0;
	free(m->refused_data);
	m->refused_data = xmalloc(p->len);
	m->refused.packet.data = memcpy(m->refused_data, p->data, p->len);
}

static uint32_t
device_flush(struct io *io, struct io_refused *refused)
{
	struct memory *m = (struct memory *)io;

	*refused = m->refused;
	memset(&m->refused, 0, sizeof(m->refused));
	return refused->count;
}

static int
device_send(struct io *io, const struct packet *p)
{
	struct memory *m = (struct memory *)io;
	struct memory_packet *out;

	if (m->device_max != 0 && segment_max_len(p) > m->device_max) {
		refuse(m, p);
		return 0;
	}
	out = queue_put(m, &m->device_out, p->data, p->len);
	if (out == NULL)
		return -1;
	out->gso = p->gso;
	out->gso_size = p->gso_size;
	out->gso_ecn = p->gso_ecn;
	out->partial = p->partial;
	return 0;
}

static int
device_send_pieces(
    struct io *io, const struct packet *p, const struct iovec *piece, unsigned count)
{
	uint8_t *octets = xmalloc(p->len);
	struct packet whole = *p;
	size_t len = 0;
	int result;

	for (unsigned i = 0; i < count && piece[i].iov_len <= p->len - len; i++) {
		memcpy(octets + len, piece[i].iov_base, piece[i].iov_len);
		len += piece[i].iov_len;
	}
	whole.data = octets;
	whole.len = (uint32_t)len;
	whole.headroom = 0;
	result = device_send(io, &whole);
	free(octets);
	return result;
}

static int
transfer_receive(struct io *io, struct datagram *batch, int max)
{
	struct memory *m = (struct memory *)io;
	struct memory_packet *in;
	int n = 0;

	while (n < max && n < IO_BATCH) {
		in = queue_take(&m->transfer_in);
		if (in == NULL)
			break;
		batch[n].data = in->data;
		batch[n].len = (uint32_t)in->len;
		batch[n].segment = (uint32_t)in->len;
		batch[n].from = in->peer;
		batch[n].demand = in->demand;
		n++;
	}
	return n;
}

static long
transfer_send(
    struct io *io, const struct addr *to, const uint8_t *data, size_t len, size_t segment)
{
	struct memory *m = (struct memory *)io;
	struct memory_packet *out;
	size_t done = 0, n;

	if (segment == 0)
		segment = len;
	while (done < len) {
		n = len - done < segment ? len - done : segment;
		if (m->datagram_max != 0 && n > m->datagram_max) {
			errno = EMSGSIZE;
			break;
		}
		out = queue_put(m, &m->transfer_out, data + done, n);
		if (out == NULL)
			break;
		out->peer = *to;
		done += n;
	}
	return done == 0 && len != 0 ? -1 : (long)done;
}

static int
no_fd(const struct io *io)
{
	(void)io;
	return -1;
}

static void
memory_close(struct io *io)
{
	struct memory *m = (struct memory *)io;

	queue_fini(&m->device_in);
	queue_fini(&m->device_out);
	queue_fini(&m->transfer_in);
	queue_fini(&m->transfer_out);
	free(m->refused_data);
	free(m);
}

static const struct io_ops memory_ops = {
    .device_receive = device_receive,
    .device_receive_many = device_receive_many,
    .device_send = device_send,
    .device_send_pieces = device_send_pieces,
    .device_flush = device_flush,
    .transfer_receive = transfer_receive,
    .transfer_send = transfer_send,
    .device_fd = no_fd,
    .transfer_fd = no_fd,
    .demand_fd = no_fd,
    .close = memory_close,
};

struct io *
memory_new(size_t capacity)
{
	struct memory *m = xcalloc(1, sizeof(*m));

	m->io.ops = &memory_ops;
	m->io.takes_super = true;
	m->io.takes_uso = true;
	m->io.takes_partial = true;
	m->capacity = capacity;
	queue_init(&m->device_in, capacity);
	queue_init(&m->device_out, capacity);
	queue_init(&m->transfer_in, capacity);
	queue_init(&m->transfer_out, capacity);
	return &m->io;
}

int
memory_put_packet(
    struct io *io, const void *data, size_t len, uint8_t gso, uint16_t gso_size, bool partial)
{
	struct memory *m = (struct memory *)io;
	struct memory_packet *in = queue_put(m, &m->device_in, data, len);

	if (in == NULL)
		return -1;
	in->gso = gso;
	in->gso_size = gso_size;
	in->partial = partial;
	return 0;
}

static int
put_datagram(struct io *io, const void *data, size_t len, const struct addr *from, bool demand)
{
	struct memory *m = (struct memory *)io;
	struct memory_packet *in = queue_put(m, &m->transfer_in, data, len);

	if (in == NULL)
		return -1;
	in->peer = *from;
	in->demand = demand;
	return 0;
}

int
memory_put_datagram(struct io *io, const void *data, size_t len, const struct addr *from)
{
	return put_datagram(io, data, len, from, false);
}

int
memory_put_demand(struct io *io, const void *data, size_t len, const struct addr *from)
{
	return put_datagram(io, data, len, from, true);
}

void
memory_set_datagram_max(struct io *io, size_t octets)
{
	((struct memory *)io)->datagram_max = octets;
}

void
memory_set_device_max(struct io *io, uint32_t octets)
{
	((struct memory *)io)->device_max = octets;
}

static bool
take(struct queue *q, struct memory_packet *out)
{
	struct memory_packet *packet = queue_take(q);

	if (packet == NULL)
		return false;
	*out = *packet;
	return true;
}

bool
memory_take_packet(struct io *io, struct memory_packet *out)
{
	return take(&((struct memory *)io)->device_out, out);
}

bool
memory_take_datagram(struct io *io, struct memory_packet *out)
{
	return take(&((struct memory *)io)->transfer_out, out);
}
