/*
 * config: broken files, and every word of what is said about them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

/* What is inserted stands on line 3, whatever surrounds it. */
#define SITE     "site = \"tokyo\";\n"
#define WEB      "name = \"web\"; address = \"203.0.113.10\"; ports = [ 80 ]; "
#define SERVERS  "servers: ({ name = \"a\"; address = \"10.1.0.11\"; }); "
#define SERVICES "services: ({ " WEB SERVERS "});"
#define LINKS \
	"transfer: { listen = \"198.51.100.1:7210\"; }; " \
	"load: { listen = \"198.51.100.1:7210\"; certificate = \"/c\"; key = \"/k\"; " \
	"ca = \"/a\"; };"

#define TOP(x)     SITE SERVICES "\n" x "\n"
#define SERVICE(x) SITE "services: ({ " WEB SERVERS "\n" x "\n});\n"
#define BARE(x)    SITE "services: ({ name = \"web\"; " SERVERS "\n" x "\n});\n"
#define SERVER(x)  SITE "services: ({ " WEB "servers: ({ name = \"a\"; \n" x "\n}); });\n"
#define SECOND(x) \
	SITE "services: ({ " WEB \
	     "servers: ({ name = \"a\"; address = \"10.1.0.11\"; port = 81; }, {\n" x \
	     "\n}); });\n"
#define TWO(x)  SITE "services: ({ " WEB SERVERS "}, { " SERVERS "\n" x "\n});\n"
#define PEER(x) SITE SERVICES LINKS "peers: ({\n" x "\n});\n"
#define PEERS(x) \
	SITE SERVICES LINKS "peers: ({ site = \"osaka\"; load = \"192.0.2.1:1\"; transfer = " \
			    "\"192.0.2.1:2\"; }, {\n" x "\n});\n"
#define OSAKA "site = \"osaka\"; load = \"192.0.2.1:1\"; transfer = \"192.0.2.1:2\"; "

#define DIGITS  "00112233445566778899aabbccddeeff"
#define NAME_63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

#define BEGIN "that begins with neither '-' nor '.', but is "
#define NAME  "must be a name of 1 to 63 letters, digits, '-', '_' and '.' " BEGIN
#define PAIR  "must be an IPv4 or IPv6 address, or a list of one of each, but is "
#define PORTS "must be a list of ports from 1 to 65535, such as [ 80, 443 ], but is "
#define URL_PATH \
	"must be a path that begins with '/', of at most 255 printable ASCII characters " \
	"without blanks, but is "
#define HOST \
	"must be \"\" or a host name or address, if need be with its port, " \
	"such as \"www.example.net\", but is "
#define STATUSES \
	"must be HTTP status codes and ranges from 100 to 599, such as \"200-299, 304\", " \
	"but is "
#define HTTP_ONLY  "is for checks of the type \"http\" or \"https\" only"
#define CHECK_FILE "must be a path that begins with '/' and has at most 255 characters, but is "
#define OCTETS \
	"must be a text of at most 256 octets; \\r, \\n, \\t, \\\\ and \\xHH are one octet " \
	"each, " \
	"but is "
#define DNS_QUESTION \
	"must be a DNS name, perhaps with a type A, AAAA, NS, SOA, MX or TXT, such as " \
	"\"www.example.net AAAA\", but is "
#define PORT   "must be a port from 1 to 65535, but is "
#define GROUPS "must be a list of groups ( { }, { } ), but is "
#define ADDR \
	"must be an address with its port, such as \"192.0.2.1:7210\" or " \
	"\"[2001:db8::1]:7210\", but is "
#define PRINT \
	"must be \"\" or the 64 hexadecimal digits of a SHA-256, with or without colons " \
	"between octets, but is "
#define ACCOUNT "must be \"\" or a name of at most 32 letters, digits, '-', '_' and '.' " BEGIN
#define DEVICE  "must be a device name of 1 to 15 letters, digits, '-', '_' and '.' " BEGIN
#define PATH    "must be a path that begins with '/' and has at most 1023 characters, but is "
#define SOCKET  "must be a path that begins with '/' and has at most 107 characters, but is "
#define MARTIAN "it is unspecified, loopback, multicast or reserved"
#define INWARD \
	"is a service or self address: packets to it go to wlad's device, an address of the " \
	"host itself is needed"

struct broken {
	const char *text;
	const char *faults[6];
};

static const struct broken syntax[] = {
    {"", {"f: site: is missing", "f: services: is missing"}},
    {"site = \"a\n\n\n", {"f:1: the string that begins here is never closed by \""}},
    {"site = \"a\";\n /* \n * /\n", {"f:2: the comment that begins here is never closed by */"}},
    {"\n@include \"x\"\n", {"f:2: @include works in files only"}},
    {"a = 1;\n@include x\n", {"f:2: '@' begins only @include \"FILE\", at the start of a line"}},
    {"a = 1;\n@included \"x\"\n",
	{"f:2: '@' begins only @include \"FILE\", at the start of a line"}},
    {"a = 1;\n b = @;\n", {"f:2: '@' begins only @include \"FILE\", at the start of a line"}},
    {TOP("user = ;"), {"f:3: syntax error at or just before 'user = ;'"}},
    {TOP("user"), {"f:3: syntax error after 'user'"}},
    {TOP("device: {\n mtu = 1;"), {"f:4: syntax error after 'mtu = 1;'"}},
    {TOP("device: { mtu = 1500; mtu = 1500; };"),
	{"f:3: duplicate setting name at or just before 'device: { mtu = 1500; mtu = 1500; "
	 "};'"}},
    {SITE SITE SERVICES, {"f:2: duplicate setting name at or just before 'site = \"tokyo\";'"}},
    {BARE("address = \"203.0.113.10\"; ports = [ 80, \"443\" ]; # 1 2 3 4 5 6 7 8 9"),
	{"f:3: mismatched element type in array at or just before "
	 "'address = \"203.0.113.10\"; ports = [ 80, \"443\" ]; # 1 2 3 4 5...'"}},
    {BARE("address = \"203.0.113.10\"; ports = [ 80 443 ];"),
	{"f:3: syntax error at or just before "
	 "'address = \"203.0.113.10\"; ports = [ 80 443 ];'"}},
};

