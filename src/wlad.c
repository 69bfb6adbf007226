/*
 * wlad: start, run and stop, in the order in which it happens; wlad_events.c is what happens between.
 */
#include "wlad.h"

#include <sys/resource.h>
#include <sys/time.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "options.h"
#include "platform/daemonize.h"
#include "platform/privileges.h"
#include "platform/routes.h"
#include "version.h"
#include "wlad_internal.h"

/* ---- start, in order; each step returns 0 or -1 with a sentence in w->error ---- */

/* From here on there is a guard: what is started later is called inside. */
static int
open_queues(struct wlad *w)
{
	if (w->config->device.queues == 1)
		return 0;
	w->queues = queues_open(w->io, w->config->device.queues - 1, w->error, sizeof(w->error));
	if (w->queues == NULL)
		return -1;
	w->guard = guard_new();
	loop_share(w->loop, w->guard);
	return 0;
}

static int
open_io(struct wlad *w)
{
	const struct config *c = w->config;
	struct io_settings settings = {
	    .device_name = c->device.name,
	    .mtu = c->device.mtu,
	    .offload = c->device.offload,
	    .threaded = c->device.threaded,
	    .queues = c->device.queues > 1,
	    .raw = c->device.output == CONFIG_OUTPUT_RAW,
	    .transfer_listen = c->transfer.listen,
	    .demand_port = c->transfer.demand_port,
	};

	w->io = io_open(&settings, w->error, sizeof(w->error));
	if (w->io == NULL || open_queues(w) == -1)
		return -1;
	return routes_device_up(io_device_name(w->io), c->device.mtu, w->error, sizeof(w->error));
}

static int
add_route(struct wlad *w, const struct ip *ip, int families[2])
{
	if (ip_is_zero(ip))
		return 0;
	families[ip_is_v4(ip) ? 0 : 1] = 1;
	if (!w->config->device.routes)
		return 0;
	return routes_add(io_device_name(w->io), ip, w->error, sizeof(w->error));
}

/* Service and self addresses lead to the device. */
static int
add_routes(struct wlad *w)
{
	const struct config *c = w->config;
	int families[2] = {0, 0};

	for (size_t i = 0; i < c->services_count; i++) {
		if (add_route(w, &c->services[i].v4, families) == -1 ||
		    add_route(w, &c->services[i].v6, families) == -1)
			return -1;
	}
	for (size_t i = 0; i < c->self_addresses_count; i++) {
		if (add_route(w, &c->self_addresses[i], families) == -1)
			return -1;
	}
	routes_warn(io_device_name(w->io),
	    &(struct routes_use){.v4 = families[0] != 0,
		.v6 = families[1] != 0,
		.raw = c->device.output == CONFIG_OUTPUT_RAW,
		.transfers = config_exchanges(c)});
	return 0;
}

static int
make_datapath(struct wlad *w)
{
	struct datapath_parts parts = {
	    .config = w->config,
	    .io = w->io,
	    .load = w->load,
	    .allocation = w->allocation,
	    .keyring = w->keyring,
	    .counters = &w->counters,
	    .random = &w->random,
	    .peers = wlad_datapath_peers(w),
	    .guard = w->guard,
	};

	w->datapath = datapath_new(&parts, clock_now());
	if (w->datapath != NULL)
		return 0;
	snprintf(w->error, sizeof(w->error),
	    "no memory for %u connections: %s; lower limits.connections",
	    w->config->limits.connections, strerror(errno));
	return -1;
}

/* What a coordinator has nothing of. */
static int
open_packet_path(struct wlad *w)
{
	if (wlad_keep_possible(w->config, w->error, sizeof(w->error)) == -1 ||
	    open_io(w) == -1 || add_routes(w) == -1 || make_datapath(w) == -1)
		return -1;
	wlad_keep_update(w);
	if (answers_open(w->answers, w->config, w->error, sizeof(w->error)) == -1)
		return -1;
	answers_refresh(w->answers);
	return health_sockets(w->health, w->error, sizeof(w->error));
}

int
wlad_open_exchange(struct wlad *w)
{
	struct exchange_parts parts = {
	    .loop = w->loop,
	    .config = w->config,
	    .table = w->load,
	    .keyring = w->keyring,
	    .counters = &w->counters,
	    .random = &w->random,
	    .handlers = w->datapath != NULL ? &wlad_exchange_handlers : NULL,
	    .handlers_arg = w,
	};

	if (!config_exchanges(w->config))
		return 0;
	w->exchange = exchange_new(&parts, w->error, sizeof(w->error));
	return w->exchange != NULL ? 0 : -1;
}

static int
open_control(struct wlad *w)
{
	struct control_parts parts = {
	    .loop = w->loop,
	    .config = w->config,
	    .load = w->load,
	    .allocation = w->allocation,
	    .connections = w->datapath != NULL ? datapath_connections(w->datapath) : NULL,
	    .counters = &w->counters,
	    .started = clock_now(),
	    .keyring = w->keyring,
	    .reload = wlad_reload,
	    .reload_arg = w,
	    .changes = &w->changes,
	    .edit = wlad_edit,
	    .edit_arg = w,
	    .probe = w->datapath != NULL ? wlad_probe_site : NULL,
	    .probe_arg = w,
	    .certificate_expiry = wlad_certificate_expiry,
	    .certificate_arg = w,
	};

	w->control = control_new(&parts, w->error, sizeof(w->error));
	return w->control != NULL ? 0 : -1;
}

