/*
 * octets: what a check sends or expects, octets of any value.
 *
 * Written as a text in which \r, \n, \t, \\ and \xHH stand for one octet each.  Plain data, copied
 * by value.
 */
#ifndef WLAD_CONFIG_OCTETS_H
#define WLAD_CONFIG_OCTETS_H

#include <stdbool.h>
#include <stdint.h>

#define OCTETS_MAX  256
#define OCTETS_TEXT (4 * OCTETS_MAX + 1) /* octets that hold any octets_format() with its NUL */

struct octets {
	uint16_t len;
	uint8_t data[OCTETS_MAX];
};

/* Returns 0, or -1 and leaves octets as it was: an unknown escape, or too many. */
int octets_parse(const char *text, struct octets *octets);

/* The text that gives these octets; returns buf. */
const char *octets_format(const struct octets *octets, char buf[OCTETS_TEXT]);

bool octets_equal(const struct octets *a, const struct octets *b);

#endif
