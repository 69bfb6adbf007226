/*
 * clock: monotonic time.
 *
 * Time is a parameter everywhere: the loop reads the clock once a wake-up and hands it on.
 * Unit: nanoseconds since an arbitrary start, never 0, never falling.
 */
#ifndef WLAD_BASE_CLOCK_H
#define WLAD_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_SECOND      UINT64_C(1000000000)
#define CLOCK_MILLISECOND UINT64_C(1000000)
#define CLOCK_MICROSECOND UINT64_C(1000)

/* Reads CLOCK_MONOTONIC. */
uint64_t clock_now(void);

#endif
