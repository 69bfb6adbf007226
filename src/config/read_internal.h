/*
 * read_internal: what the files of the walk share.  Nobody else includes this.
 *
 *   read.c        groups: which keys, and what each of them is
 *   read_value.c  values: a reader for each type of a key
 */
#ifndef WLAD_CONFIG_READ_INTERNAL_H
#define WLAD_CONFIG_READ_INTERNAL_H

#include <libconfig.h>
#include <stdbool.h>

#include "config/keys.h"
#include "config/report.h"

/* A setting on its way into a field. */
struct value {
	struct report *report;
	const struct key *key;
	const config_setting_t *setting;
	const char *path; /* "services[0].check.rise" */
	void *object;     /* the struct that holds the field */
};

#define READ_FOUND 80 /* octets that hold any read_found() text */

/* What the file says, for the reader of a fault: a text of its own, or in buf. */
const char *read_found(const config_setting_t *setting, char buf[READ_FOUND]);

/* Says that it must be what the key wants, and is not. */
void read_wrong(const struct value *v, const config_setting_t *setting, const char *path);

/* The key's field in the object, and the second one that some types have. */
void *read_field(const struct value *v);
void *read_second(const struct value *v);

/* Each takes the value in, or says what is wrong and returns false. */
bool read_text(const struct value *v);
bool read_bool(const struct value *v);
bool read_integer(const struct value *v);
bool read_real(const struct value *v);
bool read_ip_pair(const struct value *v);
bool read_ips(const struct value *v);
bool read_ports(const struct value *v);
bool read_names(const struct value *v);

#endif
