#include "config/keys.h"

#include <netinet/in.h>

#include <string.h>

#include "config/config.h"

#define AT(type, member)         offsetof(struct type, member)
#define SIZE(type, member)       sizeof(((struct type *)0)->member)
#define FIELD(type, member)      .offset = AT(type, member), .size = SIZE(type, member)
#define PAIR(type, one, another) FIELD(type, one), .second = AT(type, another)

#define SOCKET_PATH_MAX 107 /* sun_path of Linux without its NUL; the BSDs have 103 */

static const struct key_choice roles[] = {
    {"site", CONFIG_ROLE_SITE}, {"coordinator", CONFIG_ROLE_COORDINATOR}, {NULL, 0}};

static const struct key_choice report_tos[] = {{"all", 0}, {"senders", 0}, {NULL, 0}};

static const struct key_choice protocols[] = {
    {"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {NULL, 0}};

static const struct key_choice schedulers[] = {{"twos", CONFIG_TWOS}, {"rr", CONFIG_RR},
    {"wrr", CONFIG_WRR}, {"lc", CONFIG_LC}, {"wlc", CONFIG_WLC}, {"sed", CONFIG_SED},
    {"nq", CONFIG_NQ}, {"sh", CONFIG_SH}, {"mh", CONFIG_MH}, {"ovf", CONFIG_OVF},
    {"lrt", CONFIG_LRT}, {NULL, 0}};

static const struct key_choice prefers[] = {{"local", CONFIG_PREFER_LOCAL},
    {"any", CONFIG_PREFER_ANY}, {"remote", CONFIG_PREFER_REMOTE}, {NULL, 0}};

static const struct key_choice site_metrics[] = {{"headroom", CONFIG_METRIC_HEADROOM},
    {"servers", CONFIG_METRIC_SERVERS}, {"connections", CONFIG_METRIC_CONNECTIONS},
    {"permission", CONFIG_METRIC_PERMISSION}, {"load", CONFIG_METRIC_LOAD}, {NULL, 0}};

static const struct key_choice client_addresses[] = {{"hide", CONFIG_CLIENT_HIDE},
    {"proxy-v2", CONFIG_CLIENT_PROXY}, {"keep", CONFIG_CLIENT_KEEP}, {NULL, 0}};

static const struct key_choice unknowns[] = {
    {"reset", CONFIG_UNKNOWN_RESET}, {"drop", CONFIG_UNKNOWN_DROP}, {NULL, 0}};

static const struct key_choice downs[] = {
    {"reset", CONFIG_DOWN_RESET}, {"keep", CONFIG_DOWN_KEEP}, {NULL, 0}};

static const struct key_choice replies[] = {{"auto", CONFIG_REPLY_AUTO},
    {"direct", CONFIG_REPLY_DIRECT}, {"transferor", CONFIG_REPLY_TRANSFEROR}, {NULL, 0}};

static const struct key_choice ciphers[] = {{"auto", CONFIG_CIPHER_AUTO},
    {"aes-128-gcm", CONFIG_CIPHER_AES_128_GCM}, {"aes-256-gcm", CONFIG_CIPHER_AES_256_GCM},
    {"chacha20-poly1305", CONFIG_CIPHER_CHACHA20_POLY1305}, {NULL, 0}};

static const struct key_choice permissions[] = {{"permit", true}, {"prohibit", false}, {NULL, 0}};

static const struct key_choice check_types[] = {{"tcp", CONFIG_CHECK_TCP},
    {"tls", CONFIG_CHECK_TLS}, {"http", CONFIG_CHECK_HTTP}, {"https", CONFIG_CHECK_HTTPS},
    {"icmp", CONFIG_CHECK_ICMP}, {"udp", CONFIG_CHECK_UDP}, {"dns", CONFIG_CHECK_DNS},
    {"script", CONFIG_CHECK_SCRIPT}, {"none", CONFIG_CHECK_NONE}, {NULL, 0}};

static const struct key_choice log_levels[] = {{"error", LOG_LEVEL_ERROR},
    {"warn", LOG_LEVEL_WARN}, {"info", LOG_LEVEL_INFO}, {"debug", LOG_LEVEL_DEBUG}, {NULL, 0}};

static const struct key_choice outputs[] = {
    {"tun", CONFIG_OUTPUT_TUN}, {"raw", CONFIG_OUTPUT_RAW}, {NULL, 0}};

static const struct key device_keys[] = {
    {"name", KEY_DEVICE, FIELD(config, device.name), .length = 15, .preset_text = "wlad0"},
    {"mtu", KEY_INTEGER, FIELD(config, device.mtu), .min = 1280, .max = 65535, .preset = 1500},
    {"routes", KEY_BOOL, FIELD(config, device.routes), .preset = true},
    {"offload", KEY_BOOL, FIELD(config, device.offload), .preset = true},
    {"queues", KEY_INTEGER, FIELD(config, device.queues), .min = 1, .max = 64, .preset = 1},
    {"threaded", KEY_BOOL, FIELD(config, device.threaded), .preset = false},
    {"output", KEY_CHOICE, FIELD(config, device.output), .choices = outputs,
	.preset = CONFIG_OUTPUT_TUN},
    {0},
};

/* The types of checks that read a setting. */
#define OF_TCP    (1u << CONFIG_CHECK_TCP)
#define OF_TLS    (1u << CONFIG_CHECK_TLS | 1u << CONFIG_CHECK_HTTPS)
#define OF_HTTP   (1u << CONFIG_CHECK_HTTP | 1u << CONFIG_CHECK_HTTPS)
#define OF_UDP    (1u << CONFIG_CHECK_UDP)
#define OF_DNS    (1u << CONFIG_CHECK_DNS)
#define OF_SCRIPT (1u << CONFIG_CHECK_SCRIPT)
#define OF_PORT   (OF_TCP | OF_TLS | OF_HTTP | OF_UDP | OF_DNS | OF_SCRIPT)

static const struct key check_keys[] = {
    {"type", KEY_CHOICE, FIELD(config_service, check.type), .choices = check_types,
	.preset = CONFIG_CHECK_TCP},
    {"interval", KEY_REAL, FIELD(config_service, check.interval), .min = 0.05, .max = 3600,
	.preset = 1},
    {"timeout", KEY_REAL, FIELD(config_service, check.timeout), .min = 0.05, .max = 3600,
	.preset = 1},
    {"rise", KEY_INTEGER, FIELD(config_service, check.rise), .min = 1, .max = 100, .preset = 2},
    {"fall", KEY_INTEGER, FIELD(config_service, check.fall), .min = 1, .max = 100, .preset = 3},
    {"interval_down", KEY_REAL, FIELD(config_service, check.interval_down), .min = 0, .max = 3600},
    {"port", KEY_INTEGER, FIELD(config_service, check.port), .min = 0, .max = 65535,
	.types = OF_PORT},
    {"path", KEY_URL_PATH, FIELD(config_service, check.path), .preset_text = "/",
	.types = OF_HTTP},
    {"host", KEY_HOST, FIELD(config_service, check.host), .preset_text = "",
	.types = OF_HTTP | OF_TLS},
    {"status", KEY_STATUSES, FIELD(config_service, check.status), .preset_text = "200-399",
	.types = OF_HTTP},
    {"ca", KEY_FILE, FIELD(config_service, check.ca), .preset_text = "", .types = OF_TLS},
    {"send", KEY_OCTETS, FIELD(config_service, check.send), .preset_text = "",
	.types = OF_TCP | OF_UDP},
    {"expect", KEY_OCTETS, FIELD(config_service, check.expect), .preset_text = "",
	.types = OF_TCP | OF_UDP | OF_HTTP},
    {"query", KEY_QUESTION, FIELD(config_service, check.query), .preset_text = ".",
	.types = OF_DNS},
    {"command", KEY_FILE, FIELD(config_service, check.command), .preset_text = "",
	.types = OF_SCRIPT},
    {0},
};

static const struct key agent_keys[] = {
    {"port", KEY_INTEGER, FIELD(config_service, agent.port), .min = 1, .max = 65535},
    {"interval", KEY_REAL, FIELD(config_service, agent.interval), .min = 0.05, .max = 3600,
	.preset = CONFIG_AGENT_INTERVAL},
    {"timeout", KEY_REAL, FIELD(config_service, agent.timeout), .min = 0.05, .max = 3600,
	.preset = CONFIG_AGENT_TIMEOUT},
    {"send", KEY_OCTETS, FIELD(config_service, agent.send), .preset_text = ""},
    {0},
};

static const struct key server_keys[] = {
    {"name", KEY_NAME, FIELD(config_server, name), .length = CONFIG_NAME_MAX, .required = true},
    {"address", KEY_IP_PAIR, PAIR(config_server, v4, v6), .required = true},
    {"port", KEY_INTEGER, FIELD(config_server, port), .min = 1, .max = 65535},
    {"weight", KEY_INTEGER, FIELD(config_server, weight), .min = 0, .max = 65535, .preset = 1},
    {"max_connections", KEY_INTEGER, FIELD(config_server, max_connections), .min = 0,
	.max = UINT32_MAX},
    {"backup", KEY_BOOL, FIELD(config_server, backup)},
    {"agent_port", KEY_INTEGER, FIELD(config_server, agent_port), .min = 1, .max = 65535},
    {"agent_address", KEY_IP_PAIR, PAIR(config_server, agent_v4, agent_v6)},
    {0},
};

static const struct key persistence_keys[] = {
    {"timeout", KEY_INTEGER, FIELD(config_service, persistence.timeout), .min = 0, .max = 2678400},
    {"mask_v4", KEY_INTEGER, FIELD(config_service, persistence.mask_v4), .min = 1, .max = 32,
	.preset = 32},
    {"mask_v6", KEY_INTEGER, FIELD(config_service, persistence.mask_v6), .min = 1, .max = 128,
	.preset = 128},
    {0},
};

static const struct key client_limit_keys[] = {
    {"connections", KEY_INTEGER, FIELD(config_service, client_limit.connections), .min = 0,
	.max = 8388608},
    {"rate", KEY_REAL, FIELD(config_service, client_limit.rate), .min = 0, .max = 1000000},
    {"burst", KEY_INTEGER, FIELD(config_service, client_limit.burst), .min = 0, .max = 1000000},
    {"mask_v4", KEY_INTEGER, FIELD(config_service, client_limit.mask_v4), .min = 1, .max = 32,
	.preset = 32},
    {"mask_v6", KEY_INTEGER, FIELD(config_service, client_limit.mask_v6), .min = 1, .max = 128,
	.preset = 64},
    {0},
};

static const struct key service_keys[] = {
    {"name", KEY_NAME, FIELD(config_service, name), .length = CONFIG_NAME_MAX, .required = true},
    {"address", KEY_IP_PAIR, PAIR(config_service, v4, v6), .required = true},
    {"protocol", KEY_CHOICE, FIELD(config_service, protocol), .choices = protocols,
	.preset = IPPROTO_TCP},
    {"ports", KEY_PORTS, PAIR(config_service, ports, ports_count), .required = true},
    {"scheduler", KEY_CHOICE, FIELD(config_service, scheduler), .choices = schedulers,
	.preset = CONFIG_TWOS},
    {"prefer", KEY_CHOICE, FIELD(config_service, prefer), .choices = prefers,
	.preset = CONFIG_PREFER_LOCAL},
    {"site_metric", KEY_CHOICE, FIELD(config_service, site_metric), .choices = site_metrics,
	.preset = CONFIG_METRIC_HEADROOM},
    {"client_address", KEY_CHOICE, FIELD(config_service, client_address),
	.choices = client_addresses, .preset = CONFIG_CLIENT_HIDE},
    {"on_unknown", KEY_CHOICE, FIELD(config_service, on_unknown), .choices = unknowns,
	.preset = CONFIG_UNKNOWN_RESET},
    {"on_server_down", KEY_CHOICE, FIELD(config_service, on_server_down), .choices = downs,
	.preset = CONFIG_DOWN_RESET},
    {"transfer", KEY_CHOICE, FIELD(config_service, transfer_permitted), .choices = permissions,
	.preset = true},
    {"high_load", KEY_REAL, FIELD(config_service, high_load), .min = 0.05, .max = 1,
	.preset = 0.75},
    {"passive", KEY_BOOL, FIELD(config_service, passive), .preset = true},
    {"slow_start", KEY_REAL, FIELD(config_service, slow_start), .min = 0, .max = 3600},
    {"one_packet", KEY_BOOL, FIELD(config_service, one_packet)},
    {"persistence", KEY_GROUP, .keys = persistence_keys},
    {"client_limit", KEY_GROUP, .keys = client_limit_keys},
    {"check", KEY_GROUP, .keys = check_keys},
    {"agent", KEY_GROUP, .keys = agent_keys},
    {"agent_listen", KEY_ADDR, FIELD(config_service, agent_listen)},
    {"servers", KEY_GROUPS, PAIR(config_service, servers, servers_count), .keys = server_keys,
	.element = sizeof(struct config_server), .line = AT(config_server, line)},
    {0},
};

static const struct key transfer_keys[] = {
    {"listen", KEY_ADDR, FIELD(config, transfer.listen)},
    {"max_transfers", KEY_INTEGER, FIELD(config, transfer.max_transfers), .min = 1, .max = 15,
	.preset = 1},
    {"demand_port", KEY_INTEGER, FIELD(config, transfer.demand_port), .min = 0, .max = 65535},
    {"mtu", KEY_INTEGER, FIELD(config, transfer.mtu), .min = 1280, .max = 65535, .preset = 1500},
    {"cipher", KEY_CHOICE, FIELD(config, transfer.cipher), .choices = ciphers,
	.preset = CONFIG_CIPHER_AUTO},
    {"give_up", KEY_REAL, FIELD(config, transfer.give_up), .min = 1, .max = 3600, .preset = 10},
    {0},
};

static const struct key coordinator_keys[] = {
    {"site", KEY_NAME, FIELD(config_peer, site), .length = CONFIG_NAME_MAX, .required = true},
    {"load", KEY_ADDR, FIELD(config_peer, load), .required = true},
    {"fingerprint", KEY_FINGERPRINT, FIELD(config_peer, fingerprint)},
    {0},
};

static const struct key load_keys[] = {
    {"listen", KEY_ADDR, FIELD(config, load.listen)},
    {"certificate", KEY_PATH, FIELD(config, load.certificate), .length = 1023},
    {"key", KEY_PATH, FIELD(config, load.key), .length = 1023},
    {"ca", KEY_PATH, FIELD(config, load.ca), .length = 1023},
    {"crl", KEY_PATH, FIELD(config, load.crl), .length = 1023},
    {"interval", KEY_REAL, FIELD(config, load.interval), .min = 0.1, .max = 60, .preset = 1},
    {"report_to", KEY_NAMES, FIELD(config, load.report_to), .choices = report_tos,
	.preset_text = "all"},
    {"accept_unknown", KEY_BOOL, FIELD(config, load.accept_unknown)},
    {"coordinators", KEY_GROUPS, PAIR(config, load.coordinators, load.coordinators_count),
	.keys = coordinator_keys, .element = sizeof(struct config_peer),
	.line = AT(config_peer, line)},
    {0},
};

static const struct key peer_keys[] = {
    {"site", KEY_NAME, FIELD(config_peer, site), .length = CONFIG_NAME_MAX, .required = true},
    {"load", KEY_ADDR, FIELD(config_peer, load), .required = true},
    {"transfer", KEY_ADDR, FIELD(config_peer, transfer), .required = true},
    {"reply", KEY_CHOICE, FIELD(config_peer, reply), .choices = replies,
	.preset = CONFIG_REPLY_AUTO},
    {"fingerprint", KEY_FINGERPRINT, FIELD(config_peer, fingerprint)},
    {0},
};

static const struct key limits_keys[] = {
    {"connections", KEY_INTEGER, FIELD(config, limits.connections), .min = 1024, .max = 8388608,
	.preset = 1048576},
    {0},
};

#define TIMEOUT(key_name, member, seconds) \
	{ \
		key_name, KEY_INTEGER, FIELD(config, timeouts.member), \
		    .min = 1, .max = 1000000, .preset = seconds \
	}

static const struct key timeouts_keys[] = {
    TIMEOUT("tcp_opening", tcp_opening, 60),
    TIMEOUT("tcp_established", tcp_established, 7440),
    TIMEOUT("tcp_closing", tcp_closing, 240),
    TIMEOUT("udp", udp, 300),
    TIMEOUT("icmp", icmp, 60),
    {0},
};

static const struct key control_keys[] = {
    {"socket", KEY_PATH, FIELD(config, control.socket), .length = SOCKET_PATH_MAX,
	.preset_text = "/run/wlad/wlad.sock"},
    {"group", KEY_ACCOUNT, FIELD(config, control.group), .length = 32, .preset_text = "wlad"},
    {0},
};

static const struct key log_keys[] = {
    {"level", KEY_CHOICE, FIELD(config, log_level), .choices = log_levels,
	.preset = LOG_LEVEL_INFO},
    {0},
};

const struct key keys_root[] = {
    {"site", KEY_NAME, FIELD(config, site), .length = CONFIG_NAME_MAX, .required = true},
    {"role", KEY_CHOICE, FIELD(config, role), .choices = roles, .preset = CONFIG_ROLE_SITE},
    {"device", KEY_GROUP, .keys = device_keys},
    {"self_addresses", KEY_IPS, PAIR(config, self_addresses, self_addresses_count)},
    {"services", KEY_GROUPS, PAIR(config, services, services_count), .keys = service_keys,
	.element = sizeof(struct config_service), .line = AT(config_service, line)},
    {"transfer", KEY_GROUP, .keys = transfer_keys},
    {"load", KEY_GROUP, .keys = load_keys},
    {"peers", KEY_GROUPS, PAIR(config, peers, peers_count), .keys = peer_keys,
	.element = sizeof(struct config_peer), .line = AT(config_peer, line)},
    {"limits", KEY_GROUP, .keys = limits_keys},
    {"timeouts", KEY_GROUP, .keys = timeouts_keys},
    {"control", KEY_GROUP, .keys = control_keys},
    {"user", KEY_ACCOUNT, FIELD(config, user), .length = 32, .preset_text = ""},
    {"log", KEY_GROUP, .keys = log_keys},
    {0},
};

const struct key *
keys_find(const struct key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

const struct key *
keys_of_check(void)
{
	return check_keys;
}

bool
key_is_read(const struct key *key, unsigned check_type)
{
	return key->types == 0 || (key->types & 1u << check_type) != 0;
}
