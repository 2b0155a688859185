#!/usr/bin/env bash
# Builds stay and the example into a directory of its own, runs the example there, and leaves nothing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scratch
printf 'building…\n'
go build -o "$scratch/" ./cmd/...
go build -o "$scratch/" ./examples/neverstop/...
"$scratch/neverstop"