static const struct broken top[] = {
    {SERVICES, {"f: site: is missing"}},
    {"site = \"\";\n" SERVICES, {"f:1: site: " NAME "\"\""}},
    {"site = 7;\n" SERVICES, {"f:1: site: " NAME "7"}},
    {"site = \"to kyo\";\n" SERVICES, {"f:1: site: " NAME "\"to kyo\""}},
    {"site = \"" NAME_63 "4\";\n" SERVICES, {"f:1: site: " NAME "\"" NAME_63 "4\""}},
    {"site = \"" NAME_63 "45\";\n" SERVICES, {"f:1: site: " NAME "\"" NAME_63 "4...\""}},
    {"site = \"t\xc3\xb6kyo\x01\";\n" SERVICES, {"f:1: site: " NAME "\"t\xc3\xb6kyo.\""}},
    {"site = { };\n" SERVICES, {"f:1: site: " NAME "a group { }"}},
    {"site = ( );\n" SERVICES, {"f:1: site: " NAME "a list ( )"}},
    {"site = [ ];\n" SERVICES, {"f:1: site: " NAME "an array [ ]"}},
    {"site = \"-a\";\n" SERVICES, {"f:1: site: " NAME "\"-a\""}},
    {"site = \".\";\n" SERVICES, {"f:1: site: " NAME "\".\""}},
    {"site = true;\n" SERVICES, {"f:1: site: " NAME "true"}},
    {TOP("role = \"router\";"),
	{"f:3: role: must be \"site\" or \"coordinator\", but is \"router\""}},
    {TOP("role = \"coordinator\";"),
	{"f:2: services: a coordinator has no services",
	    "f:3: load.listen: must be set, as this is a coordinator",
	    "f:3: load.certificate: must be set, as this is a coordinator",
	    "f:3: load.key: must be set, as this is a coordinator",
	    "f:3: load.ca: must be set, as this is a coordinator",
	    "f:3: peers: must name the sites, unless load.accept_unknown is true"}},
    {TOP("load: { report_to = \"some\"; };"),
	{"f:3: load.report_to: must be \"all\", \"senders\" or a list of names of sites, "
	 "but is \"some\""}},
    {TOP("load: { report_to = [ \"osaka\", \"a b\" ]; };"),
	{"f:3: load.report_to[1]: must be the name of a site, but is \"a b\""}},
    {TOP("load: { accept_unknown = true; };"),
	{"f:3: transfer.listen: must be set, as accept_unknown is",
	    "f:3: load.listen: must be set, as accept_unknown is",
	    "f:3: load.certificate: must be set, as accept_unknown is",
	    "f:3: load.key: must be set, as accept_unknown is",
	    "f:3: load.ca: must be set, as accept_unknown is"}},
    {TOP("persistence = 0;"), {"f:3: persistence: unknown key 'persistence'; see wlad.conf(5)"}},
    {TOP("servces: ( );"), {"f:3: servces: unknown key 'servces'; did you mean 'services'?"}},
    {TOP("metrics: { listen = \"\"; };"),
	{"f:3: metrics: unknown key 'metrics'; see wlad.conf(5)"}},
    {TOP("a234567890123456789012345678901234 = 1;"),
	{"f:3: a234567890123456789012345678901234: unknown key "
	 "'a234567890123456789012345678901234'; see wlad.conf(5)"}},
    {TOP("device = 1;"), {"f:3: device: must be a group { }, but is 1"}},
    {TOP("device: { nmae = \"x\"; };"),
	{"f:3: device.nmae: unknown key 'nmae'; did you mean 'name'?"}},
    {TOP("device: { channels = 2; };"),
	{"f:3: device.channels: unknown key 'channels'; see wlad.conf(5)"}},
    {TOP("device: { name = \"a/b\"; };"), {"f:3: device.name: " DEVICE "\"a/b\""}},
    {TOP("device: { name = \"..\"; };"), {"f:3: device.name: " DEVICE "\"..\""}},
    {TOP("device: { name = \"\"; };"), {"f:3: device.name: " DEVICE "\"\""}},
    {TOP("device: { name = \"abcdefghijklmnop\"; };"),
	{"f:3: device.name: " DEVICE "\"abcdefghijklmnop\""}},
    {TOP("device: { routes = 1; };"), {"f:3: device.routes: must be true or false, but is 1"}},
    {TOP("device: { offload = \"yes\"; };"),
	{"f:3: device.offload: must be true or false, but is \"yes\""}},
    {TOP("device: { output = \"packet\"; };"),
	{"f:3: device.output: must be \"tun\" or \"raw\", but is \"packet\""}},
    {TOP("device: { mtu = 1279; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is 1279"}},
    {TOP("device: { queues = 0; };"),
	{"f:3: device.queues: must be an integer from 1 to 64, but is 0"}},
    {TOP("device: { queues = 65; };"),
	{"f:3: device.queues: must be an integer from 1 to 64, but is 65"}},
    {TOP("transfer: { mtu = 65536; };"),
	{"f:3: transfer.mtu: must be an integer from 1280 to 65535, but is 65536"}},
    {TOP("load: { interval = 0.05; };"),
	{"f:3: load.interval: must be a number from 0.1 to 60, but is 0.05"}},
    {TOP("load: { interval = 61; };"),
	{"f:3: load.interval: must be a number from 0.1 to 60, but is 61"}},
    {TOP("load: { certificate = \"c.pem\"; };"), {"f:3: load.certificate: " PATH "\"c.pem\""}},
    {TOP("load: { key = \"/a\x07\"; };"), {"f:3: load.key: " PATH "\"/a.\""}},
    {TOP("load: { ca = false; };"), {"f:3: load.ca: " PATH "false"}},
    {TOP("load: { crl = \"here\"; };"),
	{"f:3: load.crl: must be a path that begins with '/' and has at most 1023 characters, "
	 "but is \"here\""}},
    {TOP("limits: { connections = 1023; };"),
	{"f:3: limits.connections: must be an integer from 1024 to 8388608, but is 1023"}},
    {TOP("limits: { connections = 8388609; };"),
	{"f:3: limits.connections: must be an integer from 1024 to 8388608, but is 8388609"}},
    {TOP("timeouts: { tcp_opening = 0; };"),
	{"f:3: timeouts.tcp_opening: must be an integer from 1 to 1000000, but is 0"}},
    {TOP("timeouts: { tcp_established = 1000001; };"),
	{"f:3: timeouts.tcp_established: must be an integer from 1 to 1000000, but is "
	 "1000001"}},
    {TOP("timeouts: { tcp_closing = -1; };"),
	{"f:3: timeouts.tcp_closing: must be an integer from 1 to 1000000, but is -1"}},
    {TOP("timeouts: { udp = 30.5; };"),
	{"f:3: timeouts.udp: must be an integer from 1 to 1000000, but is 30.5"}},
    {TOP("timeouts: { icmp = \"60\"; };"),
	{"f:3: timeouts.icmp: must be an integer from 1 to 1000000, but is \"60\""}},
    {TOP("timeouts: { tcp_time_wait = 1; };"),
	{"f:3: timeouts.tcp_time_wait: unknown key 'tcp_time_wait'; see wlad.conf(5)"}},
    {TOP("control: { socket = \"\"; };"), {"f:3: control.socket: " SOCKET "\"\""}},
    {TOP("control: { socket = \"run/w\"; };"), {"f:3: control.socket: " SOCKET "\"run/w\""}},
    {TOP("control: { group = \"a:b\"; };"), {"f:3: control.group: " ACCOUNT "\"a:b\""}},
    {TOP("user = \"a23456789-123456789-123456789-123\";"),
	{"f:3: user: " ACCOUNT "\"a23456789-123456789-123456789-123\""}},
    {TOP("log: { level = \"trace\"; };"),
	{"f:3: log.level: must be \"error\", \"warn\", \"info\" or \"debug\", "
	 "but is \"trace\""}},
};

