/* FreeBSD promotes pages by itself, OpenBSD has no huge ones for processes. */
#include "base/pages.h"

void
pages_advise_huge(void *memory, size_t octets)
{
	(void)memory;
	(void)octets;
}
