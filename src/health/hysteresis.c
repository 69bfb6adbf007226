#include "health/hysteresis.h"

bool
hysteresis_result(struct hysteresis *h, bool passed, unsigned rise, unsigned fall)
{
	if (!h->known) {
		h->known = true;
		h->up = passed;
		h->run = 0;
		return true;
	}
	if (passed == h->up) {
		h->run = 0;
		return false;
	}
	h->run++;
	if (h->run < (h->up ? fall : rise))
		return false;
	h->up = passed;
	h->run = 0;
	return true;
}