/* Integers that libconfig would wrap to something harmless, and other spellings. */
static const struct broken numbers[] = {
    {TOP("device: { mtu = 4294968796; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is 4294968796"}},
    {TOP("device: { mtu = 4294968796L; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is 4294968796"}},
    {TOP("device: { mtu = -4294965796; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is -4294965796"}},
    {TOP("device: { mtu = 18446744073709553116; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is 9223372036854775807"}},
    {TOP("device: { mtu = 4294968796offload = true; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is 4294968796"}},
    {TOP("device: { mtu = 0x1000005dc; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is a number that is "
	 "not written in decimal"}},
    {TOP("device: { mtu = 0x5dcL; };"),
	{"f:3: device.mtu: must be an integer from 1280 to 65535, but is a number that is "
	 "not written in decimal"}},
    {TOP("load: { interval = 0x1; };"),
	{"f:3: load.interval: must be a number from 0.1 to 60, but is a number that is not "
	 "written in decimal"}},
    {TOP("load: { interval = 1e999; };"),
	{"f:3: load.interval: must be a number from 0.1 to 60, but is inf"}},
    {TOP("load: { interval = .; };"),
	{"f:3: load.interval: must be a number from 0.1 to 60, but is 0.0"}},
    {TOP("load: { interval = -.5e-1; };"),
	{"f:3: load.interval: must be a number from 0.1 to 60, but is -0.05"}},
    {BARE("address = \"203.0.113.10\"; ports = [ 80, 4294967739 ];"),
	{"f:3: services[0].ports[1]: " PORT "4294967739"}},
    {SERVER("address = \"10.1.0.11\"; max_connections = 4294967296;"),
	{"f:3: services[0].servers[0].max_connections: must be an integer from 0 to "
	 "4294967295, but is 4294967296"}},
};

