#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wladmctl/cert.h"

/* The openssl program is the second opinion on what is made here. */

static char dir[64];

static const char *
path(const char *file)
{
	static char buffers[4][512];
	static unsigned turn;
	char *p = buffers[turn++ % 4];

	snprintf(p, sizeof(buffers[0]), "%s/%s", dir, file);
	return p;
}

/* Exit status of a shell command; its output goes to out. */
static int
run(const char *command, char *out, size_t size)
{
	char line[1024];
	FILE *pipe;
	size_t len;
	int status;

	snprintf(line, sizeof(line), "cd %s && { %s; } 2>&1", dir, command);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	len = fread(out, 1, size - 1, pipe);
	out[len] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
expect_output(const char *command, const char *text)
{
	char out[8192];

	if (run(command, out, sizeof(out)) != 0 || strstr(out, text) == NULL)
		fail_msg("%s: no \"%s\" in\n%s", command, text, out);
}

static void
expect_no_output(const char *command, const char *text)
{
	char out[8192];

	run(command, out, sizeof(out));
	if (strstr(out, text) != NULL)
		fail_msg("%s: \"%s\" in\n%s", command, text, out);
}

/* cert_main() with up to six words; what it says goes to /dev/null. */
#define CERT(...) cert((const char *const[]){"cert", __VA_ARGS__, NULL})

static int
cert(const char *const *words)
{
	char *argv[10];
	int argc = 0, out = dup(1), err = dup(2), ret;

	for (; words[argc] != NULL; argc++)
		argv[argc] = strdup(words[argc]);
	argv[argc] = NULL;
	fflush(NULL);
	assert_non_null(freopen("/dev/null", "w", stdout));
	assert_non_null(freopen("/dev/null", "w", stderr));
	ret = cert_main(argc, argv);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return ret;
}

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/wlad-cert-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static size_t
files_in_dir(bool and_remove)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (and_remove)
			unlink(path(entry->d_name));
	}
	closedir(d);
	return count;
}

static int
remove_dir(void **state)
{
	(void)state;
	chmod(dir, 0700);
	files_in_dir(true);
	return rmdir(dir);
}

static mode_t
mode_of(const char *file)
{
	struct stat st;

	assert_int_equal(stat(path(file), &st), 0);
	return st.st_mode & 07777;
}

static void
make_ca(void)
{
	assert_int_equal(CERT("ca", "-d", dir, "Example sites"), 0);
}

/* ---- what is made ---- */

static void
authority(void **state)
{
	(void)state;
	make_ca();
	assert_int_equal(files_in_dir(false), 2);
	assert_int_equal(mode_of("ca.key"), 0600);
	assert_int_equal(mode_of("ca.crt"), 0644);
	expect_output("openssl verify -CAfile ca.crt ca.crt", "OK");
	expect_output("openssl x509 -in ca.crt -noout -text", "CA:TRUE, pathlen:0");
	expect_output("openssl x509 -in ca.crt -noout -text", "Certificate Sign, CRL Sign");
	expect_output("openssl x509 -in ca.crt -noout -text", "prime256v1");
	expect_output("openssl x509 -in ca.crt -noout -text", "Version: 3");
	expect_output("openssl x509 -in ca.crt -noout -subject", "CN = Example sites");
	expect_output("openssl x509 -in ca.crt -noout -checkend 315000000", "will not expire");
	expect_output(
	    "openssl x509 -in ca.crt -noout -checkend 316000000 || true", "will expire");
	expect_output("openssl pkey -in ca.key -check -noout", "Key is valid");
	expect_output("head -1 ca.key", "-----BEGIN PRIVATE KEY-----");
}

static void
site(void **state)
{
	(void)state;
	make_ca();
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 0);
	assert_int_equal(files_in_dir(false), 4);
	assert_int_equal(mode_of("tokyo.key"), 0600);
	assert_int_equal(mode_of("tokyo.crt"), 0644);
	expect_output(
	    "openssl verify -x509_strict -purpose sslserver -CAfile ca.crt tokyo.crt", "OK");
	expect_output(
	    "openssl verify -x509_strict -purpose sslclient -CAfile ca.crt tokyo.crt", "OK");
	expect_output("openssl verify -verify_hostname tokyo -CAfile ca.crt tokyo.crt", "OK");
	expect_no_output(
	    "openssl verify -verify_hostname osaka -CAfile ca.crt tokyo.crt", ": OK");
	expect_output("openssl x509 -in tokyo.crt -noout -ext subjectAltName", "DNS:tokyo\n");
	expect_output("openssl x509 -in tokyo.crt -noout -ext extendedKeyUsage",
	    "TLS Web Client Authentication, TLS Web Server Authentication");
	expect_output("openssl x509 -in tokyo.crt -noout -ext keyUsage,basicConstraints",
	    "Digital Signature\n");
	expect_output(
	    "openssl x509 -in tokyo.crt -noout -ext keyUsage,basicConstraints", "CA:FALSE");
	expect_output("openssl x509 -in tokyo.crt -noout -checkend 63000000", "will not expire");
	expect_output(
	    "openssl x509 -in tokyo.crt -noout -checkend 63100000 || true", "will expire");
	expect_output(
	    "openssl x509 -in tokyo.crt -pubkey -noout > a; openssl pkey -in tokyo.key "
	    "-pubout > b; cmp a b && rm a b && echo same",
	    "same");
}

