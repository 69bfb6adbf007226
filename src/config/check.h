/*
 * check: what must hold between settings, over a struct config that the walk has filled.
 *
 * Works on a partly filled struct as well (a faulty setting leaves its default), so that one
 * run reports everything; a fault is not reported again for its consequences.
 */
#ifndef WLAD_CONFIG_CHECK_H
#define WLAD_CONFIG_CHECK_H

#include "config/config.h"
#include "config/report.h"

void check_config(const struct config *config, struct report *report);

#endif
