/*
 * grammar_table: the commands themselves, and how usage shows them.
 */
#include <stdio.h>
#include <string.h>

#include "control/grammar.h"

static const struct grammar_command commands[GRAMMAR_COUNT] = {
    [GRAMMAR_SHOW_SUMMARY] = {"show summary", {{0}}, GRAMMAR_LOOK,
	"the site at a glance: rates, services and sites in a line each"},
    [GRAMMAR_SHOW_SERVICES] = {"show services", {{0}}, GRAMMAR_LOOK,
	"services with their load and connections"},
    [GRAMMAR_SHOW_SERVERS] = {"show servers", {{GRAMMAR_OPTIONAL, NULL, "SERVICE", NULL}},
	GRAMMAR_LOOK, "own servers with state, load and traffic"},
    [GRAMMAR_SHOW_SITES] = {"show sites", {{0}}, GRAMMAR_LOOK,
	"other sites: session, load reports, transferred connections"},
    [GRAMMAR_SHOW_CONNECTIONS] = {"show connections",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL},
	    {GRAMMAR_OPTION, "kind", "KIND", "local|transferred|received|passed"},
	    {GRAMMAR_OPTION, "state", "STATE", "opening|established|closing|time_wait"},
	    {GRAMMAR_OPTION, "limit", "N", NULL}},
	GRAMMAR_LOOK, "connections, those that fit all filters"},
    [GRAMMAR_SHOW_PERSISTENCE] = {"show persistence",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL},
	    {GRAMMAR_OPTION, "limit", "N", NULL}},
	GRAMMAR_LOOK, "clients that come to the same server again, and where that is"},
    [GRAMMAR_SHOW_LIMITS] = {"show limits",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL},
	    {GRAMMAR_OPTION, "limit", "N", NULL}},
	GRAMMAR_LOOK, "limits of clients, and those that have the most"},
    [GRAMMAR_SHOW_COUNTERS] = {"show counters", {{0}}, GRAMMAR_LOOK,
	"what happened, and why packets were dropped"},
    [GRAMMAR_SHOW_KEYS] = {"show keys", {{0}}, GRAMMAR_LOOK,
	"keys of transfer packets: epochs and packets, nothing secret"},
    [GRAMMAR_SHOW_CONFIG] = {"show config",
	{{GRAMMAR_OPTIONAL, NULL, "file|running", "file|running"}}, GRAMMAR_LOOK,
	"the file with all defaults, or what an administrator has made of it"},
    [GRAMMAR_SHOW_ERRORS] = {"show errors", {{0}}, GRAMMAR_LOOK,
	"what is wrong: sites, servers, the last reload, drops, certificate"},
    [GRAMMAR_EXPLAIN] = {"explain",
	{{GRAMMAR_VALUE, NULL, "CLIENT[:PORT]", NULL}, {GRAMMAR_VALUE, NULL, "SERVICE", NULL}},
	GRAMMAR_LOOK, "where a connection would go, and why"},
    [GRAMMAR_SERVER] = {"server",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL},
	    {GRAMMAR_VALUE, NULL, "enable|disable|drain|weight", "enable|disable|drain|weight"},
	    {GRAMMAR_OPTIONAL, NULL, "N|reset", NULL}},
	GRAMMAR_CHANGE, "whether a server gets new connections, or how many"},
    [GRAMMAR_SERVER_ADD] = {"server add",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL},
	    {GRAMMAR_NEEDED, "address", "ADDRESS[,ADDRESS]", NULL},
	    {GRAMMAR_OPTION, "port", "N", NULL}, {GRAMMAR_OPTION, "weight", "N", NULL},
	    {GRAMMAR_OPTION, "max-connections", "N", NULL},
	    {GRAMMAR_OPTION, "agent-port", "N", NULL},
	    {GRAMMAR_OPTION, "agent-address", "ADDRESS", NULL},
	    {GRAMMAR_FLAG, "backup", NULL, NULL}},
	GRAMMAR_CHANGE,
	"a server that the file does not have, until the next start or config save"},
    [GRAMMAR_SERVER_REMOVE] = {"server remove",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL}, {GRAMMAR_FLAG, "force", NULL, NULL}},
	GRAMMAR_CHANGE, "take a server out; one with connections only by force"},
    [GRAMMAR_SERVER_SET] = {"server set",
	{{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL},
	    {GRAMMAR_OPTION, "address", "ADDRESS[,ADDRESS]", NULL},
	    {GRAMMAR_OPTION, "port", "N", NULL}, {GRAMMAR_OPTION, "weight", "N", NULL},
	    {GRAMMAR_OPTION, "max-connections", "N", NULL},
	    {GRAMMAR_OPTION, "agent-port", "N", NULL},
	    {GRAMMAR_OPTION, "agent-address", "ADDRESS", NULL},
	    {GRAMMAR_OPTION, "backup", "yes|no|reset", "yes|no|reset"}},
	GRAMMAR_CHANGE, "other settings of a server; reset: those of the file"},
    [GRAMMAR_SERVER_RESET] = {"server reset", {{GRAMMAR_VALUE, NULL, "SERVICE/NAME", NULL}},
	GRAMMAR_CHANGE, "a server as the file has it, removed or changed as it may be"},
    [GRAMMAR_SITE] = {"site",
	{{GRAMMAR_VALUE, NULL, "NAME", NULL},
	    {GRAMMAR_VALUE, NULL, "enable|disable", "enable|disable"}},
	GRAMMAR_CHANGE, "whether new connections are transferred to another site"},
    [GRAMMAR_TRANSFER] = {"transfer",
	{{GRAMMAR_VALUE, NULL, "permit|prohibit|reset", "permit|prohibit|reset"},
	    {GRAMMAR_OPTIONAL, NULL, "SERVICE", NULL}},
	GRAMMAR_CHANGE, "whether other sites may send connections, to a service or to all"},
    [GRAMMAR_FLUSH_PERSISTENCE] = {"flush persistence",
	{{GRAMMAR_OPTION, "service", "NAME", NULL}, {GRAMMAR_OPTION, "client", "ADDR", NULL}},
	GRAMMAR_CHANGE,
	"forget where clients came before: their next connection is allocated anew"},
    [GRAMMAR_PROBE] = {"probe", {{GRAMMAR_VALUE, NULL, "SITE", NULL}}, GRAMMAR_CHANGE,
	"measure the path to a site now: liveness, MTU, direct replies"},
    [GRAMMAR_RELOAD] = {"reload", {{0}}, GRAMMAR_CHANGE,
	"read the configuration again; if it is bad, say why and keep the old one"},
    [GRAMMAR_LOG] = {"log", {{GRAMMAR_VALUE, NULL, "LEVEL", "error|warn|info|debug"}},
	GRAMMAR_CHANGE, "log from this level on: error, warn, info or debug"},
    [GRAMMAR_MONITOR] = {"monitor", {{GRAMMAR_OPTIONAL, NULL, "LEVEL", "error|warn|info|debug"}},
	GRAMMAR_LOOK, "events as they happen, a line each, until interrupted"},
    [GRAMMAR_VERSION] = {"version", {{0}}, GRAMMAR_LOOK, "versions of tool and daemon"},
    [GRAMMAR_HELP] = {"help", {{0}}, GRAMMAR_LOOK, "the commands that the daemon knows"},
    [GRAMMAR_TOP] = {"top", {{GRAMMAR_FLAG, "--batch", NULL, NULL}}, GRAMMAR_TOOL,
	"services, servers and sites with their rates, again and again"},
    [GRAMMAR_TOPOLOGY] = {"topology", {{GRAMMAR_FLAG, "--dot", NULL, NULL}}, GRAMMAR_TOOL,
	"sites and the links between them, as text or for graphviz"},
    [GRAMMAR_CONFIG_SAVE] = {"config save",
	{{GRAMMAR_OPTIONAL, NULL, "FILE", NULL}, {GRAMMAR_FLAG, "force", NULL, NULL}},
	GRAMMAR_TOOL, "write what is in force to the daemon's file, or to another"},
    [GRAMMAR_CERT_CA] = {"cert ca",
	{{GRAMMAR_OPTION, "-d", "DIR", NULL}, {GRAMMAR_OPTION, "-D", "DAYS", NULL},
	    {GRAMMAR_OPTIONAL, NULL, "NAME", NULL}},
	GRAMMAR_TOOL, "make a certificate authority for the sites"},
    [GRAMMAR_CERT_SITE] = {"cert site",
	{{GRAMMAR_OPTION, "-d", "DIR", NULL}, {GRAMMAR_OPTION, "-D", "DAYS", NULL},
	    {GRAMMAR_VALUE, NULL, "NAME", NULL}},
	GRAMMAR_TOOL, "make the key and certificate of a site"},
};