/* It must be good for a peer whose clock is an hour late. */
static void
begins_an_hour_ago(void **state)
{
	char command[256];

	(void)state;
	make_ca();
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 0);
	snprintf(command, sizeof(command),
	    "openssl verify -attime $(($(date +%%s) - 3590)) -CAfile "
	    "ca.crt tokyo.crt");
	expect_output(command, "OK");
	snprintf(command, sizeof(command),
	    "openssl verify -attime $(($(date +%%s) - 7300)) -CAfile "
	    "ca.crt tokyo.crt || true");
	expect_output(command, "not yet valid");
}

static void
serials_differ(void **state)
{
	char a[128], b[128];

	(void)state;
	make_ca();
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 0);
	assert_int_equal(CERT("site", "-d", dir, "osaka"), 0);
	assert_int_equal(run("openssl x509 -in tokyo.crt -noout -serial", a, sizeof(a)), 0);
	assert_int_equal(run("openssl x509 -in osaka.crt -noout -serial", b, sizeof(b)), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), strlen("serial=") + 40 + 1);
}

static void
days(void **state)
{
	(void)state;
	make_ca();
	assert_int_equal(CERT("site", "tokyo", "-D", "10", "-d", dir), 0);
	expect_output("openssl x509 -in tokyo.crt -noout -checkend 863000", "will not expire");
	expect_output(
	    "openssl x509 -in tokyo.crt -noout -checkend 865000 || true", "will expire");
	/* a site's certificate does not outlive its authority */
	assert_int_equal(CERT("site", "osaka", "-D", "20000", "-d", dir), 0);
	expect_output("test \"$(openssl x509 -in ca.crt -noout -enddate)\" = "
		      "\"$(openssl x509 -in osaka.crt -noout -enddate)\" && echo same",
	    "same");
}

static void
umask_does_not_matter(void **state)
{
	mode_t old = umask(0);

	(void)state;
	make_ca();
	umask(0177);
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 0);
	umask(old);
	assert_int_equal(mode_of("ca.key"), 0600);
	assert_int_equal(mode_of("tokyo.key"), 0600);
	assert_int_equal(mode_of("tokyo.crt"), 0644);
}

/* ---- what is refused ---- */

static void
put_file(const char *file, const char *text)
{
	FILE *f = fopen(path(file), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
expect_content(const char *file, const char *text)
{
	char got[64] = "";
	FILE *f = fopen(path(file), "r");

	assert_non_null(f);
	assert_true(fread(got, 1, sizeof(got) - 1, f) > 0);
	fclose(f);
	assert_string_equal(got, text);
}

static void
nothing_is_overwritten(void **state)
{
	static const char *const files[] = {"ca.key", "ca.crt"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		put_file(files[i], "precious");
		assert_int_equal(CERT("ca", "-d", dir), 1);
		expect_content(files[i], "precious");
		assert_int_equal(files_in_dir(true), 1);
	}
	make_ca();
	put_file("tokyo.crt", "precious");
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 1);
	expect_content("tokyo.crt", "precious");
	assert_int_equal(files_in_dir(false), 3);
	assert_int_equal(rename(path("tokyo.crt"), path("tokyo.key")), 0);
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 1);
	expect_content("tokyo.key", "precious");
	assert_int_equal(files_in_dir(false), 3);
	/* not through a link that leads nowhere either */
	assert_int_equal(unlink(path("tokyo.key")), 0);
	assert_int_equal(symlink("elsewhere", path("tokyo.crt")), 0);
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 1);
	assert_int_equal(files_in_dir(false), 3);
}

