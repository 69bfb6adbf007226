/*
 * What a coordinator costs: one process, and a thousand sites that report to it every second over
 * TLS on the loopback.  The sites are simulated in this process: each has a certificate of its own, a
 * session, a HELLO with a service and two servers, and a LOAD a second; what it is told it counts.
 *
 *   coordinator [SITES [SECONDS [SERVICES]]]
 *
 * With SERVICES the process is no coordinator but a site with that many services of ten servers each,
 * all checked each second by TCP, and the others are its peers, which report as many
 * services.  It says at the end how many checks it has made and what memory it has.  To be
 * started by tests/bench/plane.
 *
 * Three times: all loads stay as they are; one site in a hundred has another load each second; all
 * have.  Printed: processor time of the coordinator as a share of one core, and what its sessions
 * carried, with TLS, without the headers of TCP and IP.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xalloc.h"
#include "health/health.h"
#include "load/exchange.h"
#include "load/session.h"
#include "wladmctl/cert.h"

#define PORT    17210
#define SERVED  17211 /* where a process says yes to the checks */
#define SERVERS 10    /* of a service, at the site */
#define WARM_UP 4.0   /* seconds from the last session until it is measured */

struct client {
	struct bench *bench;
	struct session_parts parts;
	struct session *session;
	struct loop_timer *timer;
	unsigned number;
	uint32_t sequence;
	bool up, high;
	uint64_t messages, octets;
};

struct bench {
	char dir[64];
	unsigned count, seconds, up;
	unsigned services; /* of the site; 0: it is a coordinator */
	unsigned phase;    /* 0: nothing changes, 1: one in a hundred, 2: all */
	struct loop *loop;
	struct counters counters;
	struct client *clients;
	struct loop_timer *timer;
	pid_t coordinator, server;
	uint64_t started, processor, carried, messages;
};

static void
die(const char *what)
{
	fprintf(stderr, "coordinator: %s\n", what);
	exit(1);
}

static void
site_name(char name[16], unsigned number)
{
	snprintf(name, 16, "site%04u", number);
}

static void
path_of(const struct bench *b, char path[128], const char *stem, const char *suffix)
{
	snprintf(path, 128, "%s/%s%s", b->dir, stem, suffix);
}

static void
make_certificates(const struct bench *b)
{
	char error[256], name[16];
	struct cert_order order = {.dir = b->dir, .name = "bench", .valid = 86400};

	if (cert_make_ca(&order, error, sizeof(error)) != 0)
		die(error);
	order.name = "zurich";
	if (cert_make_site(&order, error, sizeof(error)) != 0)
		die(error);
	for (unsigned i = 0; i < b->count; i++) {
		site_name(name, i);
		order.name = name;
		if (cert_make_site(&order, error, sizeof(error)) != 0)
			die(error);
	}
}

static void
remove_files(const struct bench *b)
{
	DIR *dir = opendir(b->dir);
	struct dirent *entry;
	char path[512];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, entry->d_name);
		unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(b->dir);
}

/* ---- the coordinator's process ---- */

static char *
coordinator_text(const struct bench *b)
{
	char *text = xmalloc(1024);

	snprintf(text, 1024,
	    "site = \"zurich\"; role = \"coordinator\"; load: { listen = \"127.0.0.1:%d\";"
	    " accept_unknown = true; certificate = \"%s/zurich.crt\"; key = \"%s/zurich.key\";"
	    " ca = \"%s/ca.crt\"; };",
	    PORT, b->dir, b->dir, b->dir);
	return text;
}

