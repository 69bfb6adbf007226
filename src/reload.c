/*
 * reload: from one configuration to the next while packets flow.
 *
 * The new file is read and judged whole; only then anything changes.  What cannot change in a
 * running process is refused with its name.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "platform/routes.h"
#include "wlad_internal.h"

/* Appends a fault, a line each, as far as there is room. */
static void __attribute__((format(printf, 3, 4)))
fault(char *error, size_t size, const char *format, ...)
{
	size_t len = strlen(error);
	va_list ap;

	if (len + 1 >= size)
		return;
	if (len > 0) {
		error[len++] = '\n';
		error[len] = '\0';
	}
	va_start(ap, format);
	vsnprintf(error + len, size - len, format, ap);
	va_end(ap);
}

static struct config *
read_file(const char *file, char *error, size_t size)
{
	struct config_faults faults;
	struct config *config = config_load(file, &faults);

	for (size_t i = 0; i < faults.count; i++)
		fault(error, size, "%s", faults.text[i]);
	config_faults_free(&faults);
	return config;
}

/* What a running process keeps: devices, sockets and memory are opened once, with rights that
 * are gone. */
static void
refuse_changes(const struct config *a, const struct config *b, char *error, size_t size)
{
#define SAME(what, same) \
	do { \
		if (!(same)) \
			fault(error, size, \
			    "%s: " what " cannot change while wlad runs: restart", b->file); \
	} while (0)
	SAME("site", strcmp(a->site, b->site) == 0);
	SAME("role", a->role == b->role);
	SAME("device.name", strcmp(a->device.name, b->device.name) == 0);
	SAME("device.mtu", a->device.mtu == b->device.mtu);
	SAME("device.offload", a->device.offload == b->device.offload);
	SAME("device.queues", a->device.queues == b->device.queues);
	SAME("device.threaded", a->device.threaded == b->device.threaded);
	SAME("device.output", a->device.output == b->device.output);
	SAME("transfer.listen", addr_equal(&a->transfer.listen, &b->transfer.listen));
	SAME("transfer.demand_port", a->transfer.demand_port == b->transfer.demand_port);
	SAME("load.listen", addr_equal(&a->load.listen, &b->load.listen) || !config_exchanges(a));
	SAME("limits.connections", a->limits.connections == b->limits.connections);
	SAME("control.socket", strcmp(a->control.socket, b->control.socket) == 0);
	SAME("control.group", strcmp(a->control.group, b->control.group) == 0);
	SAME("user", strcmp(a->user, b->user) == 0);
#undef SAME
}

/* ---- routes of addresses that are new: the right to add them may be gone ---- */

static bool
had_address(const struct config *config, const struct ip *ip)
{
	for (size_t i = 0; i < config->services_count; i++) {
		if (ip_equal(&config->services[i].v4, ip) ||
		    ip_equal(&config->services[i].v6, ip))
			return true;
	}
	for (size_t i = 0; i < config->self_addresses_count; i++) {
		if (ip_equal(&config->self_addresses[i], ip))
			return true;
	}
	return false;
}

static void
want_route(struct wlad *w, const struct config *config, const struct ip *ip)
{
	const char *device = io_device_name(w->io);
	char text[IP_TEXT], error[ERROR_TEXT];

	if (ip_is_zero(ip) || !config->device.routes || had_address(w->config, ip))
		return;
	if (routes_add(device, ip, error, sizeof(error)) == 0)
		return;
	ip_format(ip, text);
	log_warnx("new address has no route yet address=%s reason=\"%s\" "
		  "remedy=\"ip route add %s dev %s\"",
	    text, error, text, device);
}

static void
want_routes(struct wlad *w, const struct config *config)
{
	for (size_t i = 0; i < config->services_count; i++) {
		want_route(w, config, &config->services[i].v4);
		want_route(w, config, &config->services[i].v6);
	}
	for (size_t i = 0; i < config->self_addresses_count; i++)
		want_route(w, config, &config->self_addresses[i]);
}

/* ---- the change itself ---- */

