#!/usr/bin/env bash
# All benchmarks, with nothing beside them: one package after the other. Arguments go to go test (-count, -benchtime…).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/install.sh tools compiler languages
go test -run '^$' -bench . -benchmem -p 1 -timeout 60m "$@" ./...
