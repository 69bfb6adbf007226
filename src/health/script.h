/*
 * script: the programs that checks of the type script run.
 *
 * So many at a time, each in a process group of its own that is killed when its time is over, or
 * when it has ended and left somebody behind.  They run as the daemon does when it has given up
 * its rights, and inherit none of its descriptors.
 */
#ifndef WLAD_HEALTH_SCRIPT_H
#define WLAD_HEALTH_SCRIPT_H

#include <stdbool.h>

#include "loop.h"

#define SCRIPTS_MAX 32 /* at a time, those that are being killed among them */

struct scripts;

/* From now on no program that is started inherits a descriptor that is open already. */
struct scripts *scripts_new(struct loop *loop);
void scripts_free(struct scripts *scripts); /* after all its probes; NULL is fine */

/* Whether one more may be started. */
bool scripts_room(const struct scripts *scripts);

/* Called when there is room after one has been killed. */
void scripts_set_freed(struct scripts *scripts, loop_callback *freed, void *arg);

#endif