static const struct broken services[] = {
    {SITE "services: ( );", {"f:2: services: must hold at least one service"}},
    {SITE "services: [ ];", {"f:2: services: must hold at least one service"}},
    {SITE "services: { };", {"f:2: services: " GROUPS "a group { }"}},
    {SITE "services: [ 1, 2 ];", {"f:2: services: " GROUPS "an array [ ]"}},
    {SITE "services: ( 1, [ ] );",
	{"f:2: services[0]: must be a group { }, but is 1",
	    "f:2: services[1]: must be a group { }, but is an array [ ]"}},
    {SITE "services: ({\n " SERVERS "});",
	{"f:2: services[0].name: is missing", "f:2: services[0].address: is missing",
	    "f:2: services[0].ports: is missing"}},
    {SITE "services: ({ " WEB "\n});",
	{"f:2: services[0].servers: must hold at least one server, unless prefer is "
	 "\"remote\""}},
    {SITE "services: ({ " WEB "\nservers: \"a\"; });",
	{"f:3: services[0].servers: " GROUPS "\"a\""}},
    {SITE "services: ({ " WEB "\nprefer = \"remote\"; });",
	{"f:3: services[0].prefer: \"remote\" needs other sites, but there are no peers"}},
    {SERVICE("schedular = \"twos\";"),
	{"f:3: services[0].schedular: unknown key 'schedular'; did you mean 'scheduler'?"}},
    {SERVICE("site_metric = \"rtt\";"),
	{"f:3: services[0].site_metric: must be \"headroom\", \"servers\", \"connections\", "
	 "\"permission\" or \"load\", but is \"rtt\""}},
    {SERVICE("scheduler = \"dh\";"),
	{"f:3: services[0].scheduler: must be \"twos\", \"rr\", \"wrr\", \"lc\", \"wlc\", "
	 "\"sed\", \"nq\", \"sh\", \"mh\", \"ovf\" or \"lrt\", but is \"dh\""}},
    {SERVICE("on_server_down = \"drop\";"),
	{"f:3: services[0].on_server_down: must be \"reset\" or \"keep\", but is \"drop\""}},
    {SERVICE("protocol = \"sctp\";"),
	{"f:3: services[0].protocol: must be \"tcp\" or \"udp\", but is \"sctp\""}},
    {SERVICE("prefer = \"all\";"),
	{"f:3: services[0].prefer: must be \"local\", \"any\" or \"remote\", but is "
	 "\"all\""}},
    {SERVICE("client_address = \"proxy\";"),
	{"f:3: services[0].client_address: must be \"hide\", \"proxy-v2\" or \"keep\", but is "
	 "\"proxy\""}},
    {SERVICE("protocol = \"udp\"; client_address = \"proxy-v2\";"),
	{"f:3: services[0].client_address: \"proxy-v2\" is for services of the protocol "
	 "\"tcp\" only"}},
    {SERVICE("on_unknown = false;"),
	{"f:3: services[0].on_unknown: must be \"reset\" or \"drop\", but is false"}},
    {SERVICE("transfer = \"yes\";"),
	{"f:3: services[0].transfer: must be \"permit\" or \"prohibit\", but is \"yes\""}},
    {SERVICE("agent: { port = 0; };"),
	{"f:3: services[0].agent.port: must be an integer from 1 to 65535, but is 0"}},
    {SERVICE("agent: { port = 9; interval = 0; timeout = 9999; };"),
	{"f:3: services[0].agent.interval: must be a number from 0.05 to 3600, but is 0",
	    "f:3: services[0].agent.timeout: must be a number from 0.05 to 3600, but is 9999"}},
    {SERVICE("agent: { interval = 1; };"),
	{"f:3: services[0].agent.port: must be set, or agent_port of a server: "
	 "no agent is asked without"}},
    {SERVICE("agent: { send = \"x\"; };"),
	{"f:3: services[0].agent.port: must be set, or agent_port of a server: "
	 "no agent is asked without"}},
    {SERVICE("agent: { port = 9; send = \"a\\\\q\"; };"),
	{"f:3: services[0].agent.send: " OCTETS "\"a\\q\""}},
    {SERVICE("agent_listen = \"192.0.2.1\";"),
	{"f:3: services[0].agent_listen: " ADDR "\"192.0.2.1\""}},
    {SERVICE("agent_listen = \"203.0.113.10:7211\";"),
	{"f:3: services[0].agent_listen: 203.0.113.10 is a service or self address: packets to "
	 "it "
	 "go to wlad's device, an address of the host itself is needed"}},
    {SERVICE("agent_listen = \"224.0.0.1:7211\";"),
	{"f:3: services[0].agent_listen: 224.0.0.1 is no address of a single host"}},
    {SERVICE("agent_listen = \"198.51.100.1:7210\"; }); " LINKS "peers: ({" OSAKA),
	{"f:3: services[0].agent_listen: 198.51.100.1:7210 is taken by load.listen, at line "
	 "3"}},
    {SITE "services: ({ " WEB SERVERS "agent_listen = \"192.0.2.9:7211\"; }, "
	  "{ name = \"b\"; address = \"203.0.113.11\"; ports = [ 80 ]; " SERVERS
	  "\nagent_listen = \"192.0.2.9:7211\"; });\n",
	{"f:3: services[1].agent_listen: 192.0.2.9:7211 is that of another service already, "
	 "at line 2"}},
    {SITE "services: ({ " WEB SERVERS "agent_listen = \"0.0.0.0:7211\"; }, "
	  "{ name = \"b\"; address = \"203.0.113.11\"; ports = [ 80 ]; " SERVERS
	  "\nagent_listen = \"192.0.2.9:7211\"; });\n",
	{"f:3: services[1].agent_listen: 192.0.2.9:7211 is that of another service already, "
	 "at line 2"}},
    {SERVER("address = \"10.1.0.11\"; agent_port = 65536;"),
	{"f:3: services[0].servers[0].agent_port: must be an integer from 1 to 65535, "
	 "but is 65536"}},
    {SERVER("address = \"10.1.0.11\"; agent_address = \"10.1.0.12\";"),
	{"f:3: services[0].servers[0].agent_address: needs agent_port, or agent.port of the "
	 "service"}},
    {SERVER("address = \"10.1.0.11\"; agent_port = 9; agent_address = \"0.0.0.0\";"),
	{"f:3: services[0].servers[0].agent_address: 0.0.0.0 is no address of a single host"}},
    {SERVICE("slow_start = -1.0;"),
	{"f:3: services[0].slow_start: must be a number from 0 to 3600, but is -1.0"}},
    {SERVICE("passive = 1;"), {"f:3: services[0].passive: must be true or false, but is 1"}},
    {SERVICE("high_load = 75;"),
	{"f:3: services[0].high_load: must be a number from 0.05 to 1, but is 75"}},
    {SERVICE("high_load = 0;"),
	{"f:3: services[0].high_load: must be a number from 0.05 to 1, but is 0"}},
    {SERVICE("one_packet = true;"),
	{"f:3: services[0].one_packet: is for services of the protocol \"udp\" only"}},
    {SERVICE("protocol = \"udp\"; one_packet = true; persistence: { timeout = 5; };"),
	{"f:3: services[0].one_packet: allocates each datagram anew, and persistence.timeout "
	 "does not: a service can have one of them"}},
    {SERVICE("protocol = \"udp\"; one_packet = true; client_address = \"keep\";"),
	{"f:3: services[0].one_packet: gives each datagram a port of its own, but "
	 "client_address = \"keep\" shows servers the client's"}},
    {SERVICE("persistence: { timeout = -1; mask_v4 = 33; mask_v6 = 0; };"),
	{"f:3: services[0].persistence.timeout: must be an integer from 0 to 2678400, but is "
	 "-1",
	    "f:3: services[0].persistence.mask_v4: must be an integer from 1 to 32, but is 33",
	    "f:3: services[0].persistence.mask_v6: must be an integer from 1 to 128, but is "
	    "0"}},
    {SERVICE("client_limit: { burst = 3; };"),
	{"f:3: services[0].client_limit.burst: says nothing without a rate"}},
    {SERVICE("client_limit: { rate = 0.0001; };"),
	{"f:3: services[0].client_limit.rate: must be 0 (none) or at least 0.001"}},
    {SERVICE("check = \"tcp\";"), {"f:3: services[0].check: must be a group { }, but is \"tcp\""}},
    {SERVICE("check: { type = \"httpx\"; };"),
	{"f:3: services[0].check.type: must be \"tcp\", \"tls\", \"http\", \"https\", "
	 "\"icmp\", "
	 "\"udp\", \"dns\", \"script\" or \"none\", "
	 "but is \"httpx\""}},
    {SERVICE("check: { type = \"http\"; path = \"\"; };"),
	{"f:3: services[0].check.path: " URL_PATH "\"\""}},
    {SERVICE("check: { type = \"http\"; path = \"health\"; };"),
	{"f:3: services[0].check.path: " URL_PATH "\"health\""}},
    {SERVICE("check: { type = \"http\"; path = \"/a b\"; };"),
	{"f:3: services[0].check.path: " URL_PATH "\"/a b\""}},
    {SERVICE("check: { type = \"http\"; path = \"/a\\r\\nX: y\"; };"),
	{"f:3: services[0].check.path: " URL_PATH "\"/a..X: y\""}},
    {SERVICE("check: { type = \"http\"; path = \"/\xc3\xa4\"; };"),
	{"f:3: services[0].check.path: " URL_PATH "\"/\xc3\xa4\""}},
    {SERVICE("check: { type = \"http\"; host = \"a b\"; };"),
	{"f:3: services[0].check.host: " HOST "\"a b\""}},
    {SERVICE("check: { type = \"http\"; host = \"a/b\"; };"),
	{"f:3: services[0].check.host: " HOST "\"a/b\""}},
    {SERVICE("check: { type = \"http\"; host = 1; };"),
	{"f:3: services[0].check.host: " HOST "1"}},
    {SERVICE("check: { type = \"http\"; status = 200; };"),
	{"f:3: services[0].check.status: " STATUSES "200"}},
    {SERVICE("check: { type = \"http\"; status = \"200-\"; };"),
	{"f:3: services[0].check.status: " STATUSES "\"200-\""}},
    {SERVICE("check: { path = \"/a\"; status = \"200\"; host = \"h\"; };"),
	{"f:3: services[0].check.path: " HTTP_ONLY, "f:3: services[0].check.host: is for checks of the type \"tls\", \"http\" or \"https\" only",
	    "f:3: services[0].check.status: " HTTP_ONLY}},
    {SERVICE("check: { type = \"icmp\"; path = \"/\"; };"),
	{"f:3: services[0].check.path: " HTTP_ONLY}},
    {SERVICE("check: { type = \"htpp\"; path = \"/\"; };"),
	{"f:3: services[0].check.type: must be \"tcp\", \"tls\", \"http\", \"https\", "
	 "\"icmp\", "
	 "\"udp\", \"dns\", \"script\" or \"none\", "
	 "but is \"htpp\""}},
    {SERVICE("check: { ca = \"ca.pem\"; type = \"tls\"; };"),
	{"f:3: services[0].check.ca: " CHECK_FILE "\"ca.pem\""}},
    {SERVICE("check: { ca = \"/ca.pem\"; };"),
	{"f:3: services[0].check.ca: is for checks of the type \"tls\" or \"https\" only"}},
    {SERVICE("check: { type = \"icmp\"; port = 80; send = \"a\"; expect = \"b\"; };"),
	{"f:3: services[0].check.port: is for checks of the type \"tcp\", \"tls\", \"http\", "
	 "\"https\", \"udp\", \"dns\" or \"script\" only",
	    "f:3: services[0].check.send: is for checks of the type \"tcp\" or \"udp\" only",
	    "f:3: services[0].check.expect: is for checks of the type \"tcp\", \"http\", "
	    "\"https\" or \"udp\" only"}},
    {SERVICE("check: { port = 65536; };"),
	{"f:3: services[0].check.port: must be an integer from 0 to 65535, but is 65536"}},
    {SERVICE("check: { send = \"a\\\\q\"; };"),
	{"f:3: services[0].check.send: " OCTETS "\"a\\q\""}},
    {SERVICE("check: { expect = 7; };"), {"f:3: services[0].check.expect: " OCTETS "7"}},
    {SERVICE("check: { type = \"dns\"; query = \"a..b\"; };"),
	{"f:3: services[0].check.query: " DNS_QUESTION "\"a..b\""}},
    {SERVICE("check: { type = \"tcp\"; query = \"a.b\"; };"),
	{"f:3: services[0].check.query: is for checks of the type \"dns\" only"}},
    {SERVICE("check: { command = \"/bin/true\"; };"),
	{"f:3: services[0].check.command: is for checks of the type \"script\" only"}},
    {SERVICE("check: { type = \"script\"; };"),
	{"f:3: services[0].check.command: must be set for a check of the type \"script\""}},
    {SERVICE("check: { type = \"script\"; command = \"true\"; };"),
	{"f:3: services[0].check.command: " CHECK_FILE "\"true\""}},
    {SERVICE("check: { type = \"udp\"; expect = \"a\"; };"),
	{"f:3: services[0].check.send: must be set for a check of the type \"udp\""}},
    {SERVICE("check: { interval_down = 0.01; };"),
	{"f:3: services[0].check.interval_down: must be 0 or a number from 0.05 to 3600, "
	 "but is 0.01"}},
    {SERVICE("check: { interval_down = -1.0; };"),
	{"f:3: services[0].check.interval_down: must be a number from 0 to 3600, but is -1.0"}},
    {SERVICE("check: { interval = 3601; };"),
	{"f:3: services[0].check.interval: must be a number from 0.05 to 3600, but is 3601"}},
    {SERVICE("check: { timeout = 0.0; };"),
	{"f:3: services[0].check.timeout: must be a number from 0.05 to 3600, but is 0.0"}},
    {SERVICE("check: { rise = 0; };"),
	{"f:3: services[0].check.rise: must be an integer from 1 to 100, but is 0"}},
    {SERVICE("check: { fall = 3.0; };"),
	{"f:3: services[0].check.fall: must be an integer from 1 to 100, but is 3.0"}},
    {BARE("address = \"203.0.113.10\"; ports = 80;"), {"f:3: services[0].ports: " PORTS "80"}},
    {BARE("address = \"203.0.113.10\"; ports = [ ];"),
	{"f:3: services[0].ports: " PORTS "an array [ ]"}},
    {BARE("address = \"203.0.113.10\"; ports = [ 0, 65536 ];"),
	{"f:3: services[0].ports[0]: " PORT "0", "f:3: services[0].ports[1]: " PORT "65536"}},
    {BARE("address = \"203.0.113.10\"; ports = ( 1, 2.0, \"3\" );"),
	{"f:3: services[0].ports[1]: " PORT "2.0", "f:3: services[0].ports[2]: " PORT "\"3\""}},
    {BARE("address = \"203.0.113.10\"; ports = [ 81, 80, 81, 82, 81 ];"),
	{"f:3: services[0].ports: port 81 is given more than once"}},
};

