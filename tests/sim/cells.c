#include "cells.h"

/* name, sites, story, use, interval; lives of 2 s, heavy-tailed, reports lost in 2 of 100 */
#define CELL(cell_name, n, what, load, every) \
	{ \
		.name = cell_name, .sites = n, .story = what, .use = load, .interval = every, \
		.life = 2, .shape = 1.5, .loss = 0.02, .capacity = 200, .seconds = 200 \
	}

#define MANY(cell_name, n, known, what, load, every, size, time) \
	{ \
		.name = cell_name, .sites = n, .peers = known, .story = what, .use = load, \
		.interval = every, .life = 2, .shape = 1.5, .loss = 0.02, .capacity = size, \
		.seconds = time \
	}

const struct sim_cell cells_standard[] = {
    CELL("even", 4, STORY_EVEN, 0.50, 1),
    CELL("even", 4, STORY_EVEN, 0.78, 5),
    CELL("even", 12, STORY_EVEN, 0.50, 1),
    CELL("even", 12, STORY_EVEN, 0.70, 1),
    CELL("even", 12, STORY_EVEN, 0.78, 1),
    CELL("even", 12, STORY_EVEN, 0.78, 5),
    CELL("skew", 4, STORY_SKEW, 0.50, 1),
    CELL("skew", 4, STORY_SKEW, 0.60, 5),
    CELL("skew", 4, STORY_SKEW, 0.70, 1),
    CELL("skew", 12, STORY_SKEW, 0.50, 1),
    CELL("skew", 12, STORY_SKEW, 0.50, 5),
    CELL("skew", 12, STORY_SKEW, 0.60, 1),
    CELL("skew", 12, STORY_SKEW, 0.60, 5),
    CELL("skew", 12, STORY_SKEW, 0.70, 1),
    CELL("skew", 12, STORY_SKEW, 0.70, 5),
    CELL("skew", 12, STORY_SKEW, 0.78, 1),
    CELL("skew", 12, STORY_SKEW, 0.78, 5),
    {.name = "no tail", .sites = 12, .story = STORY_SKEW, .use = 0.7, .interval = 5,
	.life = 2, .capacity = 200, .seconds = 200},
    {.name = "short lives", .sites = 12, .story = STORY_SKEW, .use = 0.7, .interval = 5,
	.life = 0.3, .shape = 1.5, .loss = 0.02, .capacity = 100, .seconds = 200},
    {.name = "long lives", .sites = 12, .story = STORY_SKEW, .use = 0.6, .interval = 1,
	.life = 60, .shape = 1.5, .loss = 0.02, .capacity = 1000, .seconds = 400},
    {.name = "bad network", .sites = 12, .story = STORY_SKEW, .use = 0.6, .interval = 1,
	.life = 2, .shape = 1.5, .loss = 0.5, .capacity = 200, .seconds = 200},
    CELL("flash crowd", 12, STORY_FLASH, 0.50, 1),
    CELL("flash crowd", 12, STORY_FLASH, 0.50, 5),
    CELL("servers die", 12, STORY_SERVERS, 0.60, 1),
    CELL("site dies", 12, STORY_SITE, 0.60, 1),
    CELL("liar", 12, STORY_LIAR, 0.50, 1),
    CELL("liar", 12, STORY_LIAR, 0.70, 1),
    CELL("braggart", 12, STORY_BRAGGART, 0.50, 1),
    CELL("braggart", 12, STORY_BRAGGART, 0.70, 1),
    MANY("skew", 100, 0, STORY_SKEW, 0.60, 1, 100, 60),
    MANY("skew", 100, 0, STORY_SKEW, 0.70, 5, 100, 60),
    MANY("flash crowd", 100, 0, STORY_FLASH, 0.60, 1, 100, 60),
    MANY("skew", 1000, 64, STORY_SKEW, 0.60, 5, 40, 30),
    {0},
};

const struct sim_cell cells_short[] = {
    {.name = "even", .sites = 4, .story = STORY_EVEN, .use = 0.5, .interval = 1, .life = 2,
	.shape = 1.5, .loss = 0.02, .capacity = 100, .seconds = 100},
    {.name = "skew", .sites = 12, .story = STORY_SKEW, .use = 0.6, .interval = 5, .life = 2,
	.shape = 1.5, .loss = 0.02, .capacity = 100, .seconds = 100},
    {.name = "flash crowd", .sites = 12, .story = STORY_FLASH, .use = 0.5, .interval = 1,
	.life = 2, .shape = 1.5, .loss = 0.02, .capacity = 100, .seconds = 100},
    {.name = "servers die", .sites = 12, .story = STORY_SERVERS, .use = 0.5, .interval = 1,
	.life = 2, .shape = 1.5, .loss = 0.02, .capacity = 100, .seconds = 100},
    {.name = "liar", .sites = 12, .story = STORY_LIAR, .use = 0.5, .interval = 1, .life = 2,
	.shape = 1.5, .loss = 0.02, .capacity = 100, .seconds = 100},
    {0},
};
