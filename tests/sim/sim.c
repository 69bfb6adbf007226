/*
 * sim [-su] [-c name] [-n sites] [-r seed] [-m seeds] [-d file]: prints the table, the short one with
 * -s, or cells of a name or size only.  -u: nobody grants rates.  -m: wlad alone, with so many seeds.
 * -d: the figures as a file for table.gnuplot.  Exit 1 if an expectation fails.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cells.h"

#define WITHIN         1.03 /* of the best rule's slowdown */
#define DRIFT_MOST     0.03 /* of a slowdown that is held; seeds differ by less */
#define REVERSALS_MOST 10
#define PUSHED_MOST    0.0015 /* of what is sent to other sites */
#define LOST_MOST      0.001  /* in a flash crowd */
/* One of the eight that may help a third of twelve sites lies: an eighth is its share. */
#define LIAR_MOST            0.125
#define LIAR_LOST_MOST       0.01
#define BRAGGART_PUSHED_MOST 0.05

struct options {
	const struct sim_cell *cells;
	const char *name;
	unsigned sites;
	uint64_t seed;
	unsigned seeds; /* 0: one, and all rules */
	bool unlimited;
	FILE *data;
};

static int
parse(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){.cells = cells_standard, .seed = 1};
	while ((option = getopt(argc, argv, "suc:n:r:m:d:")) != -1) {
		switch (option) {
		case 's':
			options->cells = cells_short;
			break;
		case 'u':
			options->unlimited = true;
			break;
		case 'c':
			options->name = optarg;
			break;
		case 'n':
			options->sites = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			options->seed = strtoull(optarg, NULL, 10);
			break;
		case 'm':
			options->seeds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			options->data = fopen(optarg, "w");
			if (options->data != NULL)
				break;
			perror(optarg);
			return -1;
		default:
			fputs("usage: sim [-su] [-c name] [-n sites] [-r seed] [-m seeds] "
			      "[-d file]\n",
			    stderr);
			return -1;
		}
	}
	return 0;
}

/* Of the rules that others use; a site for itself is not lied to. */
static double
best(const struct sim_result *results, bool lies)
{
	double least = lies ? INFINITY : results[RULE_LOCAL].slowdown;

	for (int rule = RULE_LEAST; rule <= RULE_TWO; rule++)
		if (results[rule].slowdown < least)
			least = results[rule].slowdown;
	return least;
}

static int
at_most(const char *what, double is, double most)
{
	if (is <= most)
		return 0;
	printf("    FAILED: %s: %.4g, expected at most %.4g\n", what, is, most);
	return 1;
}

static int
judge(const struct sim_cell *cell, const struct sim_result *results)
{
	const struct sim_result *wlad = &results[RULE_WLAD];
	bool lies = cell->story == STORY_LIAR || cell->story == STORY_BRAGGART;
	int failed = at_most("slowdown", wlad->slowdown, WITHIN * best(results, lies));

	if (cell->slowdown > 0)
		failed += at_most(
		    "drift of the slowdown", fabs(wlad->slowdown - cell->slowdown), DRIFT_MOST);
	if (cell->story == STORY_SKEW)
		failed += at_most("reversals", wlad->reversals, REVERSALS_MOST);
	if (cell->story == STORY_FLASH)
		failed += at_most("lost", wlad->lost, LOST_MOST);
	if (cell->story == STORY_LIAR) {
		failed += at_most("share of the liar", wlad->to_liar, LIAR_MOST);
		failed += at_most("lost by the liar", wlad->lost, LIAR_LOST_MOST);
	}
	if (cell->story == STORY_BRAGGART)
		failed += at_most("pushed", wlad->pushed, BRAGGART_PUSHED_MOST);
	else
		failed += at_most("pushed", wlad->pushed, PUSHED_MOST);
	return failed;
}