const struct grammar_command *
grammar_command(enum grammar_id id)
{
	return &commands[id];
}

static void
syntax_argument(const struct grammar_argument *argument, char *buf, size_t size)
{
	switch (argument->kind) {
	case GRAMMAR_VALUE:
		snprintf(buf, size, " %s", argument->name);
		break;
	case GRAMMAR_OPTIONAL:
		snprintf(buf, size, " [%s]", argument->name);
		break;
	case GRAMMAR_NEEDED:
		snprintf(buf, size, " %s %s", argument->keyword, argument->name);
		break;
	case GRAMMAR_OPTION:
		snprintf(buf, size, " [%s %s]", argument->keyword, argument->name);
		break;
	case GRAMMAR_FLAG:
		snprintf(buf, size, " [%s]", argument->keyword);
		break;
	case GRAMMAR_END:
		break;
	}
}

const char *
grammar_syntax(enum grammar_id id, char buf[GRAMMAR_SYNTAX])
{
	const struct grammar_command *command = &commands[id];
	size_t len;

	snprintf(buf, GRAMMAR_SYNTAX, "%s", command->words);
	for (size_t i = 0; i < GRAMMAR_ARGUMENTS_MAX; i++) {
		len = strlen(buf);
		syntax_argument(&command->arguments[i], buf + len, GRAMMAR_SYNTAX - len);
	}
	return buf;
}
