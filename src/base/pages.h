/*
 * pages: asks for huge pages, where the system has them.
 *
 * In pages of 4 KB a large table has more of them than the processor remembers, so that each
 * look-up would read their tables first.  One file an OS: pages_linux.c, pages_bsd.c.
 */
#ifndef WLAD_BASE_PAGES_H
#define WLAD_BASE_PAGES_H

#include <stddef.h>

#define PAGES_HUGE ((size_t)2 << 20)

/* For memory that begins at a multiple of PAGES_HUGE and was not touched yet.  It is a wish: nothing
 * says whether it was granted. */
void pages_advise_huge(void *memory, size_t octets);

#endif
