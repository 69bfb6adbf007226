#include "wladmctl/cert.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define DAY 86400L
#define SLACK \
	3600 /* a certificate is valid this many seconds before it was made: clocks differ */
#define SERIAL_LEN 20 /* RFC 5280, 4.1.2.2: at most 20 octets, positive */

struct files {
	char key[PATH_MAX], certificate[PATH_MAX];
};

struct extension {
	int nid;
	const char *value;
};

struct error {
	char *text;
	size_t size;
};

static int fail(const struct error *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
fail(const struct error *e, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(e->text, e->size, format, ap);
	va_end(ap);
	return -1;
}

static int
fail_openssl(const struct error *e, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return fail(e, "%s: %s", what, reason != NULL ? reason : "OpenSSL failed");
}

/* The file names of one key pair; refuses if one of them is there. */
static int
name_files(struct files *f, const char *dir, const char *stem, const struct error *e)
{
	const char *there = NULL;

	if (snprintf(f->key, sizeof(f->key), "%s/%s.key", dir, stem) >= (int)sizeof(f->key) ||
	    snprintf(f->certificate, sizeof(f->certificate), "%s/%s.crt", dir, stem) >=
		(int)sizeof(f->certificate))
		return fail(e, "%s: directory name too long", dir);
	if (access(f->key, F_OK) == 0)
		there = f->key;
	else if (access(f->certificate, F_OK) == 0)
		there = f->certificate;
	if (there != NULL)
		return fail(e,
		    "%s: exists already and is not overwritten; "
		    "move it away to make a new one",
		    there);
	return 0;
}

/* Writes a file that was not there; leaves nothing behind if it cannot. */
static int
write_new(const char *path, mode_t mode, BIO *content, const struct error *e)
{
	char *data;
	long len = BIO_get_mem_data(content, &data);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int saved;

	if (fd < 0)
		return fail(e, "%s: %s", path, strerror(errno));
	errno = ENOSPC;
	if (fchmod(fd, mode) == 0 && write(fd, data, (size_t)len) == len && fsync(fd) == 0 &&
	    close(fd) == 0)
		return 0;
	saved = errno;
	close(fd);
	unlink(path);
	return fail(e, "%s: %s", path, strerror(saved));
}

/* Writes key and certificate: both or none. */
static int
write_files(const struct files *f, EVP_PKEY *key, X509 *cert, const struct error *e)
{
	BIO *key_text = BIO_new(BIO_s_secmem()), *cert_text = BIO_new(BIO_s_mem());
	int ret = -1;

	if (key_text == NULL || cert_text == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_bio_X509(cert_text, cert) != 1) {
		fail_openssl(e, f->certificate);
		goto done;
	}
	if (write_new(f->key, 0600, key_text, e) != 0)
		goto done;
	if (write_new(f->certificate, 0644, cert_text, e) != 0) {
		unlink(f->key);
		goto done;
	}
	ret = 0;
done:
	BIO_free(key_text);
	BIO_free(cert_text);
	return ret;
}

static FILE *
open_read(const char *path, const char *hint, const struct error *e)
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		fail(e, "%s: %s%s", path, strerror(errno), errno == ENOENT ? hint : "");
	return file;
}

/* Reads DIR/ca.crt and DIR/ca.key; they must belong together and be able to sign. */
static int
read_ca(const char *dir, X509 **cert, EVP_PKEY **key, const struct error *e)
{
	static const char hint[] = "; make one with \"wladmctl cert ca\" first";
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/ca.crt", dir);
	if ((file = open_read(path, hint, e)) == NULL)
		return -1;
	*cert = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (*cert == NULL)
		return fail_openssl(e, path);
	if (X509_check_ca(*cert) != 1)
		return fail(e, "%s: not the certificate of an authority", path);
	if (X509_cmp_current_time(X509_get0_notAfter(*cert)) < 0)
		return fail(
		    e, "%s: has expired; make a new authority in another directory", path);

	snprintf(path, sizeof(path), "%s/ca.key", dir);
	if ((file = open_read(path, hint, e)) == NULL)
		return -1;
	*key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	if (*key == NULL)
		return fail_openssl(e, path);
	if (X509_check_private_key(*cert, *key) != 1) {
		ERR_clear_error();
		return fail(e, "%s: is not the key of ca.crt beside it", path);
	}
	return 0;
}

