#!/usr/bin/env bash
# All tests under the race detector, which needs a C compiler.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/install.sh tools compiler
if ! command -v "$(go env CC)" >/dev/null; then
	printf 'no C compiler: as root, apt-get install gcc\n' >&2
	exit 1
fi
CGO_ENABLED=1 go test -race -count=1 -timeout 40m ./...
