#!/bin/bash
# Inside the virtual machine: wlad installed, started, reloaded, hung and stopped by systemd.
#   test_systemd.sh STAGE UNITS    what `make install DESTDIR=STAGE` made, contrib/systemd
stage=$1
units=$2
passed=0
failed=0

# check WHAT COMMAND...: counts, and shows the output of what has failed
check() {
	local what=$1 output
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok      $(cut -d. -f1 /proc/uptime) $what"
	else
		failed=$((failed + 1))
		echo "FAILED  $(cut -d. -f1 /proc/uptime) $what"
		printf '%s\n' "$output" | sed 's/^/        /'
	fi
}

report() {
	echo "$passed passed, $failed failed in $SECONDS s"
	[ $failed = 0 ] || journalctl --no-pager -o short-monotonic -u wlad | tail -n 60
	[ $failed = 0 ]
}

# must WHAT COMMAND...: a check without which the others make no sense
must() {
	check "$@"
	[ $failed = 0 ] || { report; exit 1; }
}

# within SECONDS COMMAND...
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" > /dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not in time: $*"; "$@"; return 1; }
		sleep 0.3
	done
}

fails() {
	! "$@"
}

property() {
	systemctl show -P "$1" wlad
}

# property_is NAME VALUE
property_is() {
	local value
	value=$(property "$1")
	[ "$value" = "$2" ] || { echo "$1 is \"$value\", not \"$2\""; return 1; }
}

# status_is NAME VALUE: a line of /proc/PID/status
status_is() {
	local value
	value=$(sed -n "s/^$1:[[:space:]]*//p" "/proc/$(property MainPID)/status" | tr '\t' ' ')
	[ "$value" = "$2" ] || { echo "$1 is \"$value\", not \"$2\""; return 1; }
}