/* The servers are all the one process, under addresses that tests/bench/plane has made ours. */
static char *
site_text(const struct bench *b)
{
	size_t size = 4096 + b->count * 128 + b->services * (192 + SERVERS * 64), at;
	char *text = xmalloc(size);

	at = (size_t)snprintf(text, size,
	    "site = \"zurich\"; load: { listen = \"127.0.0.1:%d\"; certificate ="
	    " \"%s/zurich.crt\"; key = \"%s/zurich.key\"; ca = \"%s/ca.crt\"; }; transfer: { "
	    "listen"
	    " = \"127.0.0.1:%d\"; }; peers: (",
	    PORT, b->dir, b->dir, b->dir, PORT);
	for (unsigned i = 0; i < b->count; i++)
		at += (size_t)snprintf(text + at, size - at,
		    "%s{ site = \"site%04u\"; load = \"10.255.%u.%u:7210\"; transfer ="
		    " \"10.255.%u.%u:7210\"; }",
		    i > 0 ? "," : "", i, i / 250, 1 + i % 250, i / 250, 1 + i % 250);
	at += (size_t)snprintf(text + at, size - at, "); services: (");
	for (unsigned i = 0; i < b->services; i++) {
		at += (size_t)snprintf(text + at, size - at,
		    "%s{ name = \"s%u\"; address = \"203.0.%u.%u\"; ports = [ 80 ]; check: { "
		    "type ="
		    " \"tcp\"; interval = 1.0; }; servers: (",
		    i > 0 ? "," : "", i, i / 250, 1 + i % 250);
		for (unsigned n = 0; n < SERVERS; n++)
			at += (size_t)snprintf(text + at, size - at,
			    "%s{ name = \"%u\"; address = \"10.%u.%u.%u\"; port = %d; }",
			    n > 0 ? "," : "", n, 1 + n, i / 250, 1 + i % 250, SERVED);
		at += (size_t)snprintf(text + at, size - at, "); }");
	}
	snprintf(text + at, size - at, ");");
	return text;
}

/* What the checks connect to. */
static void
run_server(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(SERVED)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 || listen(fd, 4096) == -1)
		die("no server");
	for (;;)
		close(accept(fd, NULL, NULL));
}

struct plane {
	const struct bench *bench;
	struct load_table *table;
	struct counters *counters;
	uint64_t started;
};

static void
on_terminate(void *arg, uint64_t now)
{
	struct plane *site = arg;
	unsigned long pages = 0, up = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
		die("no memory");
	for (uint32_t i = 0; i < load_table_servers(site->table); i++)
		up += load_table_server(site->table, i)->state == SERVER_UP;
	printf("%u services, %lu of %u servers up, %.0f checks a second; %.1f MB of memory\n",
	    site->bench->services, up, (unsigned)load_table_servers(site->table),
	    (double)site->counters->counter[COUNTER_checks_passed] * 1e9 /
		(double)(now - site->started),
	    (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6);
	fflush(stdout);
	_exit(0);
}

static void
run_coordinator(const struct bench *b)
{
	char *text = b->services > 0 ? site_text(b) : coordinator_text(b), error[256];
	struct config_faults faults;
	struct exchange_parts parts = {0};
	struct counters counters = {0};
	struct random random;
	struct config *config = config_parse(text, "bench", &faults);
	struct plane site = {.bench = b, .counters = &counters};

	free(text);
	if (config == NULL)
		die(faults.text[0]);
	random_init(&random, 1);
	parts.loop = loop_new();
	parts.config = config;
	parts.table = load_table_new();
	parts.counters = &counters;
	parts.random = &random;
	parts.keyring = keyring_new(&random);
	load_table_apply(parts.table, config, clock_now());
	if (exchange_new(&parts, error, sizeof(error)) == NULL)
		die(error);
	if (b->services > 0) {
		site.table = parts.table;
		site.started = clock_now();
		health_new(parts.loop, parts.table, &counters, &random);
		loop_signal_add(parts.loop, SIGTERM, on_terminate, &site);
	}
	loop_run(parts.loop);
}

/* Clock ticks that a process has used. */
static uint64_t
processor_of(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024] = "";
	const char *rest;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		die("the coordinator is gone");
	fclose(f);
	rest = strrchr(line, ')');
	if (rest == NULL ||
	    sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		&system) != 2)
		die("no processor time");
	return user + system;
}

/* ---- a site ---- */

static unsigned
services_of(const struct bench *b)
{
	return b->services > 0 ? b->services : 1;
}

