/*
 * script_line: the load that the first line of a script's output tells: "load 0.35", "35%".
 */
#ifndef WLAD_HEALTH_SCRIPT_LINE_H
#define WLAD_HEALTH_SCRIPT_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define SCRIPT_LINE_MAX 64 /* octets of a line that can tell a load */

/* Takes a line without its end.  True, and a load from 0 to 1, if it is one. */
bool script_line_load(const char *line, size_t len, double *load);

#endif