static bool
set_serial(X509 *cert)
{
	uint8_t octets[SERIAL_LEN];
	BIGNUM *number;
	bool ok;

	if (RAND_bytes(octets, sizeof(octets)) != 1)
		return false;
	octets[0] = (octets[0] & 0x7f) | 0x40; /* positive, never short */
	number = BN_bin2bn(octets, sizeof(octets), NULL);
	ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	BN_free(number);
	return ok;
}

/* From an hour ago, a random while more so that it does not tell when exactly it was made. */
static bool
set_dates(X509 *cert, long valid, X509 *issuer)
{
	uint16_t more;
	time_t now = time(NULL);

	if (RAND_bytes((uint8_t *)&more, sizeof(more)) != 1 ||
	    X509_time_adj_ex(X509_getm_notBefore(cert), 0, -SLACK - more % SLACK, &now) == NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(cert), (int)(valid / DAY), valid % DAY, &now) ==
		NULL)
		return false;
	/* it cannot outlive the authority */
	if (issuer != NULL &&
	    ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(issuer)) > 0)
		return X509_set1_notAfter(cert, X509_get0_notAfter(issuer)) == 1;
	return true;
}

static bool
set_extensions(X509 *cert, X509 *issuer, const struct extension *list, size_t count)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, list[i].nid, list[i].value);
		bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;

		X509_EXTENSION_free(ext);
		if (!ok)
			return false;
	}
	return true;
}

/* A certificate for key; issuer NULL: signed by itself.  NULL with the OpenSSL error queue set. */
static X509 *
issue(const struct cert_order *order, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
    const struct extension *list, size_t count)
{
	X509 *cert = X509_new();
	X509_NAME *subject;

	if (cert == NULL)
		return NULL;
	subject = X509_get_subject_name(cert);
	if (X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	    set_dates(cert, order->valid, issuer) &&
	    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
		(const uint8_t *)order->name, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(
		cert, issuer == NULL ? subject : X509_get_subject_name(issuer)) == 1 &&
	    X509_set_pubkey(cert, key) == 1 &&
	    set_extensions(cert, issuer == NULL ? cert : issuer, list, count) &&
	    X509_sign(cert, issuer == NULL ? key : issuer_key, EVP_sha256()) != 0)
		return cert;
	X509_free(cert);
	return NULL;
}

/* A name that may be a file's and a DNS name in a certificate. */
static bool
name_valid(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= CERT_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
	    len;
}

int
cert_make_ca(const struct cert_order *order, char *error, size_t error_size)
{
	static const struct extension extensions[] = {
	    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
	    {NID_key_usage, "critical,keyCertSign,cRLSign"},
	    {NID_subject_key_identifier, "hash"},
	};
	struct error e = {error, error_size};
	struct files f;
	EVP_PKEY *key;
	X509 *cert = NULL;
	int ret = -1;

	if (order->name[0] == '\0' || strlen(order->name) > CERT_NAME_MAX)
		return fail(
		    &e, "the authority's name must have 1 to %d characters", CERT_NAME_MAX);
	if (name_files(&f, order->dir, "ca", &e) != 0)
		return -1;
	if ((key = EVP_EC_gen("P-256")) == NULL ||
	    (cert = issue(order, key, NULL, NULL, extensions,
		 sizeof(extensions) / sizeof(extensions[0]))) == NULL)
		fail_openssl(&e, "cannot make the authority");
	else
		ret = write_files(&f, key, cert, &e);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ret;
}