static const struct broken addresses[] = {
    {BARE("address = \"203.0.113.256\"; ports = [ 80 ];"),
	{"f:3: services[0].address: " PAIR "\"203.0.113.256\""}},
    {BARE("address = 42; ports = [ 80 ];"), {"f:3: services[0].address: " PAIR "42"}},
    {BARE("address = [ ]; ports = [ 80 ];"),
	{"f:3: services[0].address: must hold at least one address"}},
    {BARE("address = [ \"203.0.113.10\",\n \"203.0.113.11\" ]; ports = [ 80 ];"),
	{"f:4: services[0].address[1]: is a second IPv4 address: there can be one of each "
	 "family"}},
    {BARE("address = [ \"203.0.113.10\", \"2001:db8::1\"\n,\n\"2001:db8::1\" ]; ports = [ 80 "
	  "];"),
	{"f:5: services[0].address[2]: is a second IPv6 address: there can be one of each "
	 "family"}},
    {BARE("address = \"::ffff:203.0.113.10\"; ports = [ 80 ];"),
	{"f:3: services[0].address: " PAIR "\"::ffff:203.0.113.10\""}},
    {BARE("address = \"::\"; ports = [ 80 ];"), {"f:3: services[0].address: " PAIR "\"::\""}},
    {BARE("address = \"127.0.0.1\"; ports = [ 80 ];"),
	{"f:3: services[0].address: 127.0.0.1 cannot be a service address: " MARTIAN}},
    {BARE("address = ( \"203.0.113.10\", \"ff02::1\" ); ports = [ 80 ];"),
	{"f:3: services[0].address[1]: ff02::1 cannot be a service address: " MARTIAN}},
    {BARE("address = \"0.0.0.0\"; ports = [ 80 ];"),
	{"f:3: services[0].address: 0.0.0.0 cannot be a service address: " MARTIAN}},
    {TOP("self_addresses = \"198.51.100.20\";"),
	{"f:3: self_addresses: must be a list of IPv4 and IPv6 addresses, but is "
	 "\"198.51.100.20\""}},
    {TOP("self_addresses = [ \"198.51.100.20\", \"x\" ];"),
	{"f:3: self_addresses[1]: must be an IPv4 or IPv6 address, but is \"x\""}},
    {TOP("self_addresses = ( \"198.51.100.20\", 5, \"198.51.100.20\" );"),
	{"f:3: self_addresses[1]: must be an IPv4 or IPv6 address, but is 5",
	    "f:3: self_addresses[2]: 198.51.100.20 is given twice, first at line 3"}},
    {TOP("self_addresses = [ \"240.0.0.1\" ];"),
	{"f:3: self_addresses[0]: 240.0.0.1 cannot be a self address: " MARTIAN}},
    {TOP("self_addresses = [ \"10.1.0.11\" ];"),
	{"f:2: services[0].servers[0].address: 10.1.0.11 is among self_addresses: a server "
	 "needs an address of its own"}},
    {TWO("name = \"web\"; address = \"203.0.113.11\"; ports = [ 80 ];"),
	{"f:3: services[1].name: \"web\" is the name of another service, at line 2"}},
    {TWO("name = \"b\"; address = [ \"2001:db8::1\", \"203.0.113.10\" ]; ports = [ 79, 81, 80 "
	 "];"),
	{"f:3: services[1].ports: tcp 203.0.113.10 port 80 belongs to another service "
	 "already, at line 2"}},
};