static void
say_hello(struct client *c)
{
	unsigned count = services_of(c->bench);
	uint16_t port = 80;
	struct addr servers[2];
	struct hello_service *services = xcalloc(count, sizeof(*services));
	struct hello hello = {.version = CODEC_VERSION,
	    .boot_id = c->number + 1,
	    .cipher = KEYS_AES_128_GCM,
	    .interval_ms = 1000,
	    .services = services,
	    .services_count = count};
	struct codec_buffer b = {0};

	addr_parse("10.1.0.11:8080", &servers[0]);
	addr_parse("10.1.0.12:8080", &servers[1]);
	for (unsigned i = 0; i < count; i++) {
		services[i] = (struct hello_service){.name = "web",
		    .number = (uint16_t)i,
		    .protocol = IPPROTO_TCP,
		    .ports = &port,
		    .ports_count = 1,
		    .servers = servers,
		    .servers_count = 2};
		if (c->bench->services > 0)
			snprintf(services[i].name, sizeof(services[i].name), "s%u", i);
		ip_parse("203.0.113.10", &services[i].v4);
		services[i].v4.octet[14] = (uint8_t)(i / 250);
		services[i].v4.octet[15] = (uint8_t)(1 + i % 250);
	}
	site_name(hello.site, c->number);
	addr_parse("198.51.100.1:7210", &hello.transfer);
	hello.load = hello.transfer;
	if (codec_encode_hello(&b, &hello) != 0)
		die("no HELLO");
	session_send(c->session, &b, 1);
	codec_buffer_fini(&b);
	free(services);
}

static void dial(struct client *c);

static void
report(void *arg, uint64_t now)
{
	struct client *c = arg;
	unsigned phase = c->bench->phase;
	bool changes = phase == 2 || (phase == 1 && c->sequence % 100 == c->number % 100);
	uint32_t active = c->high ? 600 : 300;
	struct load_report_service *s;
	struct load_report r = {.sequence = ++c->sequence,
	    .sent_ms = now / 1000000,
	    .services_count = services_of(c->bench)};
	struct codec_buffer b = {0};

	if (c->session == NULL) {
		dial(c);
		return;
	}
	if (changes)
		c->high = !c->high;
	s = r.services = xcalloc(r.services_count, sizeof(*s));
	for (size_t i = 0; i < r.services_count; i++)
		s[i] = (struct load_report_service){.number = (uint16_t)i,
		    .servers_up = 2,
		    .servers_not_high = 2,
		    .transferable = 1000 - active,
		    .permitted = true,
		    .load = (uint16_t)active,
		    .active = active,
		    .new_per_second = 20000,
		    .mean_life = 5000};
	if (codec_encode_load(&b, &r) == 0)
		session_send(c->session, &b, 1);
	codec_buffer_fini(&b);
	free(s);
	loop_timer_set(c->timer, CLOCK_SECOND);
}

static void
on_opened(void *arg, struct session *session)
{
	(void)session;
	say_hello(arg);
}

static void
on_message(void *arg, struct session *session, uint8_t type, const uint8_t *body, size_t len)
{
	struct client *c = arg;

	(void)body;
	c->messages++;
	c->octets += CODEC_HEADER_LEN + len;
	if (type != MESSAGE_HELLO)
		return;
	session_established(session, 3600 * CLOCK_SECOND);
	c->up = true;
	c->bench->up++;
	loop_timer_set(c->timer, (c->number * UINT64_C(7919) % 1000) * CLOCK_MILLISECOND);
}

static void
on_ended(void *arg, struct session *session, const char *why)
{
	struct client *c = arg;

	(void)session;
	fprintf(stderr, "site%04u: %s\n", c->number, why);
	if (c->up)
		c->bench->up--;
	c->up = false;
	c->session = NULL;
	loop_timer_set(c->timer, CLOCK_SECOND); /* again */
}

static const struct session_handlers handlers = {on_opened, on_message, on_ended};

static void
dial(struct client *c)
{
	struct addr to;
	struct ip any = {{0}};

	addr_parse("127.0.0.1:17210", &to);
	c->session = session_dial(&c->parts, &to, &any, &handlers, c);
	if (c->session == NULL)
		die("no session");
}

static void
load_files(struct client *c)
{
	char error[256], name[16], certificate[128], key[128], ca[128];
	struct tls_files files = {certificate, key, ca, NULL};

	site_name(name, c->number);
	path_of(c->bench, certificate, name, ".crt");
	path_of(c->bench, key, name, ".key");
	path_of(c->bench, ca, "ca", ".crt");
	c->parts.loop = c->bench->loop;
	c->parts.counters = &c->bench->counters;
	c->parts.tls = tls_new(&files, error, sizeof(error));
	if (c->parts.tls == NULL)
		die(error);
	c->timer = loop_timer_new(c->bench->loop, report, c);
}