static void
print(const struct sim_cell *cell, enum sim_rule rule, const struct sim_result *r)
{
	if (rule == 0)
		printf("%-12s %4u sites, use %.2f, reports every %.0f s, lives %.1f s\n",
		    cell->name, cell->sites, cell->use, cell->interval, cell->life);
	printf("    %-6s %8.3f %6.1f%% %6.1f%% %7.2f%% %6.2f%% %5u %9llu", sim_rule_name(rule),
	    r->slowdown, 100 * r->moved, 100 * r->peak, 100 * r->pushed, 100 * r->lost,
	    r->reversals, (unsigned long long)r->connections);
	if (cell->story == STORY_LIAR || cell->story == STORY_BRAGGART)
		printf("  to the liar %.1f%%", 100 * r->to_liar);
	putchar('\n');
	fflush(stdout);
}

static void
write_data(FILE *data, const struct sim_cell *cell, const struct sim_result *results)
{
	fprintf(data, "\"%s, %u sites, %.2f, %.0f s\"", cell->name, cell->sites, cell->use,
	    cell->interval);
	for (int rule = 0; rule < SIM_RULES; rule++)
		fprintf(data, " %.4f", results[rule].slowdown);
	fputc('\n', data);
}

/* How a cell differs from seed to seed: each seed's reversals, and the most of the rest. */
static int
print_seeds(const struct sim_cell *cell, uint64_t first, unsigned seeds)
{
	struct sim_result r, most = {0};
	unsigned over = 0;

	printf("%-12s %4u %.2f %.0f s: reversals", cell->name, cell->sites, cell->use,
	    cell->interval);
	for (unsigned i = 0; i < seeds; i++) {
		sim_run(cell, RULE_WLAD, first + i, &r);
		printf(" %u", r.reversals);
		fflush(stdout);
		over += r.reversals > REVERSALS_MOST;
		most.slowdown = fmax(most.slowdown, r.slowdown);
		most.moved = fmax(most.moved, r.moved);
		most.pushed = fmax(most.pushed, r.pushed);
		most.lost = fmax(most.lost, r.lost);
	}
	printf("; above %d: %u; at most: slowdown %.3f, moved %.1f %%, pushed %.2f %%, "
	       "lost %.3f %%\n",
	    REVERSALS_MOST, over, most.slowdown, 100 * most.moved, 100 * most.pushed,
	    100 * most.lost);
	fflush(stdout);
	return cell->story == STORY_SKEW && over > 0;
}

/* All rules with one seed, and what is expected of them. */
static int
print_rules(const struct options *options, const struct sim_cell *cell)
{
	struct sim_result results[SIM_RULES];

	for (int rule = 0; rule < SIM_RULES; rule++) {
		sim_run(cell, (enum sim_rule)rule, options->seed, &results[rule]);
		print(cell, (enum sim_rule)rule, &results[rule]);
	}
	if (options->data != NULL)
		write_data(options->data, cell, results);
	return judge(cell, results);
}

int
main(int argc, char **argv)
{
	struct options options;
	int failed = 0, tried = 0;

	if (parse(argc, argv, &options) < 0)
		return 2;
	if (options.seeds == 0)
		printf("    %-6s %8s %7s %7s %8s %7s %5s %9s\n", "rule", "slowdown", "moved",
		    "peak", "pushed", "lost", "rev.", "conn.");
	for (const struct sim_cell *cell = options.cells; cell->name != NULL; cell++) {
		struct sim_cell tried_cell = *cell;

		if ((options.name != NULL && strcmp(options.name, cell->name) != 0) ||
		    (options.sites != 0 && options.sites != cell->sites))
			continue;
		tried_cell.unlimited = options.unlimited;
		failed += options.seeds > 0
		    ? print_seeds(&tried_cell, options.seed, options.seeds)
		    : print_rules(&options, &tried_cell);
		tried++;
	}
	if (options.data != NULL)
		fclose(options.data);
	printf("%d cells, %d expectations failed\n", tried, failed);
	return failed > 0 || tried == 0;
}