static const struct broken servers[] = {
    {SERVER("port = 1;"), {"f:2: services[0].servers[0].address: is missing"}},
    {SITE "services: ({ " WEB "servers: (\n{ address = \"10.1.0.11\" }); });",
	{"f:3: services[0].servers[0].name: is missing"}},
    {SITE "services: ({ " WEB "servers: ( \"10.1.0.11\" ); });",
	{"f:2: services[0].servers[0]: must be a group { }, but is \"10.1.0.11\""}},
    {SERVER("address = \"10.1.0\";"), {"f:3: services[0].servers[0].address: " PAIR "\"10.1.0\""}},
    {SERVER("address = \"127.0.0.1\";"),
	{"f:3: services[0].servers[0].address: 127.0.0.1 cannot be a server: " MARTIAN}},
    {SERVER("address = \"2001:db8::1\";"),
	{"f:3: services[0].servers[0].address: is an IPv6 address, but the service has only "
	 "an IPv4 address"}},
    {SERVER("address = \"203.0.113.10\";"),
	{"f:3: services[0].servers[0].address: 203.0.113.10 is the address of service "
	 "\"web\": a server needs one of its own"}},
    {SERVER("address = \"10.1.0.11\"; port = 0;"),
	{"f:3: services[0].servers[0].port: must be an integer from 1 to 65535, but is 0"}},
    {SERVER("address = \"10.1.0.11\"; port = true;"),
	{"f:3: services[0].servers[0].port: must be an integer from 1 to 65535, but is true"}},
    {SERVER("address = \"10.1.0.11\"; weight = 65536;"),
	{"f:3: services[0].servers[0].weight: must be an integer from 0 to 65535, but is "
	 "65536"}},
    {SERVER("address = \"10.1.0.11\"; max_connections = -1;"),
	{"f:3: services[0].servers[0].max_connections: must be an integer from 0 to "
	 "4294967295, but is -1"}},
    {SERVER("address = \"10.1.0.11\"; standby = true;"),
	{"f:3: services[0].servers[0].standby: unknown key 'standby'; see wlad.conf(5)"}},
    {SECOND("name = \"a\"; address = \"10.1.0.12\";"),
	{"f:3: services[0].servers[1].name: \"a\" is the name of another server of the "
	 "service, at line 2"}},
    {SECOND("name = \"b\"; address = \"10.1.0.11\"; port = 81;"),
	{"f:3: services[0].servers[1].address: 10.1.0.11 on the same port is another server "
	 "of the service, at line 2"}},
    {SITE "services: ({ " WEB SERVERS
	  "}, { name = \"b\"; address = \"203.0.113.11\"; ports = [ 81 ];\n"
	  "servers: ({ name = \"a\"; address = \"10.1.0.11\"; port = 81; },\n"
	  "{ name = \"b\"; address = [ \"10.1.0.11\", \"2001:db8::1\" ] }); });\n",
	{"f:4: services[1].servers[1].address[0]: 10.1.0.11 on the same port is another "
	 "server of the service, at line 3"}},
};

