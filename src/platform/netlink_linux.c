#include "platform/netlink_linux.h"

#include <sys/socket.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void
take_words(const struct nlmsghdr *nlh, struct netlink_answer *answer)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	size_t offset = sizeof(*e);
	const struct nlattr *attr;

	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
		return;
	/* Behind the request that the answer repeats, if it does. */
	if ((nlh->nlmsg_flags & NLM_F_CAPPED) == 0)
		offset += e->msg.nlmsg_len - sizeof(e->msg);
	if (offset > mnl_nlmsg_get_payload_len(nlh))
		return;
	mnl_attr_for_each (attr, nlh, offset) {
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			snprintf(
			    answer->text, sizeof(answer->text), "%s", mnl_attr_get_str(attr));
	}
}

static void
take_route(const struct nlmsghdr *nlh, struct netlink_answer *answer)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*route))
		return;
	answer->type = route->rtm_type;
	mnl_attr_for_each (attr, nlh, sizeof(*route)) {
		if (mnl_attr_get_type(attr) == RTA_OIF &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			answer->oif = mnl_attr_get_u32(attr);
	}
}

/* Reads until the acknowledgement, which comes last.  0, or -1 with errno. */
static int
receive_answer(struct mnl_socket *socket, uint32_t seq, struct netlink_answer *answer)
{
	char buf[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *nlh;
	int n;

	for (;;) {
		n = (int)mnl_socket_recvfrom(socket, buf, sizeof(buf));
		if (n == -1)
			return -1;
		for (nlh = (struct nlmsghdr *)buf; mnl_nlmsg_ok(nlh, n);
		     nlh = mnl_nlmsg_next(nlh, &n)) {
			if (nlh->nlmsg_seq != seq)
				continue;
			if (nlh->nlmsg_type == RTM_NEWROUTE)
				take_route(nlh, answer);
			if (nlh->nlmsg_type != NLMSG_ERROR ||
			    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nlmsgerr))
				continue;
			answer->error = -((struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;
			take_words(nlh, answer);
			return 0;
		}
	}
}

int
netlink_talk(struct netlink_request *request, struct netlink_answer *answer)
{
	struct mnl_socket *socket;
	uint32_t seq = (uint32_t)time(NULL);
	int on = 1, result = -1;

	memset(answer, 0, sizeof(*answer));
	request->header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->header->nlmsg_seq = seq;
	socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (socket == NULL)
		return -1;
	mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(socket, request->header, request->header->nlmsg_len) != -1 &&
	    receive_answer(socket, seq, answer) == 0) {
		errno = answer->error;
		result = errno == 0 ? 0 : -1;
	}
	on = errno;
	mnl_socket_close(socket);
	errno = on;
	return result;
}

static const char *
hint(int error)
{
	return error == EPERM ? " (needs CAP_NET_ADMIN)" : "";
}

const char *
netlink_reason(const struct netlink_answer *answer, char *buf, size_t size)
{
	const char *separator = answer->text[0] == '\0' ? "" : ", ";

	snprintf(buf, size, ": %s%s%s%s", strerror(errno), separator, answer->text, hint(errno));
	return buf;
}
