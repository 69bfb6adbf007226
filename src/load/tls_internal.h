/*
 * tls_internal: the insides of tls, for load/tls*.c alone.
 */
#ifndef WLAD_LOAD_TLS_INTERNAL_H
#define WLAD_LOAD_TLS_INTERNAL_H

#include <openssl/types.h>

#include "load/tls.h"

struct tls {
	SSL_CTX *ctx;
	char *certificate, *ca, *crl; /* paths, for messages; crl may be NULL */
};

#endif
