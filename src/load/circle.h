/*
 * circle: which of many sites a coordinator introduces to each other.
 *
 * To tell each of a thousand sites of each other's load is a million records as often as loads
 * change; a site that needs help is served as well by some dozens.  So of the sites that offer a
 * service each pair is drawn, by the names alone, with a probability that leaves each about
 * CIRCLE_SITES others: the same pairs at every coordinator and after every start, both sites of a pair
 * know each other, and who comes or goes changes nothing between the others, until there are a
 * quarter more or fewer.  With no more than CIRCLE_SITES all know all.
 *
 * Pure.  Used by load/coordinator*.c.
 */
#ifndef WLAD_LOAD_CIRCLE_H
#define WLAD_LOAD_CIRCLE_H

#include <stdbool.h>
#include <stdint.h>

#define CIRCLE_SITES 40

/* Where a name of a site or of a service is. */
uint64_t circle_point(const char *name);

/*
 * The number of sites, rounded: the level is the smallest of a series that is no less, but only falls
 * once there are clearly fewer.  level: the one until now, 0: none.
 */
uint32_t circle_level(uint32_t level, uint32_t sites);

/* True if two sites that both offer the service are introduced to each other. */
bool circle_knows(uint64_t a, uint64_t b, uint64_t service, uint32_t level);

#endif
