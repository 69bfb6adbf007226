/*
 * Fuzz target: the first line of a script's output: no load, or one from 0 to 1.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "health/script_line.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);
	double load = -1;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	if (script_line_load(copy, size, &load) && !(load >= 0 && load <= 1))
		abort();
	free(copy);
	return 0;
}
