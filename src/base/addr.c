#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct ip
ip_from_v4(const void *octets)
{
	struct ip ip;

	memcpy(ip.octet, mapped_prefix, sizeof(mapped_prefix));
	memcpy(ip.octet + 12, octets, 4);
	return ip;
}

struct ip
ip_from_v6(const void *octets)
{
	struct ip ip;

	memcpy(ip.octet, octets, 16);
	return ip;
}

const uint8_t *
ip_v4(const struct ip *ip)
{
	return ip->octet + 12;
}

bool
ip_is_v4(const struct ip *ip)
{
	return memcmp(ip->octet, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool
ip_is_zero(const struct ip *ip)
{
	static const struct ip zero;

	return memcmp(ip, &zero, sizeof(zero)) == 0;
}

bool
ip_equal(const struct ip *a, const struct ip *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

int
addr_compare(const struct addr *a, const struct addr *b)
{
	int order = memcmp(&a->ip, &b->ip, sizeof(a->ip));

	if (order != 0)
		return order;
	return (a->port > b->port) - (a->port < b->port);
}

static bool
v4_is_martian(const uint8_t *o)
{
	return o[0] == 0 || o[0] == 127 || o[0] >= 224;
}

bool
ip_is_martian(const struct ip *ip)
{
	static const uint8_t zero[15];

	if (ip_is_v4(ip))
		return v4_is_martian(ip_v4(ip));
	if (ip->octet[0] == 0xff)
		return true;
	/* ::/96 holds the unspecified, the loopback and the (dead) compatible addresses */
	return memcmp(ip->octet, zero, 12) == 0;
}

int
ip_parse(const char *text, struct ip *ip)
{
	uint8_t octets[16];

	if (inet_pton(AF_INET, text, octets) == 1) {
		*ip = ip_from_v4(octets);
		return 0;
	}
	if (inet_pton(AF_INET6, text, octets) == 1) {
		*ip = ip_from_v6(octets);
		return 0;
	}
	return -1;
}

/* Decimal digits only, 1 to 65535. */
static int
port_parse(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long value;

	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return -1;
	value = strtoul(text, NULL, 10);
	if (value < 1 || value > 65535)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

int
addr_parse(const char *text, struct addr *addr)
{
	char host[IP_TEXT + 2];
	const char *colon = strrchr(text, ':');
	const char *start = text;
	size_t len;
	bool bracket = text[0] == '[';

	if (colon == NULL)
		return -1;
	len = (size_t)(colon - text);
	if (bracket) {
		if (len < 2 || text[len - 1] != ']')
			return -1;
		start++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return -1;
	memcpy(host, start, len);
	host[len] = '\0';
	/* an IPv6 address without brackets would be ambiguous */
	if (bracket != (strchr(host, ':') != NULL))
		return -1;
	if (ip_parse(host, &addr->ip) == -1)
		return -1;
	return port_parse(colon + 1, &addr->port);
}

const char *
ip_format(const struct ip *ip, char buf[IP_TEXT])
{
	if (ip_is_v4(ip))
		inet_ntop(AF_INET, ip_v4(ip), buf, IP_TEXT);
	else
		inet_ntop(AF_INET6, ip->octet, buf, IP_TEXT);
	return buf;
}

const char *
addr_format(const struct addr *addr, char buf[ADDR_TEXT])
{
	char host[IP_TEXT];

	ip_format(&addr->ip, host);
	if (ip_is_v4(&addr->ip))
		snprintf(buf, ADDR_TEXT, "%s:%u", host, addr->port);
	else
		snprintf(buf, ADDR_TEXT, "[%s]:%u", host, addr->port);
	return buf;
}

socklen_t
addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (ip_is_v4(&addr->ip)) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, ip_v4(&addr->ip), 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(addr->port);
	memcpy(&in6->sin6_addr, addr->ip.octet, 16);
	return sizeof(*in6);
}

int
addr_from_sockaddr(const struct sockaddr *sa, struct addr *addr)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		addr->ip = ip_from_v4(&in->sin_addr);
		addr->port = ntohs(in->sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		addr->ip = ip_from_v6(&in6->sin6_addr);
		addr->port = ntohs(in6->sin6_port);
		return 0;
	}
	return -1;
}
