/*
 * addr: an IP address, and an address with its port.
 *
 * IPv4 addresses are held as IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2), so that
 * one type, one comparison and one hash serve both families.  Ports are in host byte order.
 * Plain data: copied by value, owns nothing.  Seed: "address" always includes the port
 * number (claim 9).
 */
#ifndef WLAD_BASE_ADDR_H
#define WLAD_BASE_ADDR_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ip {
	uint8_t octet[16]; /* network byte order; ::ffff:a.b.c.d for IPv4 */
};

struct addr {
	struct ip ip;
	uint16_t port; /* host byte order; 0: none */
};

#define IP_TEXT   46 /* octets that hold any ip_format() text with its NUL */
#define ADDR_TEXT 56 /* the same for addr_format() */

/* The IPv4 address in 4 octets, or the IPv6 address in 16, network order. */
struct ip ip_from_v4(const void *octets);
struct ip ip_from_v6(const void *octets);

/* The 4 octets of an IPv4 address, network order; only if ip_is_v4(). */
const uint8_t *ip_v4(const struct ip *ip);

bool ip_is_v4(const struct ip *ip);
bool ip_is_zero(const struct ip *ip); /* all octets zero: "no address" */
bool ip_equal(const struct ip *a, const struct ip *b);
bool addr_equal(const struct addr *a, const struct addr *b);

/* A total order, for sorted output: <0, 0, >0 as memcmp(3). */
int addr_compare(const struct addr *a, const struct addr *b);

/*
 * True if no packet from this sender may be believed: 0/8, 127/8, 224/3, ::, ::1, ff00::/8
 * and mapped or compatible forms inside IPv6 (RFC 6890).
 */
bool ip_is_martian(const struct ip *ip);

/* Parses "192.0.2.1" or "2001:db8::1".  Returns 0, or -1 if it is neither. */
int ip_parse(const char *text, struct ip *ip);

/* Parses "192.0.2.1:80" or "[2001:db8::1]:80", port 1-65535.  Returns 0 or -1. */
int addr_parse(const char *text, struct addr *addr);

/* Writes the text form into buf and returns buf. */
const char *ip_format(const struct ip *ip, char buf[IP_TEXT]);
const char *addr_format(const struct addr *addr, char buf[ADDR_TEXT]);

/* To and from the socket interface.  addr_to_sockaddr returns the length used;
 * addr_from_sockaddr returns 0, or -1 for another family. */
socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ss);
int addr_from_sockaddr(const struct sockaddr *sa, struct addr *addr);

#endif
