#!/bin/bash
# The layers: a file includes headers of its own folder and of folders to its left, never to
# its right; and libraries, libevent and OS #ifdefs stay in the files named for them.
cd "${srcdir:-.}" || exit 1
status=0

fault() {
	echo "$*"
	status=1
}

# the rank of a header or source below src/
rank() {
	case $1 in
	base/* | version.*) echo 0 ;;
	packet/*) echo 1 ;;
	connection/* | config/*) echo 2 ;;
	load/table* | load/entries* | load/names* | load/endpoints* | load/quota* | load/signals*) echo 3 ;;
	allocation/*) echo 4 ;;
	relay/* | transfer/*) echo 5 ;;
	io/*) echo 6 ;;
	datapath*) echo 7 ;;
	loop* | queues.* | health/* | agent/* | load/* | control/* | platform/*) echo 8 ;;
	wlad.* | wlad_*.[ch] | reload.c | main.c | options.* | wladmctl/*) echo 9 ;;
	*) echo unknown ;;
	esac
}

for file in $(cd src && find . -name '*.[ch]' | sed 's,^\./,,' | sort); do
	own=$(rank "$file")
	[ "$own" != unknown ] || fault "src/$file: no room of the house has this name"
	for header in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "src/$file"); do
		case $file:$header in version.c:config.h) continue ;; esac
		[ -f "src/$header" ] || { fault "src/$file includes $header: not below src/"; continue; }
		[ "$(rank "$header")" -le "$own" ] || fault "src/$file includes $header: that is to its right"
	done
done

# only FILE-PATTERN INCLUDE-PATTERN WHAT
only() {
	grep -lE "^#include <($2)" -r src --include='*.[ch]' | while read -r f; do
		echo "$f" | grep -qE "^src/($1)\$" || echo "$f includes $3"
	done
}
strays=$(
	only 'config/(config|read|read_internal|read_value|source|value)\.[ch]' 'libconfig' libconfig
	only 'transfer/(cipher|keys|seal)\.[ch]|load/(tls|exchange|session)[a-z_]*\.[ch]|health/tls_client\.[ch]|wladmctl/cert[a-z_]*\.[ch]' 'openssl/' OpenSSL
	only 'loop\.c|load/(tls|exchange|session)[a-z_]*\.[ch]|control/(server|listener)[a-z_]*\.[ch]' 'event2?[./]' libevent
	only 'wladmctl/.*' 'jansson' jansson
	only '(base/(guard|log)|loop_(internal|shared)|queues|control/server_monitor|platform/thread_[a-z]*)\.[ch]' 'pthread' threads
	only '.*_linux\.[ch]' 'linux/|libmnl/' 'Linux headers'
	grep -nE '^# *(if|ifdef|elif).*(__linux__|__FreeBSD__|__OpenBSD__|__NetBSD__|_WIN32|__APPLE__)' -r src \
	    --include='*.[ch]'
)
[ -z "$strays" ] || fault "$strays"
[ $status = 0 ] && echo "include order holds"
exit $status