static const struct broken peers[] = {
    {TOP("peers: { };"), {"f:3: peers: " GROUPS "a group { }"}},
    {TOP("peers: ({ " OSAKA "});"),
	{"f:3: transfer.listen: must be set, as there are peers",
	    "f:3: load.certificate: must be set, as there are peers",
	    "f:3: load.key: must be set, as there are peers",
	    "f:3: load.ca: must be set, as there are peers",
	    "f:3: load.listen: must be set: \"osaka\" dials this site, as its name is the "
	    "smaller one"}},
    {PEER(""),
	{"f:2: peers[0].site: is missing", "f:2: peers[0].load: is missing",
	    "f:2: peers[0].transfer: is missing"}},
    {PEER("site = \"Tokyo\"; load = \"192.0.2.1:1\"; transfer = \"192.0.2.1:2\";"),
	{"f:3: peers[0].site: \"Tokyo\" is this site itself"}},
    {PEER("site = \"o\"; load = \"\"; transfer = \"192.0.2.1:2\";"),
	{"f:3: peers[0].load: " ADDR "\"\""}},
    {PEER("site = \"o\"; load = \"192.0.2.1:1\"; transfer = \"192.0.2.1\";"),
	{"f:3: peers[0].transfer: " ADDR "\"192.0.2.1\""}},
    {PEER("site = \"o\"; load = \"192.0.2.1:1\"; transfer = \"192.0.2.1:65536\";"),
	{"f:3: peers[0].transfer: " ADDR "\"192.0.2.1:65536\""}},
    {PEER("site = \"o\"; load = \"192.0.2.1:1\"; transfer = \"[2001:db8::1]:2\";"),
	{"f:3: peers[0].transfer: is an IPv6 address, but transfer.listen is an IPv4 address"}},
    {PEER("site = \"o\"; load = \"192.0.2.1:1\"; transfer = \"198.51.100.1:7210\";"),
	{"f:3: peers[0].transfer: 198.51.100.1:7210 is transfer.listen of this site"}},
    {PEER("site = \"o\"; load = \"198.51.100.1:7210\"; transfer = \"192.0.2.1:2\";"),
	{"f:3: peers[0].load: 198.51.100.1:7210 is load.listen of this site"}},
    {PEER("site = \"o\"; load = \"224.0.0.1:1\"; transfer = \"0.0.0.0:2\";"),
	{"f:3: peers[0].load: 224.0.0.1 is no address of a single host",
	    "f:3: peers[0].transfer: 0.0.0.0 is no address of a single host"}},
    {PEER("site = \"o\"; load = \"203.0.113.10:1\"; transfer = \"192.0.2.1:2\";"),
	{"f:3: peers[0].load: 203.0.113.10 " INWARD}},
    {PEER(OSAKA "fingerprint = \"" DIGITS "\";"),
	{"f:3: peers[0].fingerprint: " PRINT "\"" DIGITS "\""}},
    {PEER(OSAKA "fingerprint = \"" DIGITS DIGITS "0\";"),
	{"f:3: peers[0].fingerprint: " PRINT "\"" DIGITS DIGITS "...\""}},
    {PEER(OSAKA "fingerprint = \"" DIGITS DIGITS ":\";"),
	{"f:3: peers[0].fingerprint: " PRINT "\"" DIGITS DIGITS "...\""}},
    {PEER(OSAKA "fingerprint = \"0:0\";"), {"f:3: peers[0].fingerprint: " PRINT "\"0:0\""}},
    {PEER(OSAKA "fingerprint = \"00::11\";"), {"f:3: peers[0].fingerprint: " PRINT "\"00::11\""}},
    {PEER(OSAKA "fingerprint = \"gg\";"), {"f:3: peers[0].fingerprint: " PRINT "\"gg\""}},
    {PEER(OSAKA "reply = \"both\";"),
	{"f:3: peers[0].reply: must be \"auto\", \"direct\" or \"transferor\", but is "
	 "\"both\""}},
    {SITE SERVICES
	"transfer: { listen = \"198.51.100.1:7210\"; }; load: { certificate = \"/c\"; "
	"key = \"/k\"; ca = \"/a\"; coordinators: (\n{ site = \"kyoto\"; load = "
	"\"192.0.2.7:1\"; },\n"
	"{ site = \"tokyo\"; load = \"192.0.2.8:1\"; },\n"
	"{ site = \"Kyoto\"; load = \"224.0.0.9:1\"; }); };\n",
	{"f:4: load.coordinators[1].site: \"tokyo\" is this site itself",
	    "f:5: load.coordinators[2].load: 224.0.0.9 is no address of a single host",
	    "f:5: load.coordinators[2].site: \"Kyoto\" is another coordinator, at line 3"}},
    {PEERS("site = \"osaka\"; load = \"192.0.2.2:1\"; transfer = \"192.0.2.2:2\";"),
	{"f:3: peers[1].site: \"osaka\" is another peer, at line 2"}},
    {PEERS("site = \"kobe\"; load = \"192.0.2.1:1\";\ntransfer = \"192.0.2.1:2\";"),
	{"f:3: peers[1].load: 192.0.2.1:1 is that of another peer, at line 2",
	    "f:4: peers[1].transfer: 192.0.2.1:2 is that of another peer, at line 2"}},
    {TOP("transfer: { listen = \"0.0.0.0:7210\"; };"),
	{"f:3: transfer.listen: 0.0.0.0 is no address of a single host"}},
    {TOP("transfer: { listen = \"203.0.113.10:7210\"; };"),
	{"f:3: transfer.listen: 203.0.113.10 " INWARD}},
    {TOP("transfer: { listen = 7210; };"), {"f:3: transfer.listen: " ADDR "7210"}},
    {TOP("load: { listen = \"2001:db8::1:7210\"; };"),
	{"f:3: load.listen: " ADDR "\"2001:db8::1:7210\""}},
    {TOP("load: { listen = \"[ff02::1]:7210\"; };"),
	{"f:3: load.listen: ff02::1 is no address of a single host"}},
    {TOP("self_addresses = [ \"198.51.100.20\" ]; load: { listen = \"198.51.100.20:7210\"; };"),
	{"f:3: load.listen: 198.51.100.20 " INWARD}},
};

