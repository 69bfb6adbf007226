/*
 * ask: one question to one agent: connect, send what it wants to hear, read one line.
 */
#ifndef WLAD_AGENT_ASK_H
#define WLAD_AGENT_ASK_H

#include "agent/words.h"
#include "base/addr.h"
#include "config/octets.h"
#include "health/probe.h"
#include "loop.h"

/* Why an agent that was reached has said nothing.  Listed in wladmctl(8), as are the causes of
 * failed checks, which tell the rest. */
#define ASK_FAULTS(X) \
	X(none, "no fault") \
	X(not_asked, "not asked yet") \
	X(cut, "closed before the end of a line") \
	X(long, "answer without the end of a line") \
	X(words, "answer without a word of the agent protocol")

enum ask_fault {
#define X(name, text) ASK_##name,
	ASK_FAULTS(X)
#undef X
	    ASK_FAULT_COUNT
};

const char *ask_fault_text(enum ask_fault fault);

/* What came of it; to be read when done is called. */
struct ask_answer {
	enum ask_fault fault; /* if the result's cause is HEALTH_none */
	struct words words;   /* if that is no fault either */
};

struct ask_request {
	struct loop *loop;
	struct addr at;
	const struct octets *send; /* stays until the end */
	double timeout;            /* seconds for all of it */
	struct ask_answer *answer; /* stays until the end */
	probe_done *done;          /* as of any probe, which it is */
	void *arg;
};

/* To be given up by probe_cancel(). */
struct probe *ask_start(const struct ask_request *request);

#endif
