#!/usr/bin/env bash
# as-nobody.sh TESTBINARY ARG…: what go test -exec runs in the folder of a package. The binary lies where only its maker
# can read it, and the checkout may lie there too: so a copy of the binary runs in the copy of the folder, as nobody.
# scripts/test.sh says where.
set -euo pipefail

public=${STAY_TEST_PUBLIC:?set by scripts/test.sh} root=${STAY_TEST_ROOT:?set by scripts/test.sh}
binary=$(mktemp "$public/tests/XXXXXX")
cp "$1" "$binary"
chmod 755 "$binary"
shift
cd "$public/src/${PWD#"$root"}"
# What root finds in a home of its own is not for nobody.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME="$public/home" TMPDIR="$public/tmp" USER=nobody CI="${CI:-}" \
	STAY_TEST_BINARIES="$STAY_TEST_BINARIES" \
	setpriv --reuid=65534 --regid=65534 --clear-groups "$binary" "$@"
