#include "agent/meaning.h"

struct server_agent
meaning_of(const struct words *words)
{
	static const char *const whys[] = {
	    [WORDS_DOWN] = "agent says down",
	    [WORDS_FAIL] = "agent says fail",
	    [WORDS_STOPPED] = "agent says stopped",
	};
	struct server_agent said = SERVER_AGENT_NONE;

	said.down = words->operation > WORDS_UP;
	said.drain = words->admin == WORDS_DRAIN;
	said.maint = words->admin == WORDS_MAINT;
	if (said.down)
		said.why = whys[words->operation];
	else if (said.maint || said.drain)
		said.why = said.maint ? "agent says maint" : "agent says drain";
	if (words->kind == WORDS_PERCENT && words->weight < 100)
		said.load = 1 - words->weight / 100.0;
	else if (words->kind == WORDS_PERCENT)
		said.load = 0;
	if (words->kind != WORDS_NO_WEIGHT)
		said.weight = words->weight;
	said.absolute = words->kind == WORDS_ABSOLUTE;
	if (words->limited)
		said.max_connections = words->max_connections;
	return said;
}
