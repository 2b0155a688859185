#!/usr/bin/env bash
# install.sh GROUP…: installs the Debian packages that a group of programs comes from, where one of them is missing. Not
# root, or no Debian: says what is missing. Services that come with packages are not started.
#
# Groups: services (real servers that tests supervise), senders (libraries that speak sd_notify), tools (what scripts and tests call), compiler (for C: the race
# detector links with it, and benchmarks compare with a program in C), languages (of the heartbeat writers in clients).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# needed prints a line for each program of a group: its name or place, its package.
needed() {
	case $1 in
	services) printf '%s\n' "redis-server redis-server" "nginx nginx" "memcached memcached" "/usr/lib/postgresql/*/bin/postgres postgresql" ;;
	senders) printf '%s\n' "/usr/lib/python3/dist-packages/sdnotify* python3-sdnotify" "/usr/lib/python3/dist-packages/systemd/daemon.py python3-systemd" ;;
	tools) printf '%s\n' "make make" "setpriv util-linux" "ps procps" "python3 python3" ;;
	compiler) printf '%s\n' "gcc gcc" "/usr/include/stdio.h libc6-dev" ;;
	languages) printf '%s\n' "gcc gcc" "g++ g++" "/usr/include/stdio.h libc6-dev" "python3 python3" "node nodejs" ;;
	*)
		printf 'install.sh: there is no group %s\n' "$1" >&2
		exit 2
		;;
	esac
}

# present says whether a program is there, or for a pattern with slashes any file.
present() {
	case $1 in
	*/*) compgen -G "$1" >/dev/null ;;
	*) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
	esac
}

# install_quietly installs packages while a policy refuses to start anything. A policy that is there already is its
# owner's, and stays.
install_quietly() {
	local policy=/usr/sbin/policy-rc.d made=
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		made=$policy
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	apt-get -q update </dev/null &&
		apt-get -q -y --no-install-recommends install "$@" </dev/null
	local status=$?
	if [ -n "$made" ]; then
		rm -f "$made"
	fi
	return $status
}

programs=() packages=()
for group in "$@"; do
	while read -r program package; do
		if ! present "$program"; then
			programs+=("$program")
			packages+=("$package")
		fi
	done < <(needed "$group")
done

if [ ${#packages[@]} -eq 0 ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	skip "not root, so not installed: ${packages[*]}; tests that need ${programs[*]} are skipped"
elif ! command -v apt-get >/dev/null; then
	skip "no apt-get, so not installed: ${packages[*]}; tests that need ${programs[*]} are skipped"
else
	say "apt-get install ${packages[*]}"
	if ! install_quietly "${packages[@]}"; then
		skip "apt-get could not install ${packages[*]}; tests that need ${programs[*]} are skipped"
	fi
fi
