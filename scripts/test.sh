#!/usr/bin/env bash
# All tests, as whoever runs this; root runs them first as an unprivileged user too. Packages of Debian that tests need
# are installed by root; anybody else is told what is missing and what is skipped for it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

failed=0

# tests runs all tests and notes whether any failed; its arguments go to go test. No result of before counts: go test does
# not see that a test builds and runs the programs of other packages.
tests() { go test -count=1 -timeout 20m "$@" ./... || failed=1; }

# unprivileged runs the tests as nobody: go test compiles them here, scripts/as-nobody.sh runs them on a copy of the
# sources.
unprivileged() {
	export STAY_TEST_PUBLIC=$scratch/public STAY_TEST_ROOT=$PWD STAY_TEST_BINARIES=$scratch/public/bin
	mkdir -p "$STAY_TEST_PUBLIC"/{bin,tests,src}
	install -d -o 65534 -g 65534 -m 700 "$STAY_TEST_PUBLIC"/{home,tmp}
	tar -c --exclude=./.git --exclude=./bin . | tar -x --no-same-owner -C "$STAY_TEST_PUBLIC/src"
	chmod -R go+rX,go-w "$STAY_TEST_PUBLIC/src"
	go build -o "$STAY_TEST_PUBLIC/bin/" ./cmd/... ./examples/neverstop/...
	say "all tests as nobody (uid 65534)"
	# One package at a time: a user's descriptors in flight and processes are counted together (unix(7), setrlimit(2)).
	tests -p 1 -exec "$PWD/scripts/as-nobody.sh"
	unset STAY_TEST_PUBLIC STAY_TEST_ROOT STAY_TEST_BINARIES
}

scripts/install.sh tools services senders languages
if [ "$(id -u)" -ne 0 ]; then
	skip "not root: what only root can test is skipped test by test, with its reason (go test -v)"
elif ! command -v setpriv >/dev/null; then
	skip "no setpriv (package util-linux), so not run as an unprivileged user"
else
	scratch
	unprivileged
fi
say "all tests as $(id -un) (uid $(id -u))"
tests
exit $failed
