# What can be done with this checkout. Everything longer than a line stands in scripts/.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
DESTDIR ?=

.PHONY: help demo test check race bench chaos soak build install clean

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' Makefile

demo: ## see services live on: half a minute, nothing but Go, nothing stays behind
	@scripts/demo.sh

test: ## all tests, as root also as an unprivileged user
	@scripts/test.sh

check: ## format, vet, staticcheck, known vulnerabilities, go.mod, who imports whom
	@scripts/check.sh

race: ## all tests under the race detector
	@scripts/race.sh

bench: ## all benchmarks
	@scripts/bench.sh

chaos: ## break a daemon in every way for SECONDS (60), by a SEED (a new one), and check what it promises
	@go run -buildvcs=false ./test/chaos --for $(or $(SECONDS),60)s --seed $(or $(SEED),0)

soak: ## RESTARTS (100,000) restarts and HOURS (24) of simulated churn: memory, descriptors, threads and goroutines stay flat
	STAY_TEST_HOURS=$(or $(HOURS),24) go test -count=1 -v -run TestSimulatedChurn -timeout 30m ./internal/engine
	STAY_TEST_RESTARTS=$(or $(RESTARTS),100000) go test -count=1 -v -run TestSoak -timeout 90m ./test/integration

build: ## stay and stayd in bin/
	go build -buildvcs=false -trimpath -o bin/ ./cmd/...

install: build ## into $(DESTDIR)$(BINDIR); PREFIX is /usr/local
	install -d $(DESTDIR)$(BINDIR)
	install -m 755 bin/stay bin/stayd $(DESTDIR)$(BINDIR)

clean: ## take away what build made
	rm -rf bin
