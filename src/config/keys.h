/*
 * keys: the settings of wlad.conf as tables: name, type, range, default, place in struct
 * config.
 *
 * A setting exists because it has a line in keys.c; the walk (read.c), the defaults, the
 * messages and config_key() read nothing else.  Knows texts and numbers, not libconfig.
 */
#ifndef WLAD_CONFIG_KEYS_H
#define WLAD_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type {
	KEY_NAME,        /* char *: site, service, server */
	KEY_ACCOUNT,     /* char *: user or group of this host; "" is allowed */
	KEY_DEVICE,      /* char *: name of a network device */
	KEY_PATH,        /* char *: absolute path; "" is none unless there is a default */
	KEY_NAMES,       /* char *: a choice, or names: ",one,another," */
	KEY_FINGERPRINT, /* char *: normalised to lower case without colons; "" is none */
	KEY_URL_PATH,    /* char []: begins with '/', printable ASCII without blanks */
	KEY_HOST,        /* char []: host name or address, perhaps with port; "" is allowed */
	KEY_STATUSES,    /* struct statuses */
	KEY_FILE,        /* char []: absolute path; "" is none */
	KEY_OCTETS,      /* struct octets */
	KEY_QUESTION,    /* struct dns_question */
	KEY_ADDR,        /* struct addr; "" is none unless the key is required */
	KEY_BOOL,        /* bool */
	KEY_INTEGER,     /* unsigned of 2 or 4 octets, min to max */
	KEY_REAL,        /* double, min to max */
	KEY_CHOICE,      /* enum, uint8_t or bool */
	KEY_IP_PAIR,     /* struct ip v4, and v6 at second */
	KEY_IPS,         /* struct ip *, and its count at second */
	KEY_PORTS,       /* uint16_t *, and its count at second */
	KEY_GROUP,       /* members at keys, in the same struct */
	KEY_GROUPS,      /* an array of structs with members at keys, and its count at second */
	KEY_TYPES
};

struct key_choice {
	const char *name; /* NULL ends the list */
	unsigned value;
};

struct key {
	const char *name; /* NULL ends a table */
	enum key_type type;
	size_t offset, size; /* of the field */
	bool required;
	double min, max, preset; /* numbers; preset also of choices and bools */
	const char *preset_text; /* texts; NULL: none */
	size_t length;           /* texts: at most so many octets */
	size_t second;           /* offset of a second field, see the type */
	unsigned types; /* of checks: those that read it, a bit of each; 0: every one */
	const struct key_choice *choices;
	const struct key *keys; /* members of groups */
	size_t element, line;   /* KEY_GROUPS: size of a struct, offset of its line */
};

#define KEY_WANTS 160 /* octets that hold any key_wants() text */

/* The top of the file. */
extern const struct key keys_root[];

/* Fills every field of an object (those of groups inside it as well) with its default. */
void keys_preset(const struct key *keys, void *object);

/* The key of that name, or NULL. */
const struct key *keys_find(const struct key *keys, const char *name);

/* The name in the table that a mistyped one is closest to; NULL if none is close. */
const char *keys_nearest(const struct key *keys, const char *name);

/* What the key's value must be: "an integer from 1 to 100".  Returns buf. */
const char *key_wants(const struct key *key, char buf[KEY_WANTS]);

/* The settings of services.check. */
const struct key *keys_of_check(void);

/* Whether a check of that type reads the key. */
bool key_is_read(const struct key *key, unsigned check_type);

/* Stores a number in the field by its size. */
void key_store(const struct key *key, void *object, uint64_t number);

/*
 * Takes a text into a field of KEY_NAME to KEY_ADDR and KEY_CHOICE.  Returns 0, or -1 if it
 * is not what key_wants().
 */
int key_take_text(const struct key *key, void *object, const char *text);

/* True if it is a name as KEY_NAME wants it. */
bool key_is_name(const char *text);

/* After an object was copied octet by octet: gives the copy its own of what the fields own. */
void keys_own(const struct key *keys, void *object);

/* Frees what the fields own. */
void keys_fini(const struct key *keys, void *object);

#endif
