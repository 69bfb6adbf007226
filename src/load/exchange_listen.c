/*
 * exchange_listen: being dialled: who may begin a handshake.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "load/exchange_internal.h"

#define HANDSHAKES_MAX  64 /* accepted and not established, at a time ... */
#define HANDSHAKES_KEPT 16 /* ... these many of them for addresses of peers only */
#define STRANGERS_RATE  16 /* handshakes a second with other addresses: each costs a signature */
#define UNKNOWN_RATE    256          /* the same where strangers are welcome */
#define ACCEPT_PAUSE    CLOCK_SECOND /* when descriptors have run out */

static bool
is_peer_ip(const struct exchange *x, const struct ip *ip)
{
	for (size_t i = 0; i < x->peers_count; i++)
		if (ip_equal(&x->peers[i]->config->load.ip, ip))
			return true;
	return false;
}

/* Strangers can take neither all places from peers nor all time from packets. */
static bool
has_place(struct exchange *x, const struct addr *from)
{
	size_t opening = 0;

	for (size_t i = 0; i < x->peerings_count; i++) {
		const struct peering_info *info = peering_info(x->peerings[i]);

		opening += !info->dialled && !info->established;
	}
	if (is_peer_ip(x, &from->ip))
		return opening < HANDSHAKES_MAX;
	return opening < HANDSHAKES_MAX - HANDSHAKES_KEPT &&
	    ratelimit_take(&x->strangers, exchange_now(x));
}

static void
take_in(struct exchange *x, evutil_socket_t fd, const struct sockaddr *sa)
{
	struct addr from;
	char address[ADDR_TEXT];
	struct peering *p;

	if (addr_from_sockaddr(sa, &from) != 0) {
		evutil_closesocket(fd);
		return;
	}
	if (!has_place(x, &from)) {
		evutil_closesocket(fd);
		exchange_count(x, COUNTER_sessions_refused);
		log_warnx("session refused, too many handshakes address=%s",
		    addr_format(&from, address));
		return;
	}
	p = peering_accept(&x->parts, fd, &from, &exchange_peerings, x);
	if (p != NULL)
		exchange_enter(x, p);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int len,
    void *arg)
{
	struct exchange *x = arg;

	(void)listener;
	(void)len;
	loop_enter(x->parts.session.loop);
	take_in(x, fd, sa);
	loop_leave(x->parts.session.loop);
}

/* Most likely no descriptor is free: trying again at once would only burn time. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct exchange *x = arg;

	log_warn("cannot accept sessions, pausing");
	evconnlistener_disable(listener);
	loop_enter(x->parts.session.loop);
	loop_timer_set(x->accept_timer, ACCEPT_PAUSE);
	loop_leave(x->parts.session.loop);
}

static void
on_accept_again(void *arg, uint64_t now)
{
	struct exchange *x = arg;

	(void)now;
	if (!x->stopping)
		evconnlistener_enable(x->listener);
}

int
exchange_listen(struct exchange *x, const struct addr *address, char *error, size_t error_size)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(address, &ss);
	char text[ADDR_TEXT];

	x->listener = evconnlistener_new_bind(loop_base(x->parts.session.loop), on_accept, x,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, -1,
	    (struct sockaddr *)&ss, (int)len);
	if (x->listener == NULL) {
		snprintf(error, error_size, "load.listen: cannot listen on %s: %s",
		    addr_format(address, text), strerror(errno));
		return -1;
	}
	x->strangers =
	    ratelimit_make(x->parts.config->load.accept_unknown ? UNKNOWN_RATE : STRANGERS_RATE,
		HANDSHAKES_MAX - HANDSHAKES_KEPT);
	evconnlistener_set_error_cb(x->listener, on_accept_error);
	x->accept_timer = loop_timer_new(x->parts.session.loop, on_accept_again, x);
	return 0;
}

void
exchange_listen_stop(struct exchange *x)
{
	if (x->listener != NULL)
		evconnlistener_disable(x->listener);
}

void
exchange_listen_fini(struct exchange *x)
{
	if (x->listener != NULL)
		evconnlistener_free(x->listener);
	loop_timer_free(x->accept_timer);
}
