/*
 * text: answers of the daemon for people.
 *
 * The key "view" of an answer says what it is; one function a view.  What is missing or of
 * another type is shown as "-": tool and daemon may be of different versions.
 */
#ifndef WLAD_WLADMCTL_TEXT_H
#define WLAD_WLADMCTL_TEXT_H

#include <stdio.h>

#include <jansson.h>

#include "wladmctl/table.h"

/* Prints an answer; one of an unknown view as indented JSON. */
void text_print(const json_t *answer, FILE *out, const struct table_style *style);

/* An event of `monitor`, in one line. */
void text_event(const json_t *event, FILE *out, const struct table_style *style);

/* Views in files of their own: text_explain.c, text_sites.c, text_clients.c, and text_state.c for the rest. */
void text_explain(const json_t *answer, FILE *out, const struct table_style *style);
void text_connections(const json_t *answer, FILE *out, const struct table_style *style);
void text_sites(const json_t *answer, FILE *out, const struct table_style *style);
void text_site(const json_t *answer, FILE *out, const struct table_style *style);
void text_transfer(const json_t *answer, FILE *out, const struct table_style *style);
void text_probe(const json_t *answer, FILE *out, const struct table_style *style);
void text_persistence(const json_t *answer, FILE *out, const struct table_style *style);
void text_limits(const json_t *answer, FILE *out, const struct table_style *style);
void text_flush(const json_t *answer, FILE *out, const struct table_style *style);
void text_keys(const json_t *answer, FILE *out, const struct table_style *style);
void text_config(const json_t *answer, FILE *out, const struct table_style *style);
void text_errors(const json_t *answer, FILE *out, const struct table_style *style);
void text_save(const json_t *answer, FILE *out, const struct table_style *style);
void text_reload(const json_t *answer, FILE *out, const struct table_style *style);

/* The same of connections one by one: a table for them, a row of it, and what stands below. */
struct table *text_connections_table(void);
void text_connections_row(struct table *table, const json_t *connection);
void text_connections_end(const json_t *answer, FILE *out);

/* Numbers and times as short text.  Each returns buf. */
#define TEXT_SHORT 32
const char *text_count(double value, char buf[TEXT_SHORT]); /* 950, 12.3k, 4.5M */
const char *text_seconds(double value, char buf[TEXT_SHORT]); /* 0.25s, 12s, 3m05s, 2h10m, 4d02h */
const char *text_percent(double value, char buf[TEXT_SHORT]); /* of a share 0 to 1 */

/* The same of a member of an object: 12.5ms, 1500 as it is, 1.6%; or - if it is not known. */
const char *text_ms(const json_t *object, const char *key, char buf[TEXT_SHORT]);
const char *text_exact(const json_t *object, const char *key, char buf[TEXT_SHORT]);
const char *text_share(const json_t *object, const char *key, char buf[TEXT_SHORT]);

/* Members of an object: "-" or 0 where there is none. */
const char *text_string(const json_t *object, const char *key);
double text_number(const json_t *object, const char *key);
bool text_true(const json_t *object, const char *key);

/* A cell with a number, a share, a text, a time in units of so many seconds; "-" if the key is
 * missing or null. */
void text_cell_count(struct table *table, const json_t *object, const char *key);
void text_cell_exact(struct table *table, const json_t *object, const char *key);
void text_cell_percent(struct table *table, const json_t *object, const char *key);
void text_cell_string(struct table *table, const json_t *object, const char *key);
/* What a server's agent says, and what a service says as one; empty where there is none. */
void text_cell_agent(struct table *table, const json_t *server);
void text_cell_agent_says(struct table *table, const json_t *service);
void text_cell_remark(
    struct table *table, const json_t *object, const char *key); /* empty, not "-" */
void text_cell_seconds(struct table *table, const json_t *object, const char *key, double unit);

/* States in colours: what is good, what asks for attention, what is broken. */
enum table_colour text_state_colour(const char *state);
void text_cell_state(struct table *table, const json_t *object, const char *key);

/* "2/3" of servers_up and servers: green if all are up, red if none is. */
void text_cell_up(struct table *table, const json_t *object);

#endif
