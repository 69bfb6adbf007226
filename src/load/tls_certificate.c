/*
 * tls_certificate: is a certificate good: a peer's, our own.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "load/tls_internal.h"

/* True if the certificate carries the name as subject alternative DNS name, octet for octet. */
static bool
carries_name(X509 *cert, const char *name)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	size_t len = strlen(name);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
		const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);

		found = entry->type == GEN_DNS &&
		    (size_t)ASN1_STRING_length(entry->d.dNSName) == len &&
		    memcmp(ASN1_STRING_get0_data(entry->d.dNSName), name, len) == 0;
	}
	GENERAL_NAMES_free(names);
	return found;
}

static int
digest_of(X509 *cert, uint8_t digest[KEYS_DIGEST_LEN])
{
	unsigned len = 0;

	return X509_digest(cert, EVP_sha256(), digest, &len) == 1 && len == KEYS_DIGEST_LEN ? 0
											    : -1;
}

static bool
matches_fingerprint(X509 *cert, const char *fingerprint)
{
	uint8_t digest[KEYS_DIGEST_LEN];
	char text[2 * KEYS_DIGEST_LEN + 1];

	if (digest_of(cert, digest) != 0)
		return false;
	for (size_t i = 0; i < KEYS_DIGEST_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return strcmp(text, fingerprint) == 0;
}

/* ---- revocation ---- */

/* True if one of the lists, whoever they are from, names the certificate. */
static bool
is_listed(X509_STORE *store, X509 *cert)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
	X509_REVOKED *entry;

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));

		/* 2: taken off the list again */
		if (crl != NULL && X509_CRL_get0_by_cert(crl, &entry, cert) == 1)
			return true;
	}
	return false;
}

bool
tls_is_revoked(const struct tls *tls, struct ssl_st *ssl)
{
	X509_STORE *store = SSL_CTX_get_cert_store(tls->ctx);
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	X509 *cert = SSL_get0_peer_certificate(ssl);

	if (tls->crl == NULL || cert == NULL)
		return false;
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (is_listed(store, sk_X509_value(chain, i)))
			return true;
	return is_listed(store, cert);
}

/* What an error of a chain has to do with revocation: the text behind it. */
static const char *
about_crl(long error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		return " (load.crl has no list of its authority)";
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return " (load.crl is out of date)";
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
		return " (load.crl)";
	}
	return "";
}

/* ---- a peer's certificate ---- */

int
tls_verify_peer(const struct tls *tls, struct ssl_st *ssl, const char *site,
    const char *fingerprint, char *error, size_t error_size)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	long chain = SSL_get_verify_result(ssl);

	if (cert == NULL) {
		snprintf(error, error_size, "no certificate");
		return -1;
	}
	if (!carries_name(cert, site)) {
		snprintf(error, error_size, "its certificate is not that of site %s", site);
		return -1;
	}
	if (fingerprint != NULL && !matches_fingerprint(cert, fingerprint)) {
		snprintf(error, error_size,
		    "its certificate does not have the fingerprint pinned for "
		    "site %s",
		    site);
		return -1;
	}
	if (tls_is_revoked(tls, ssl)) {
		snprintf(error, error_size, "its certificate has been revoked");
		return -1;
	}
	if (fingerprint == NULL && chain != X509_V_OK) {
		snprintf(error, error_size, "its certificate is not good: %s%s",
		    X509_verify_cert_error_string(chain), about_crl(chain));
		return -1;
	}
	return 0;
}

int
tls_digests(struct ssl_st *ssl, uint8_t own[KEYS_DIGEST_LEN], uint8_t peer[KEYS_DIGEST_LEN])
{
	X509 *mine = SSL_get_certificate(ssl), *other = SSL_get0_peer_certificate(ssl);

	if (mine == NULL || other == NULL)
		return -1;
	return digest_of(mine, own) == 0 && digest_of(other, peer) == 0 ? 0 : -1;
}

/* ---- our own ---- */

int64_t
tls_expiry(const struct tls *tls)
{
	const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(tls->ctx));
	struct tm tm = {0};

	return ASN1_TIME_to_tm(end, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* The first reason for which our certificate would be refused by a peer of the same authority. */
static int
verify_own(const struct tls *tls, X509 *cert, const char *purpose)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *chain = NULL;
	int result = X509_V_ERR_OUT_OF_MEM;

	SSL_CTX_get0_chain_certs(tls->ctx, &chain);
	if (ctx != NULL &&
	    X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(tls->ctx), cert, chain) == 1 &&
	    X509_STORE_CTX_set_default(ctx, purpose) == 1)
		result = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return result;
}

/* What an error of our own chain means and what to do. */
static void
explain_own(const struct tls *tls, const char *site, int result, char *error, size_t size)
{
	if (result == X509_V_ERR_CERT_HAS_EXPIRED)
		snprintf(error, size,
		    "load.certificate: %s: it or its authority %s has expired; "
		    "make a new one with \"wladmctl cert site %s\"",
		    tls->certificate, tls->ca, site);
	else if (result == X509_V_ERR_CRL_HAS_EXPIRED)
		snprintf(error, size,
		    "load.crl: %s: has expired, and every peer is refused until there is the "
		    "authority's next one",
		    tls->crl);
	else if (result == X509_V_ERR_UNABLE_TO_GET_CRL)
		snprintf(error, size,
		    "load.crl: %s: has no list of the authority %s, and every peer is refused "
		    "until it has",
		    tls->crl, tls->ca);
	else
		snprintf(error, size,
		    "load.certificate: %s: peers that trust the authority %s "
		    "will refuse it: %s%s",
		    tls->certificate, tls->ca, X509_verify_cert_error_string(result),
		    about_crl(result));
}

int
tls_check_own(const struct tls *tls, const char *site, char *error, size_t error_size)
{
	X509 *cert = SSL_CTX_get0_certificate(tls->ctx);
	int result;

	if (!carries_name(cert, site)) {
		snprintf(error, error_size,
		    "load.certificate: %s: does not carry the name of this "
		    "site, \"%s\", as DNS name; make one with \"wladmctl cert site %s\"",
		    tls->certificate, site, site);
		return -1;
	}
	result = verify_own(tls, cert, "ssl_server");
	if (result == X509_V_OK)
		result = verify_own(tls, cert, "ssl_client");
	if (result == X509_V_OK)
		return 0;
	explain_own(tls, site, result, error, error_size);
	return -1;
}