int
cert_make_site(const struct cert_order *order, char *error, size_t error_size)
{
	char dns[CERT_NAME_MAX + sizeof("DNS:")];
	struct extension extensions[] = {
	    {NID_basic_constraints, "critical,CA:FALSE"},
	    {NID_key_usage, "critical,digitalSignature"},
	    {NID_ext_key_usage, "clientAuth,serverAuth"},
	    {NID_subject_key_identifier, "hash"},
	    {NID_authority_key_identifier, "keyid:always"},
	    {NID_subject_alt_name, dns},
	};
	struct error e = {error, error_size};
	struct files f;
	EVP_PKEY *ca_key = NULL, *key = NULL;
	X509 *ca = NULL, *cert = NULL;
	int ret = -1;

	if (!name_valid(order->name) || strcmp(order->name, "ca") == 0)
		return fail(&e,
		    "\"%s\" cannot be a site's name here: 1 to %d letters, digits, '-', "
		    "'.' and '_', not beginning with '-' or '.', and not \"ca\"",
		    order->name, CERT_NAME_MAX);
	snprintf(dns, sizeof(dns), "DNS:%s", order->name);
	if (name_files(&f, order->dir, order->name, &e) != 0 ||
	    read_ca(order->dir, &ca, &ca_key, &e) != 0)
		goto done;
	if ((key = EVP_EC_gen("P-256")) == NULL ||
	    (cert = issue(order, key, ca, ca_key, extensions,
		 sizeof(extensions) / sizeof(extensions[0]))) == NULL)
		fail_openssl(&e, "cannot make the certificate");
	else
		ret = write_files(&f, key, cert, &e);
done:
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	return ret;
}

/* ---- the command ---- */

static int
usage(void)
{
	fprintf(stderr,
	    "usage: wladmctl cert ca [-d DIR] [-D DAYS] [NAME]\n"
	    "       wladmctl cert site [-d DIR] [-D DAYS] NAME\n"
	    "\n"
	    "ca    makes a certificate authority for your sites: ca.key, ca.crt\n"
	    "site  makes a site's key and certificate, signed by it: NAME.key, NAME.crt;\n"
	    "      NAME is the site's name in wlad.conf\n"
	    "\n"
	    "  -d DIR   directory of all these files (the current one)\n"
	    "  -D DAYS  how long the certificate is valid (ca %d, site %d)\n"
	    "\n"
	    "No file is overwritten.  Keep ca.key off the gateways: each site needs only\n"
	    "ca.crt, its own NAME.crt and its own NAME.key.\n",
	    CERT_CA_DAYS, CERT_SITE_DAYS);
	return 2;
}

static int
parse_days(const char *text, long *valid)
{
	char *end;
	long days;

	errno = 0;
	days = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || days < 1 || days > CERT_DAYS_MAX) {
		fprintf(stderr, "wladmctl: -D %s: a number of days from 1 to %d\n", text,
		    CERT_DAYS_MAX);
		return -1;
	}
	*valid = days * DAY;
	return 0;
}

/* Options and names may come in any order after the word. */
static int
parse_order(int argc, char **argv, struct cert_order *order)
{
	for (int i = 2; i < argc; i++) {
		bool more = i + 1 < argc;

		if (strcmp(argv[i], "-d") == 0 && more)
			order->dir = argv[++i];
		else if (strcmp(argv[i], "-D") == 0 && more) {
			if (parse_days(argv[++i], &order->valid) != 0)
				return -1;
		} else if (argv[i][0] == '-' || order->name != NULL)
			return usage();
		else
			order->name = argv[i];
	}
	return 0;
}

int
cert_main(int argc, char **argv)
{
	struct cert_order order = {.dir = "."};
	char error[PATH_MAX + 256];
	bool ca;

	if (argc < 2 || (strcmp(argv[1], "ca") != 0 && strcmp(argv[1], "site") != 0))
		return usage();
	ca = argv[1][0] == 'c';
	order.valid = (ca ? CERT_CA_DAYS : CERT_SITE_DAYS) * DAY;
	if (parse_order(argc, argv, &order) != 0)
		return 2;
	if (order.name == NULL && !ca)
		return usage();
	if (order.name == NULL)
		order.name = "wlad";
	if ((ca ? cert_make_ca : cert_make_site)(&order, error, sizeof(error)) != 0) {
		fprintf(stderr, "wladmctl: %s\n", error);
		return 1;
	}
	printf("made %s/%s.key (keep it secret) and %s/%s.crt\n", order.dir,
	    ca ? "ca" : order.name, order.dir, ca ? "ca" : order.name);
	return 0;
}