# every_thread_is NAME VALUE: likewise, of each of two
every_thread_is() {
	local value
	value=$(sed -n "s/^$1:[[:space:]]*//p" "/proc/$(property MainPID)"/task/*/status | tr '\n' ' ')
	[ "$value" = "$2 $2 " ] || { echo "$1 are \"$value\""; return 1; }
}

logged() {
	journalctl --no-pager -o cat -u wlad | grep -F -e "$1"
}

# ---- the machine: a client, this gateway, a server ----

network() {
	modprobe tun && modprobe veth || return 1
	# as udev does; see 50-udev-default.rules
	chmod 666 /dev/net/tun
	echo 1 > /proc/sys/net/ipv4/ip_forward
	ip link set lo up
	host client 192.0.2 2
	host server 10.1.0 11
	ip netns exec server busybox httpd -p 80 -h /srv/www
}

# host NAME NET NUMBER: a namespace behind a link of that name, we are its router
host() {
	ip netns add "$1"
	ip link add "$1" type veth peer name eth0 netns "$1"
	ip addr add "$2.1/24" dev "$1"
	ip link set "$1" up
	ip -n "$1" addr add "$2.$3/24" dev eth0
	ip -n "$1" link set lo up
	ip -n "$1" link set eth0 up
	ip -n "$1" route add default via "$2.1"
}

# configure TYPE [KEYS]: of the check
configure() {
	cat > "$configuration" <<-CONF
	site = "tokyo";
	device: { queues = 2; threaded = true; };
	services: ( { name = "web"; address = "203.0.113.10"; ports = [ 80 ];
	    check: { type = "$1"; interval = 0.5; timeout = 3.0; ${2-} };
	    servers: ( { name = "a"; address = "10.1.0.11"; } ); } );
	CONF
}

install_it() {
	cp -a "$stage"/* / && cp "$units/wlad.service" /run/systemd/system/ || return 1
	sed -i "s,/usr/sbin/,$(dirname "$wlad")/," /run/systemd/system/wlad.service
	systemd-sysusers "$units/sysusers.d/wlad.conf"
}

served() {
	ip netns exec client timeout 5 bash -c '
		exec 3<> /dev/tcp/203.0.113.10/80 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && cat <&3' |
		grep "it works"
}

mkdir -p /srv/www
echo "it works" > /srv/www/index.html
wlad=$(cd "$stage" && find . -type f -path '*sbin/wlad' | sed 's,^\.,,')
must "the network is set up" network
must "the files are installed, the user is made" install_it
configuration=$("$wlad" -h 2>&1 | sed -n 's/.*(default \(.*\)).*/\1/p')
must "there is a default configuration" test -n "$configuration"

# ---- start ----

configure http
# the thread that only root can ask for, as wlad(8) says
mkdir -p /run/systemd/system/wlad.service.d
cat > /run/systemd/system/wlad.service.d/threaded.conf <<'CONF'
[Service]
ExecStartPost=+/bin/sh -c 'echo 1 > /sys/class/net/wlad0/threaded'
CONF
must "systemctl start" systemctl start wlad
check "a thread of the kernel is there" grep -x 1 /sys/class/net/wlad0/threaded
check "it was not wlad's to ask for" logged "device has no thread"
check "it is active" systemctl is-active wlad
check "it was ready when that returned" test -S /run/wlad/wlad.sock
check "the status follows the servers" within 10 property_is StatusText "1 of 1 servers up"
check "a client is served" within 10 served

# ---- rights ----

uid=$(id -u wlad)
gid=$(id -g wlad)
check "it runs as wlad" status_is Uid "$uid $uid $uid $uid"
check "with its group" status_is Gid "$gid $gid $gid $gid"
for set in CapInh CapPrm CapEff CapAmb; do
	check "no capability in $set" status_is $set 0000000000000000
done
check "no way to others than it was started with" status_is CapBnd 0000000000003000
check "no new privileges" status_is NoNewPrivs 1
check "system calls are filtered" status_is Seccomp 2
check "the second queue has a thread" grep -hx wlad/1 "/proc/$(property MainPID)"/task/*/comm
check "no thread has a capability" every_thread_is CapEff 0000000000000000
check "nor can get one" every_thread_is NoNewPrivs 1
check "the socket is for its group" test "$(stat -c '%a %U %G' /run/wlad/wlad.sock)" = "660 wlad wlad"

# ---- reload ----

pid=$(property MainPID)
configure icmp
check "systemctl reload" systemctl reload wlad
check "by ping it is up as well" within 10 property_is StatusText "1 of 1 servers up"
check "the process is the same" property_is MainPID "$pid"
echo "nonsense" >> "$configuration"
check "systemctl reload fails with a faulty file" fails systemctl reload wlad
check "it is still active" systemctl is-active wlad
check "the log says why" logged "reload refused: "
configure http
count=$(logged "reloaded services=1" | wc -l)
check "SIGHUP" systemctl kill -s HUP wlad
reloaded_again() {
	[ "$(logged "reloaded services=1" | wc -l)" = $((count + 1)) ]
}
check "is a reload too" within 10 reloaded_again
check "a client is still served" served

# ---- a script, in the same sandbox ----

# asks the server as a script would: with children, pipes, a file of its own
write_script() {
	mkdir -p /etc/wlad && cat > /etc/wlad/check <<-'SCRIPT'
	#!/bin/bash
	exec 3<> "/dev/tcp/$3/$4" && printf 'GET / HTTP/1.0\r\n\r\n' >&3
	timeout 2 cat <&3 | tee /tmp/answer | grep -q "it works" || exit 1
	touch /etc/wlad/written 2> /dev/null && exit 2
	[ "$(id -un)" = wlad ] && grep -q '^CapEff:.*0000000000000000$' /proc/self/status || exit 3
	echo load 25%
	SCRIPT
	chmod 755 /etc/wlad/check
}
loaded() {
	"$(dirname "$wlad")/wladmctl" -j show servers | tr -d ' \n' | grep -F '"load":0.25'
}

check "a script is written" write_script
configure script 'command = "/etc/wlad/check";'
check "reload to a check by script" systemctl reload wlad
check "it runs, asks and tells the load" within 20 loaded
check "by it the server is up" property_is StatusText "1 of 1 servers up"
check "it wrote nothing where it may not" fails test -e /etc/wlad/written
check "nor where others see it" fails test -e /tmp/answer
configure http
check "reload to a check by http" systemctl reload wlad

# ---- a loop that hangs ----

fed=$(property WatchdogTimestampMonotonic)
watchdog_moves() {
	[ "$(property WatchdogTimestampMonotonic)" -gt "$fed" ]
}
check "the watchdog is fed" within 8 watchdog_moves
check "it has not been restarted" property_is NRestarts 0
kill -STOP "$pid"
check "hung, it is restarted" within 40 property_is NRestarts 1
check "it is active again" within 20 systemctl is-active wlad
check "as another process" fails property_is MainPID "$pid"
check "a client is served again" within 10 served

# ---- stop ----

check "systemctl stop" systemctl stop wlad
check "it is inactive" property_is ActiveState inactive
check "and content" property_is Result success
check "the device is gone" fails ip link show wlad0
check "the socket is gone" fails test -e /run/wlad/wlad.sock

# ---- what cannot start ----

# an address of this machine is no service address: found late in the start
ip addr add 203.0.113.10/32 dev client
check "systemctl start fails" fails systemctl start wlad
check "systemctl status would say why" logged "cannot start: 203.0.113.10"
systemctl stop wlad
ip addr del 203.0.113.10/32 dev client

report
