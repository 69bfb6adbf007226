/*
 * replace: a file that is there whole, the old or the new one, whatever happens meanwhile.
 */
#ifndef WLAD_WLADMCTL_REPLACE_H
#define WLAD_WLADMCTL_REPLACE_H

#include <stddef.h>

/*
 * Puts a text into a file: through a temporary one beside it, with the owner and the mode of the
 * old one, which stays as FILE~.  A link is followed by the caller.  0, or -1 with a sentence and
 * nothing changed.
 */
int replace_file(const char *file, const char *text, char *error, size_t error_size);

#endif
