/*
 * Settings of the kernel that drop our packets.  Linux decides by the interface that a packet
 * comes in by whether it is forwarded (IPv4), or for all interfaces together (IPv6).
 */
#include "platform/routes.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define IPV4_CONF "/proc/sys/net/ipv4/conf"

/* A number under /proc/sys, or fallback if the kernel has no such setting. */
static int
read_setting(const char *path, const char *device, int fallback)
{
	char name[384];
	int value = fallback;
	FILE *file;

	snprintf(name, sizeof(name), path, device);
	file = fopen(name, "re");
	if (file == NULL)
		return fallback;
	if (fscanf(file, "%d", &value) != 1)
		value = fallback;
	fclose(file);
	return value;
}

/* True for what stands beside the interfaces, and the interfaces that do not count. */
static bool
is_other(const char *name, const char *device)
{
	return name[0] == '.' || strcmp(name, "all") == 0 || strcmp(name, "default") == 0 ||
	    strcmp(name, "lo") == 0 || strcmp(name, device) == 0;
}

/* True if some interface forwards what comes in by it, into the device for example. */
static bool
forwards_v4(const char *device)
{
	const struct dirent *entry;
	bool found = false;
	DIR *interfaces;

	if (read_setting("/proc/sys/net/ipv4/ip_forward%.0s", device, 1) != 0)
		return true;
	interfaces = opendir(IPV4_CONF);
	if (interfaces == NULL)
		return false;
	while (!found && (entry = readdir(interfaces)) != NULL)
		found = !is_other(entry->d_name, device) &&
		    read_setting(IPV4_CONF "/%s/forwarding", entry->d_name, 0) != 0;
	closedir(interfaces);
	return found;
}

/* What the kernel does with IPv4 packets that come out of the device. */
static void
warn_device_v4(const char *device, bool forwards)
{
	int all, own;

	if (forwards && read_setting(IPV4_CONF "/%s/forwarding", device, 1) == 0)
		log_warnx("IPv4 packets from the device are not forwarded "
			  "remedy=\"sysctl -w net.ipv4.conf.%s.forwarding=1\"",
		    device);
	/* The larger of the two counts; 1 is strict, 2 is loose. */
	all = read_setting(IPV4_CONF "/all/rp_filter%.0s", device, 0);
	own = read_setting(IPV4_CONF "/%s/rp_filter", device, 0);
	if ((all > own ? all : own) == 1)
		log_warnx("strict reverse path filter drops packets of the device "
			  "remedy=\"sysctl -w net.ipv4.conf.%s.rp_filter=2\"",
		    device);
}

static void
warn_v6(const char *device)
{
	if (read_setting("/proc/sys/net/ipv6/conf/%s/disable_ipv6", device, 0) != 0)
		log_warnx("IPv6 is disabled on the device "
			  "remedy=\"sysctl -w net.ipv6.conf.%s.disable_ipv6=0\"",
		    device);
	if (read_setting("/proc/sys/net/ipv6/conf/all/forwarding%.0s", device, 1) == 0)
		log_warnx("IPv6 packets are not forwarded "
			  "remedy=\"sysctl -w net.ipv6.conf.all.forwarding=1\"");
}

/*
 * Of a transferred connection one direction passes here and the other one there, and
 * connection tracking calls most of both "invalid".  Whether a rule drops that cannot be
 * known from here, only whether connections are tracked at all.
 */
static void
warn_tracking(const char *device)
{
	if (read_setting("/proc/sys/net/netfilter/nf_conntrack_count%.0s", device, 0) == 0)
		return;
	log_info("connections are tracked, a rule that drops invalid packets drops transferred "
		 "connections remedy=\"nft 'table inet wlad { "
		 "chain in { type filter hook prerouting priority raw; "
		 "iifname %s notrack; fib daddr oifname %s notrack; }; "
		 "chain out { type filter hook output priority raw; "
		 "fib saddr type != local notrack; }; }'\"",
	    device, device);
}

void
routes_warn(const char *device, const struct routes_use *use)
{
	bool forwards = !use->v4 || forwards_v4(device);

	if (!forwards)
		log_warnx("IPv4 packets are not forwarded "
			  "remedy=\"sysctl -w net.ipv4.ip_forward=1\"");
	if (use->v4 && !use->raw)
		warn_device_v4(device, forwards);
	if (use->v6)
		warn_v6(device);
	if (use->transfers)
		warn_tracking(device);
}
