/*
 * inherit: which descriptors a program that the daemon starts finds open.  One file an OS.
 */
#ifndef WLAD_PLATFORM_INHERIT_H
#define WLAD_PLATFORM_INHERIT_H

/*
 * Marks every descriptor that is open now, but for the first three, as none to be inherited: also
 * those that whoever started the daemon left open.  What wlad opens itself is marked from the
 * beginning.
 */
void inherit_nothing(void);

#endif
