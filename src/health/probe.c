#include "health/probe.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

enum health_cause
probe_cause(int error)
{
	switch (error) {
	case 0:
		return HEALTH_none;
	case ECONNREFUSED:
		return HEALTH_refused;
	case ETIMEDOUT:
		return HEALTH_timeout;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return HEALTH_unreachable;
	case ECONNRESET:
		return HEALTH_reset;
	case EBADF:
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL:
	case EAGAIN:
		return HEALTH_local;
	default:
		return HEALTH_other;
	}
}

bool
probe_is_verdict(enum health_cause cause)
{
	return cause != HEALTH_local && cause != HEALTH_authorities &&
	    cause != HEALTH_script_start;
}

static void
on_timer(void *arg, uint64_t now)
{
	struct probe *probe = arg;

	probe_finish(probe, probe->cause, 0, now);
}

void
probe_init(struct probe *probe, const struct probe_request *request, enum health_cause cause,
    void (*release)(struct probe *probe))
{
	probe->release = release;
	probe->loop = request->loop;
	probe->cause = cause;
	probe->done = request->done;
	probe->arg = request->arg;
	probe->timer = loop_timer_new(request->loop, on_timer, probe);
	loop_timer_set(probe->timer, (uint64_t)(request->check->timeout * CLOCK_SECOND));
}

void
probe_end_soon(struct probe *probe, enum health_cause cause)
{
	probe->cause = cause;
	loop_timer_set(probe->timer, 0);
}

void
probe_cancel(struct probe *probe)
{
	if (probe == NULL)
		return;
	probe->release(probe);
	loop_timer_free(probe->timer);
	free(probe);
}

void
probe_finish(struct probe *probe, enum health_cause cause, unsigned status, uint64_t now)
{
	struct probe_result result = {
	    .cause = cause, .status = status, .has_load = probe->has_load, .load = probe->load};
	probe_done *done = probe->done;
	void *arg = probe->arg;

	probe_cancel(probe);
	done(arg, &result, now);
}

struct probe *
probe_start(const struct probe_request *request)
{
	static struct probe *(*const kinds[])(const struct probe_request *) = {
	    [CONFIG_CHECK_TCP] = tcp_start,
	    [CONFIG_CHECK_TLS] = tcp_start,
	    [CONFIG_CHECK_HTTP] = http_start,
	    [CONFIG_CHECK_HTTPS] = http_start,
	    [CONFIG_CHECK_ICMP] = icmp_start,
	    [CONFIG_CHECK_UDP] = udp_start,
	    [CONFIG_CHECK_DNS] = dns_start,
	    [CONFIG_CHECK_SCRIPT] = script_start,
	};

	return kinds[request->check->type](request);
}
