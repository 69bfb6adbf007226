/*
 * Linux: madvise(2); /sys/kernel/mm/transparent_hugepage/enabled says "madvise" or "always" where
 * it is heard.
 */
#include "base/pages.h"

#include <sys/mman.h>

void
pages_advise_huge(void *memory, size_t octets)
{
	madvise(memory, octets, MADV_HUGEPAGE);
}
