/* cells: what is tried. */
#ifndef WLAD_TESTS_SIM_CELLS_H
#define WLAD_TESTS_SIM_CELLS_H

#include "sim.h"

/* The standard table, and the few of it that take seconds; ended by a cell without name. */
extern const struct sim_cell cells_standard[], cells_short[];

#endif
