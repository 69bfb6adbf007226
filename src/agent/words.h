/*
 * words: the agent protocol: one line of words that says how a server does.
 *
 * The grammar is that of HAProxy's agent checks, as its configuration manual describes them:
 * words in any order, separated by blanks, tabs or commas, to the first CR or LF; of words of one
 * kind the last one holds; case says nothing.  A line is complete in itself.  Read by whoever asks
 * an agent, written by whoever is one.  Pure: octets and a struct.
 *
 *	up  down  fail  stopped		how it works		WORDS_OPERATION
 *	ready  drain  maint		how it is administered	WORDS_ADMIN
 *	N%  weight:N%  weight:N		of the weight configured, or in its place
 *	maxconn:N			connections that it takes
 *	#text				why, to the end of the line
 */
#ifndef WLAD_AGENT_WORDS_H
#define WLAD_AGENT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_LINE        1024  /* octets of a line at most, with its end */
#define WORDS_DESCRIPTION 64    /* octets that are kept of the text behind '#', with NUL */
#define WORDS_WEIGHT_MAX  65535 /* also of percents */

enum words_operation { WORDS_UNTOLD, WORDS_UP, WORDS_DOWN, WORDS_FAIL, WORDS_STOPPED };
enum words_admin { WORDS_NO_ADMIN, WORDS_READY, WORDS_DRAIN, WORDS_MAINT };
enum words_weight { WORDS_NO_WEIGHT, WORDS_PERCENT, WORDS_ABSOLUTE };

struct words {
	enum words_operation operation;
	enum words_admin admin;
	enum words_weight kind;
	uint32_t weight; /* 0 to WORDS_WEIGHT_MAX, if kind says what of */
	bool limited;
	uint32_t max_connections;            /* if limited; 0: it takes any number */
	char description[WORDS_DESCRIPTION]; /* printable ASCII; "": none */
	unsigned known, unknown;             /* words in the line */
};

enum words_result {
	WORDS_FOUND,
	WORDS_MORE, /* the line has no end yet */
	WORDS_LONG, /* nor will have one within WORDS_LINE */
	WORDS_BAD   /* a line without any word of the protocol */
};

/* Reads the first line of len octets that have come so far; words is filled for WORDS_FOUND, and
 * for WORDS_BAD its unknown. */
enum words_result words_parse(struct words *words, const char *data, size_t len);

/* The line that says it, with LF and NUL; its length without NUL. */
size_t words_format(const struct words *words, char line[WORDS_LINE]);

const char *words_operation_name(enum words_operation operation); /* "untold", "up", ... */
const char *words_admin_name(enum words_admin admin);             /* "none", "ready", ... */

#endif