static bool
same_path(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/*
 * Certificate, key and CA, and what checks name, as `wlad -n` would judge them.  A key that only root can read was read
 * at the start: as long as the paths are the same, that is no reason to refuse a reload.
 */
static void
judge_files(const struct wlad *w, const struct config *config, char *error, size_t size)
{
	const struct config *old = w->config;
	char sentence[ERROR_TEXT];

	if (wlad_keep_possible(config, sentence, sizeof(sentence)) == -1)
		fault(error, size, "%s: %s", config->file, sentence);
	if (health_files(config, sentence, sizeof(sentence)) == -1)
		fault(error, size, "%s: %s", config->file, sentence);
	if (!config_exchanges(config))
		return;
	if (w->exchange != NULL && same_path(old->load.key, config->load.key) &&
	    same_path(old->load.certificate, config->load.certificate) &&
	    access(config->load.key, R_OK) == -1 && errno == EACCES)
		return;
	if (exchange_check_files(config, sentence, sizeof(sentence)) == -1)
		fault(error, size, "%s: %s", config->file, sentence);
}

/* Last of all: what can be opened is opened. */
static void
listen_besides(struct wlad *w, const struct config *config, char *error, size_t size)
{
	char sentence[ERROR_TEXT];

	if (answers_open(w->answers, config, sentence, sizeof(sentence)) == -1)
		fault(error, size, "%s: %s", config->file, sentence);
}

/* What an administrator changed is over: who did it has to learn that. */
static void
change_ended(void *arg, const struct config_change *change, const char *reason, bool conflict)
{
	const char *was = change->added ? "added" : change->removed ? "removed" : "set";

	(void)arg;
	if (conflict)
		log_warnx("run-time change of server given up service=%s server=%s was=%s "
			  "reason=\"%s\"",
		    change->service, change->server.name, was, reason);
	else
		log_info("run-time change of server ended service=%s server=%s was=%s "
			 "reason=\"%s\"",
		    change->service, change->server.name, was, reason);
}

/* The servers of the file, as administrators have changed them. */
static void
apply_changes(struct wlad *w, const struct config *file)
{
	struct config *running = config_changes_rebase(&w->changes, file, change_ended, w);

	load_table_apply(w->load, running, loop_now(w->loop));
	config_free(running);
}

/* From here on the new configuration is the one in force. */
static void
change(struct wlad *w, struct config *config)
{
	struct config *old = w->config;
	char sentence[ERROR_TEXT];

	if (w->datapath != NULL)
		want_routes(w, config);
	apply_changes(w, config);
	allocation_set_interval(w->allocation, config->load.interval);
	if (w->datapath != NULL)
		datapath_set_config(w->datapath, config);
	w->config = config;
	wlad_keep_update(w);
	if (w->exchange == NULL) {
		if (wlad_open_exchange(w) == -1)
			log_errorx("no load exchange: %s", w->error);
	} else if (exchange_reload(w->exchange, config, sentence, sizeof(sentence)) == -1) {
		log_warnx("load exchange keeps the certificates it started with reason=\"%s\"",
		    sentence);
	}
	health_refresh(w->health);
	agents_refresh(w->agents);
	answers_refresh(w->answers);
	control_set_config(w->control, config);
	log_set_level(w->verbose ? LOG_LEVEL_DEBUG : config->log_level);
	config_free(old);
}

/* One line of the log for each fault. */
static void
log_faults(const char *error)
{
	const char *end;

	for (; *error != '\0'; error = *end == '\n' ? end + 1 : end) {
		end = strchrnul(error, '\n');
		log_errorx("reload refused: %.*s", (int)(end - error), error);
	}
}

int
wlad_reload(void *arg, char *error, size_t size)
{
	struct wlad *w = arg;
	struct config *config;

	error[0] = '\0';
	notify_reloading(w->notify, clock_now());
	config = read_file(w->config->file, error, size);
	if (config != NULL)
		refuse_changes(w->config, config, error, size);
	if (config != NULL && error[0] == '\0')
		judge_files(w, config, error, size);
	if (config != NULL && error[0] == '\0')
		listen_besides(w, config, error, size);
	if (error[0] != '\0') {
		config_free(config);
		log_faults(error);
		counter_add(&w->counters, COUNTER_reloads_refused, 1);
		notify_ready(w->notify);
		return -1;
	}
	change(w, config);
	counter_add(&w->counters, COUNTER_reloads, 1);
	log_info("reloaded services=%zu peers=%zu", config->services_count, config->peers_count);
	notify_ready(w->notify);
	return 0;
}

/* How long the other sites wait for word of other servers: more changes may follow at once. */
#define TELL_AFTER (200 * CLOCK_MILLISECOND)

int
wlad_edit(void *arg, const struct config_edit *edit, char *error, size_t size)
{
	struct wlad *w = arg;
	struct config *running = config_changes_edit(&w->changes, w->config, edit, error, size);

	if (running == NULL)
		return -1;
	load_table_apply(w->load, running, loop_now(w->loop));
	config_free(running);
	wlad_keep_update(w);
	health_refresh(w->health);
	agents_refresh(w->agents);
	if (w->exchange != NULL) {
		exchange_changed(w->exchange);
		loop_timer_set(w->tell, TELL_AFTER);
	}
	return 0;
}