static void
make_tables(struct wlad *w)
{
	uint64_t seed;

	random_system(&seed, sizeof(seed));
	random_init(&w->random, seed);
	w->loop = loop_new();
	w->load = load_table_new();
	load_table_apply(w->load, w->config, clock_now());
	w->allocation = allocation_new(w->load, w->config->load.interval);
	w->keyring = keyring_new(&w->random);
}

/* A descriptor for each check under way, each session, each wladmctl: as many as root may have. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Everything that needs rights comes before privileges_drop(). */
static int
start(struct wlad *w)
{
	raise_descriptors();
	w->notify = notify_open();
	make_tables(w);
	if (health_files(w->config, w->error, sizeof(w->error)) == -1)
		return -1;
	w->health = health_new(w->loop, w->load, &w->counters, &w->random);
	w->agents = agents_new(w->loop, w->load, &w->counters, &w->random);
	w->answers = answers_new(w->loop, w->load, &w->counters);
	if (w->config->role == CONFIG_ROLE_SITE && open_packet_path(w) == -1)
		return -1;
	if (wlad_open_exchange(w) == -1 || open_control(w) == -1)
		return -1;
	if (privileges_drop(w->config->user, w->error, sizeof(w->error)) == -1)
		return -1;
	w->manager = manager_new(w->loop, w->load, w->notify);
	w->site_events = site_events_new(w->load);
	wlad_connect(w);
	return wlad_start_queues(w);
}

static void
stop(struct wlad *w)
{
	queues_free(w->queues); /* from here on there is one thread */
	load_table_set_listener(w->load, NULL, NULL);
	site_events_free(w->site_events);
	manager_free(w->manager);
	control_free(w->control);
	answers_free(w->answers);
	agents_free(w->agents);
	health_free(w->health);
	exchange_free(w->exchange);
	w->exchange = NULL; /* the datapath has nobody to tell any more */
	wlad_disconnect(w);
	if (w->datapath != NULL)
		datapath_free(w->datapath);
	wlad_keep_free(w);
	keyring_free(w->keyring);
	allocation_free(w->allocation);
	load_table_free(w->load);
	if (w->io != NULL)
		io_close(w->io);
	loop_free(w->loop);
	guard_free(w->guard);
	config_changes_fini(&w->changes);
	config_free(w->config);
	notify_close(w->notify);
}

/* ---- the story ---- */

static struct config *
load_config(const struct options *options)
{
	struct config_faults faults;
	struct config *config = config_load(options->file, &faults);

	for (size_t i = 0; i < faults.count; i++)
		fprintf(stderr, "%s\n", faults.text[i]);
	config_faults_free(&faults);
	return config;
}

static int
check_only(struct config *config)
{
	char error[ERROR_TEXT];
	int status = 0;

	if (config_exchanges(config) && exchange_check_files(config, error, sizeof(error)) == -1) {
		fprintf(stderr, "%s: %s\n", config->file, error);
		status = 1;
	}
	if (health_files(config, error, sizeof(error)) == -1) {
		fprintf(stderr, "%s: %s\n", config->file, error);
		status = 1;
	}
	if (wlad_keep_possible(config, error, sizeof(error)) == -1) {
		fprintf(stderr, "%s: %s\n", config->file, error);
		status = 1;
	}
	if (status == 0)
		printf("configuration OK\n");
	config_free(config);
	return status;
}

/* Whoever waits for the start, the shell or a service manager, is told how it went. */
static int
start_or_say(struct wlad *w, int background)
{
	char sentence[ERROR_TEXT + 32];

	if (start(w) == -1) {
		snprintf(sentence, sizeof(sentence), "cannot start: %s", w->error);
		log_errorx("%s", sentence);
		notify_status(w->notify, sentence);
		if (background != -1)
			daemonize_failed(background, 1, sentence);
		return -1;
	}
	if (background != -1)
		daemonize_ready(background);
	notify_ready(w->notify);
	return 0;
}

/* background: from daemonize_begin(), or -1 in the foreground. */
static int
run(struct wlad *w, int background)
{
	signal(SIGPIPE, SIG_IGN);
	if (start_or_say(w, background) == -1) {
		stop(w);
		return 1;
	}
	log_info("started version=%s site=%s device=%s services=%zu peers=%zu",
	    version_string(), w->config->site, w->io != NULL ? io_device_name(w->io) : "none",
	    w->config->services_count, w->config->peers_count);
	loop_run(w->loop);
	log_info("stopped");
	stop(w);
	return w->broken ? 1 : 0;
}

int
wlad_main(int argc, char **argv)
{
	struct options options;
	struct wlad *w;
	int status, background = -1;

	if (options_parse(argc, argv, &options) == -1)
		return 1;
	if (options.version) {
		options_print_version();
		return 0;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return 1;
	w->config = load_config(&options);
	if (w->config == NULL || options.check) {
		status = w->config == NULL ? 1 : check_only(w->config);
		free(w);
		return status;
	}
	if (!options.foreground && (background = daemonize_begin()) == -1) {
		perror("wlad: cannot go into the background");
		return 1;
	}
	log_open("wlad", options.foreground);
	log_set_level(options.verbose ? LOG_LEVEL_DEBUG : w->config->log_level);
	status = run(w, background);
	free(w);
	return status;
}
