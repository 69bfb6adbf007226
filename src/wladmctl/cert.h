/*
 * cert: `wladmctl cert`: makes a certificate authority for a group of sites, and the key and
 * certificate of one site.
 *
 * ECDSA P-256.  A site's certificate carries the site's name as DNS name and serves both ends
 * of a session.  Private keys are written with mode 0600; no file is ever overwritten.  Works
 * on files only: no daemon needed.
 */
#ifndef WLAD_WLADMCTL_CERT_H
#define WLAD_WLADMCTL_CERT_H

#include <stddef.h>

#define CERT_NAME_MAX  63
#define CERT_CA_DAYS   3650
#define CERT_SITE_DAYS 730
#define CERT_DAYS_MAX  36500

/* argv[0] is "cert".  Exit status: 0 done, 1 it could not, 2 wrong usage; says why on stderr. */
int cert_main(int argc, char **argv);

struct cert_order {
	const char *dir;  /* where ca.key and ca.crt are, or are to be */
	const char *name; /* CA: common name; site: its name, which becomes the files' */
	long valid;       /* seconds from now until it expires; negative: it has (tests) */
};

/* Writes DIR/ca.key and DIR/ca.crt.  0, or -1 with a sentence in error and no file left behind. */
int cert_make_ca(const struct cert_order *order, char *error, size_t error_size);

/* Writes DIR/NAME.key and DIR/NAME.crt, signed by DIR/ca.key.  0, or -1 as above. */
int cert_make_site(const struct cert_order *order, char *error, size_t error_size);

#endif
