/*
 * wlad.conf from anywhere: it is refused with at least one fault or complete, and no file is
 * opened.  Bounded, as libconfig takes quadratic time over the settings of a group.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define TEXT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig loses the string at which a text turns out not to be one of its language. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig_yyparse\nleak:libconfig.so\n";
}

static void
expect(int true_or_wrong)
{
	if (!true_or_wrong)
		abort();
}

static void
check_service(const struct config_service *s)
{
	expect(s->name != NULL && s->name[0] != '\0');
	expect(!ip_is_zero(&s->v4) || !ip_is_zero(&s->v6));
	expect(ip_is_zero(&s->v4) || ip_is_v4(&s->v4));
	expect(!ip_is_v4(&s->v6));
	expect(s->ports_count > 0 && s->ports[0] > 0);
	for (size_t i = 1; i < s->ports_count; i++)
		expect(s->ports[i - 1] < s->ports[i]);
	expect(s->high_load >= 0.05 && s->high_load <= 1);
	expect(s->check.interval >= 0.05 && s->check.timeout >= 0.05);
	expect(s->check.rise >= 1 && s->check.fall >= 1);
	expect(s->check.path[0] == '/' && strlen(s->check.path) < CONFIG_CHECK_TEXT);
	expect(
	    strpbrk(s->check.path, " \r\n") == NULL && strpbrk(s->check.host, " \r\n") == NULL);
	expect(s->check.status.range[0].from >= 100);
	expect(s->servers_count > 0 || s->prefer == CONFIG_PREFER_REMOTE);
	for (size_t i = 0; i < s->servers_count; i++) {
		expect(s->servers[i].name != NULL);
		expect(!ip_is_zero(&s->servers[i].v4) || !ip_is_zero(&s->servers[i].v6));
		expect(s->servers[i].weight <= 65535);
	}
}

static void
check_complete(const struct config *c)
{
	expect(c->site != NULL && c->site[0] != '\0' && strlen(c->site) <= CONFIG_NAME_MAX);
	expect(c->device.name != NULL && strlen(c->device.name) <= 15);
	expect(c->device.mtu >= 1280 && c->device.mtu <= 65535);
	expect(c->limits.connections >= 1024 && c->limits.connections <= 8388608);
	expect(c->timeouts.tcp_established >= 1 && c->timeouts.tcp_established <= 1000000);
	expect(c->control.socket != NULL && c->control.group != NULL && c->user != NULL);
	expect(c->services_count > 0);
	for (size_t i = 0; i < c->services_count; i++)
		check_service(&c->services[i]);
	for (size_t i = 0; i < c->peers_count; i++) {
		expect(c->peers[i].site != NULL && strcmp(c->peers[i].site, c->site) != 0);
		expect(c->peers[i].load.port != 0 && c->peers[i].transfer.port != 0);
		expect(c->transfer.listen.port != 0 && c->load.certificate != NULL);
		expect(c->peers[i].fingerprint == NULL ||
		    strspn(c->peers[i].fingerprint, "0123456789abcdef") == 64);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_faults faults;
	struct config *config;
	char *text;

	if (size > TEXT_MAX)
		return 0;
	text = malloc(size + 1);
	expect(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	config = config_parse(text, "fuzz.conf", &faults);
	expect((config == NULL) == (faults.count > 0));
	for (size_t i = 0; i < faults.count; i++)
		expect(strncmp(faults.text[i], "fuzz.conf:", 10) == 0);
	if (config != NULL)
		check_complete(config);
	config_faults_free(&faults);
	config_free(config);
	free(text);
	return 0;
}
