#include "io/family.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "packet/segment.h"

int
family_receive(int fd, struct family_buffer *buffer, struct packet *p)
{
	uint8_t *front = buffer->in + IO_HEADROOM - FAMILY_LEN;
	ssize_t n;

	do
		n = read(fd, front, FAMILY_LEN + PACKET_MAX);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	if (n < FAMILY_LEN) {
		errno = EPROTO;
		return -1;
	}
	/* The family is not looked at: packet_parse() reads the version. */
	memset(p, 0, sizeof(*p));
	p->data = front + FAMILY_LEN;
	p->len = (uint32_t)n - FAMILY_LEN;
	p->headroom = IO_HEADROOM;
	return 1;
}

static int
write_parts(int fd, int version, struct iovec *vector, int count)
{
	uint8_t family[FAMILY_LEN] = {0, 0, 0, version == 4 ? AF_INET : AF_INET6};
	ssize_t n;

	vector[0] = (struct iovec){family, sizeof(family)};
	do
		n = writev(fd, vector, count);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static int
write_segments(int fd, const struct packet *super)
{
	struct packet whole = *super;
	struct segmenter s;
	struct segment segment;
	int result = 0;
	bool any = false;

	whole.partial = false; /* each segment gets its full checksum */
	segment_start(&s, &whole);
	while (result == 0 && segment_next(&s, &segment)) {
		struct iovec vector[3];

		vector[1] = (struct iovec){segment.header, segment.header_len};
		vector[2] = (struct iovec){(void *)segment.payload, segment.payload_len};
		result = write_parts(fd, whole.version, vector, 3);
		any = true;
	}
	if (!any) {
		errno = EMSGSIZE; /* headers longer than a segment's may be */
		result = -1;
	}
	return result;
}

int
family_send(int fd, struct family_buffer *buffer, const struct packet *p)
{
	struct packet copy = *p;
	struct iovec vector[2];

	if (p->gso != PACKET_GSO_NONE)
		return write_segments(fd, p);
	if (p->partial) {
		if (p->len > sizeof(buffer->scratch)) {
			errno = EMSGSIZE;
			return -1;
		}
		memcpy(buffer->scratch, p->data, p->len);
		copy.data = buffer->scratch;
		packet_complete_checksum(&copy);
	}
	vector[1] = (struct iovec){copy.data, copy.len};
	return write_parts(fd, copy.version, vector, 2);
}