static void
names(void **state)
{
	static const char *const bad[] = {"", "../x", "a/b", ".", "..", ".x", "-x", "a b",
	    "a,DNS:b", "a\n", "*", "*.x", "ca", "caf\xc3\xa9",
	    "n234567890123456789012345678901234567890123456789012345678901234"};
	struct cert_order order = {.dir = dir, .valid = 86400};
	char error[256];

	(void)state;
	make_ca();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		order.name = bad[i];
		assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
		assert_non_null(strstr(error, "cannot be a site's name"));
	}
	assert_int_equal(files_in_dir(false), 2);
	order.name = "n23456789012345678901234567890123456789012345678901234567890_.-";
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), 0);
	order.name = "n234567890123456789012345678901234567890123456789012345678901234";
	assert_int_equal(cert_make_ca(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "1 to 63"));
}

static void
without_authority(void **state)
{
	struct cert_order order = {.dir = dir, .name = "tokyo", .valid = 86400};
	char error[256];

	(void)state;
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "ca.crt: No such file"));
	assert_non_null(strstr(error, "wladmctl cert ca"));
	order.dir = "/nonexistent";
	assert_int_equal(cert_make_ca(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "No such file"));
	make_ca();
	order.dir = dir;
	assert_int_equal(unlink(path("ca.key")), 0);
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "ca.key: No such file"));
	assert_int_equal(files_in_dir(false), 1);
}

static void
broken_authority(void **state)
{
	struct cert_order order = {.dir = dir, .name = "tokyo", .valid = 86400};
	char error[256];

	(void)state;
	make_ca();
	assert_int_equal(rename(path("ca.key"), path("first.key")), 0);
	assert_int_equal(unlink(path("ca.crt")), 0);
	make_ca();
	/* the key of another */
	assert_int_equal(rename(path("first.key"), path("ca.key")), 0);
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "is not the key of ca.crt"));
	put_file("ca.key", "not a key\n");
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "ca.key: "));
	put_file("ca.crt", "not a certificate\n");
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "ca.crt: "));
	assert_int_equal(files_in_dir(false), 2);
}

/* A site's certificate must not sign others. */
static void
site_is_no_authority(void **state)
{
	struct cert_order order = {.dir = dir, .name = "osaka", .valid = 86400};
	char error[256];

	(void)state;
	make_ca();
	assert_int_equal(CERT("site", "-d", dir, "tokyo"), 0);
	assert_int_equal(rename(path("tokyo.key"), path("ca.key")), 0);
	assert_int_equal(rename(path("tokyo.crt"), path("ca.crt")), 0);
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "not the certificate of an authority"));
}

static void
expired_authority(void **state)
{
	struct cert_order order = {.dir = dir, .name = "x", .valid = -60};
	char error[256];

	(void)state;
	assert_int_equal(cert_make_ca(&order, error, sizeof(error)), 0);
	order.valid = 86400;
	assert_int_equal(cert_make_site(&order, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "has expired"));
}

static void
usage(void **state)
{
	(void)state;
	assert_int_equal(cert((const char *const[]){"cert", NULL}), 2);
	assert_int_equal(CERT("client"), 2);
	assert_int_equal(CERT("site"), 2);
	assert_int_equal(CERT("site", "-d", dir), 2);
	assert_int_equal(CERT("site", "a", "b"), 2);
	assert_int_equal(CERT("site", "-x", "a"), 2);
	assert_int_equal(CERT("site", "a", "-d"), 2);
	assert_int_equal(CERT("site", "a", "-D", "0"), 2);
	assert_int_equal(CERT("site", "a", "-D", "-5"), 2);
	assert_int_equal(CERT("site", "a", "-D", "36501"), 2);
	assert_int_equal(CERT("site", "a", "-D", "10d"), 2);
	assert_int_equal(CERT("site", "a", "-D", ""), 2);
	assert_int_equal(CERT("site", "a", "-D", "99999999999999999999"), 2);
	assert_int_equal(files_in_dir(false), 0);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(authority),
	    IN_DIR(site),
	    IN_DIR(begins_an_hour_ago),
	    IN_DIR(serials_differ),
	    IN_DIR(days),
	    IN_DIR(umask_does_not_matter),
	    IN_DIR(nothing_is_overwritten),
	    IN_DIR(names),
	    IN_DIR(without_authority),
	    IN_DIR(broken_authority),
	    IN_DIR(site_is_no_authority),
	    IN_DIR(expired_authority),
	    IN_DIR(usage),
	};

	if (system("command -v openssl > /dev/null") != 0) {
		puts("skipped: no openssl program");
		return 77;
	}
	return cmocka_run_group_tests_name("cert", tests, NULL, NULL);
}