/* Faults of all kinds in one file come in the order of the file. */
static const struct broken several[] = {
    {"siet = \"x\";\n"
     "log: { level = \"loud\"; };\n"
     "services: (\n"
     " { name = \"a b\"; address = \"203.0.113.10\"; ports = [ 80 ];\n"
     "   servers: ({ name = \"a\"; address = \"203.0.113.10\"; }); }\n"
     ");\n",
	{"f: site: is missing", "f:1: siet: unknown key 'siet'; did you mean 'site'?",
	    "f:2: log.level: must be \"error\", \"warn\", \"info\" or \"debug\", but is "
	    "\"loud\"",
	    "f:4: services[0].name: " NAME "\"a b\"",
	    "f:5: services[0].servers[0].address: 203.0.113.10 is the address of service "
	    "\"\": a server needs one of its own"}},
};

static bool
check_broken(const struct broken *broken)
{
	struct config_faults faults;
	struct config *config = config_parse(broken->text, "f", &faults);
	size_t expected = 0, limit = sizeof(broken->faults) / sizeof(broken->faults[0]);
	bool same = true;

	while (expected < limit && broken->faults[expected] != NULL)
		expected++;
	for (size_t i = 0; i < expected && i < faults.count; i++)
		same = same && strcmp(faults.text[i], broken->faults[i]) == 0;
	same = same && faults.count == expected && config == NULL;
	if (!same) {
		print_error("%s\n", broken->text);
		for (size_t i = 0; i < expected; i++)
			print_error("expected %s\n", broken->faults[i]);
		for (size_t i = 0; i < faults.count; i++)
			print_error("got      %s\n", faults.text[i]);
	}
	config_faults_free(&faults);
	config_free(config);
	return same;
}

#define TABLE_TEST(name) \
	static void test_##name(void **state) \
	{ \
		bool same = true; \
		(void)state; \
		for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) \
			same = check_broken(&name[i]) && same; \
		assert_true(same); \
	}

TABLE_TEST(syntax)
TABLE_TEST(top)
TABLE_TEST(numbers)
TABLE_TEST(services)
TABLE_TEST(addresses)
TABLE_TEST(servers)
TABLE_TEST(peers)
TABLE_TEST(several)

/* Deep nesting and many faults end in a message, not in a crash. */
static void
test_extremes(void **state)
{
	struct config_faults faults;
	size_t size = 300000;
	char *text = malloc(size + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '(', size);
	text[size] = '\0';
	memcpy(text, "a = ", 4);
	assert_null(config_parse(text, "f", &faults));
	assert_int_equal(faults.count, 1);
	assert_memory_equal(faults.text[0], "f:1: memory exhausted at or just before", 39);
	config_faults_free(&faults);

	memset(text, '\n', size);
	for (size_t i = 0; i < 2000; i++)
		text[i * 8 + (size_t)sprintf(text + i * 8, "a%zu=1", i)] = '\n';
	assert_null(config_parse(text, "f", &faults));
	assert_int_equal(faults.count, 2002);
	assert_string_equal(
	    faults.text[2001], "f:3110: a1999: unknown key 'a1999'; see wlad.conf(5)");
	config_faults_free(&faults);
	free(text);
}

/* What can be counted is limited: one more is a fault. */
static void
test_counts(void **state)
{
	struct config_faults faults;
	char *text = malloc(64 * 1024);
	struct config *config;
	size_t n;

	(void)state;
	assert_non_null(text);
	for (int count = 1024; count <= 1025; count++) {
		n = (size_t)sprintf(text, "%s",
		    SITE "services: ({ name = \"web\"; "
			 "address = \"203.0.113.10\"; " SERVERS "ports = [ 1");
		for (int i = 2; i <= count; i++)
			n += (size_t)sprintf(text + n, ", %d", i);
		sprintf(text + n, " ]; });\n");
		config = config_parse(text, "f", &faults);
		assert_int_equal(faults.count, count - 1024);
		if (count > 1024)
			assert_string_equal(faults.text[0],
			    "f:2: services[0].ports: can hold at most 1024 ports");
		else
			assert_int_equal(config->services[0].ports_count, 1024);
		config_faults_free(&faults);
		config_free(config);
	}
	for (int count = 256; count <= 257; count++) {
		n = (size_t)sprintf(text, "%s", SITE SERVICES LINKS "\npeers: (");
		for (int i = 1; i <= count; i++)
			n += (size_t)sprintf(text + n,
			    "%s{ site = \"s%d\"; load = \"192.0.2.1:%d\"; "
			    "transfer = \"192.0.2.1:%d\"; }",
			    i > 1 ? ",\n" : "", i, i, i);
		sprintf(text + n, ");\n");
		config = config_parse(text, "f", &faults);
		assert_int_equal(faults.count, count - 256);
		if (count > 256)
			assert_string_equal(
			    faults.text[0], "f:3: peers: can hold at most 256 peers");
		else
			assert_int_equal(config->peers_count, 256);
		config_faults_free(&faults);
		config_free(config);
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_syntax),
	    cmocka_unit_test(test_top),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_servers),
	    cmocka_unit_test(test_peers),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests_name("config_faults", tests, NULL, NULL);
}