/* ---- measuring ---- */

/* Octets of all sessions, both ways, as TCP carries them. */
static uint64_t
carried(const struct bench *b)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < b->count; i++) {
		struct ssl_st *ssl;

		if (b->clients[i].session == NULL)
			continue;
		ssl = session_tls(b->clients[i].session);
		sum += BIO_number_read(SSL_get_rbio(ssl)) + BIO_number_written(SSL_get_wbio(ssl));
	}
	return sum;
}

static uint64_t
messages(const struct bench *b)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < b->count; i++)
		sum += b->clients[i].messages;
	return sum;
}

static void
begin(struct bench *b)
{
	b->started = clock_now();
	b->processor = processor_of(b->coordinator);
	b->carried = carried(b);
	b->messages = messages(b);
	loop_timer_set(b->timer, b->seconds * CLOCK_SECOND);
}

static void
print(const struct bench *b)
{
	static const char *const what[] = {"no load changes",
	    "1 % of the loads change each second", "all loads change each second"};
	double seconds = (double)(clock_now() - b->started) / 1e9;
	double used =
	    (double)(processor_of(b->coordinator) - b->processor) / (double)sysconf(_SC_CLK_TCK);

	printf("%u sites, %s: %.0f %% of a core, %.2f Mbit/s in and out, %.0f messages/s to "
	       "sites\n",
	    b->up, what[b->phase], 100 * used / seconds,
	    (double)(carried(b) - b->carried) * 8 / 1e6 / seconds,
	    (double)(messages(b) - b->messages) / seconds);
	fflush(stdout);
}

/* Waits for all, lets things settle, measures, goes on. */
static void
on_timer(void *arg, uint64_t now)
{
	struct bench *b = arg;
	static unsigned dialled;

	(void)now;
	if (dialled < b->count) {
		for (int i = 0; i < 4 && dialled < b->count; i++) {
			load_files(&b->clients[dialled]);
			dial(&b->clients[dialled++]);
		}
		loop_timer_set(b->timer, 40 * CLOCK_MILLISECOND);
	} else if (b->started == 0 && b->up < b->count) {
		loop_timer_set(b->timer, CLOCK_SECOND / 10);
	} else if (b->started == 0) {
		b->started = 1;
		loop_timer_set(b->timer, (uint64_t)(WARM_UP * CLOCK_SECOND));
	} else if (b->started == 1) {
		begin(b);
	} else {
		print(b);
		if (++b->phase == 3) {
			loop_stop(b->loop);
			return;
		}
		b->started = 1;
		loop_timer_set(b->timer, (uint64_t)(WARM_UP * CLOCK_SECOND));
	}
}

int
main(int argc, char **argv)
{
	struct bench b = {.count = 1000, .seconds = 10};

	if (argc > 1)
		b.count = (unsigned)atoi(argv[1]);
	if (argc > 2)
		b.seconds = (unsigned)atoi(argv[2]);
	if (argc > 3)
		b.services = (unsigned)atoi(argv[3]);
	strcpy(b.dir, "/tmp/wlad-bench-XXXXXX");
	if (mkdtemp(b.dir) == NULL)
		die("no directory");
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	make_certificates(&b);
	if (b.services > 0) {
		b.server = fork();
		if (b.server == 0)
			run_server();
	}
	b.coordinator = fork();
	if (b.coordinator == 0) {
		run_coordinator(&b);
		_exit(0);
	}
	usleep(300000);
	b.loop = loop_new();
	b.clients = xcalloc(b.count, sizeof(b.clients[0]));
	for (unsigned i = 0; i < b.count; i++)
		b.clients[i] = (struct client){.bench = &b, .number = i};
	b.timer = loop_timer_new(b.loop, on_timer, &b);
	loop_timer_set(b.timer, 0);
	loop_run(b.loop);
	kill(b.coordinator, SIGTERM);
	waitpid(b.coordinator, NULL, 0);
	if (b.services > 0) {
		kill(b.server, SIGTERM);
		waitpid(b.server, NULL, 0);
	}
	remove_files(&b);
	return 0;
}
