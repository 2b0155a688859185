#!/usr/bin/env bash
# Everything that can be said about the code without running it. The first thing that is wrong ends it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0

# fetched says whether a tool can be built here: it may have to come from the network.
fetched() { go run "$1" -version >"$scratch/fetch" 2>&1; }

scratch

say "gofmt"
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	printf 'not formatted, run gofmt -w on:\n%s\n' "$unformatted"
	exit 1
fi

have_staticcheck=
if fetched "$staticcheck"; then
	have_staticcheck=1
elif [ -n "${CI:-}" ]; then
	printf 'staticcheck cannot be fetched:\n'
	tail -n 3 "$scratch/fetch"
	exit 1
else
	skip "staticcheck: it cannot be fetched: $(tail -n 1 "$scratch/fetch")"
fi

have_govulncheck=
if fetched "$govulncheck"; then
	have_govulncheck=1
else
	skip "govulncheck: it or its database cannot be fetched: $(tail -n 1 "$scratch/fetch")"
fi

# vulnerabilities runs govulncheck. Exit status 3 is a finding; anything else that is not 0 is a database out of reach.
vulnerabilities() {
	local status=0
	go run "$govulncheck" ./... >"$scratch/vuln" 2>&1 || status=$?
	if [ $status -eq 0 ]; then
		return
	fi
	if grep -q '^Vulnerability #' "$scratch/vuln"; then
		cat "$scratch/vuln"
		return 1
	fi
	skip "govulncheck: $(tail -n 1 "$scratch/vuln")"
}

say "go vet"
go vet ./...
if [ -n "$have_staticcheck" ]; then
	say "staticcheck"
	go run "$staticcheck" ./...
fi
if [ -n "$have_govulncheck" ]; then
	say "govulncheck"
	vulnerabilities
fi
say "go mod tidy"
go mod tidy -diff

say "who imports whom"
go test ./internal/arch
