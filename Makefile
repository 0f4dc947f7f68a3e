# The one door to everything that is done with this checkout. The comments
# after two hashes are the help.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Programs need no C library, so that one build runs on every Linux.
BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
# Runs a command beside one PostgreSQL server for all tests.
WITH_POSTGRES := go run ./store/storetest/cluster --
# Where goroutines meet; the race detector takes its time and a C compiler.
CONCURRENT := ./cmd/blamepromptd ./cmd/blameprompt-enterprise ./cmd/blameprompt-hook ./hooks/enforce ./hooks/gateway ./httpapi/... ./notes/gitcmd ./notes/ingest ./notes/lines/live ./notes/mirror ./store ./store/pglocal ./store/queue
FUZZTIME ?= 20s

.PHONY: help run demo deps test test-race lint generate screenshots bench bench-ingest bench-api bench-decide bench-push bench-lines bench-memory bench-reports bench-cli bench-ui fuzz e2e load build dist install clean
.DEFAULT_GOAL := help

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: deps build ## install what is missing, build, and run the daemon on its defaults
	@exec bin/blamepromptd serve

demo: deps build ## make an organisation up and show it, beside whatever else runs
	@exec bin/blamepromptd demo

deps: ## install what is missing: PostgreSQL's server programs, git and ssh
	@./install.sh --deps

test: deps ## install what is missing and run every test, against a real PostgreSQL
	$(WITH_POSTGRES) go test -timeout 20m ./...

test-race: deps ## run the tests of the concurrent packages with the race detector
	$(WITH_POSTGRES) go test -race -timeout 30m $(CONCURRENT)

lint: ## check format, vet, staticcheck, imports, modules and shell scripts
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
		if [ -n "$$unformatted" ]; then echo "not formatted:" $$unformatted; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go test -run 'TestImports|TestJudge' -count 1 ./cmd/blamepromptd
	go mod verify
	@if command -v shellcheck >/dev/null; then shellcheck install.sh .ci/run .ci/newcomer; else echo "shellcheck is not here"; fi

generate: deps ## write what is generated: the API's types, the schema's dump, the style of pages
	$(WITH_POSTGRES) go generate ./...

screenshots: deps build ## take the pictures that the documentation shows, of the demo in Chromium
	go run ./ui/screenshots

bench: bench-ingest bench-api bench-decide bench-push bench-lines bench-memory bench-reports bench-cli bench-ui ## measure what the README promises

bench-ingest: deps ## measure the way from a notes ref to rows, beside its floor
	$(WITH_POSTGRES) go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./notes ./notes/ingest

bench-api: deps ## measure the API over a million receipts
	$(WITH_POSTGRES) go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./httpapi/...

bench-decide: deps ## measure what deciding on a push takes, with a million receipts and 50 policies
	$(WITH_POSTGRES) go test -run '^$$' -bench 'BenchmarkDecide|BenchmarkTold' -benchtime 1x -timeout 60m ./hooks/enforce ./hooks/endpoint

bench-push: deps ## measure what a push costs: with the hook, to the gateway, by fifty at once
	$(WITH_POSTGRES) go test -run '^$$' -bench BenchmarkPush -benchtime 1x -timeout 60m ./cmd/blamepromptd
	$(WITH_POSTGRES) go test -run '^$$' -bench BenchmarkPushers -benchtime 1x -timeout 60m ./hooks/gateway

bench-lines: deps ## measure whose lines were added, and where live lines come from, beside git alone
	$(WITH_POSTGRES) go test -run '^$$' -bench 'BenchmarkDiff|BenchmarkLive|BenchmarkKeep' -benchtime 5x -timeout 60m ./notes/lines/...

bench-memory: deps ## measure the most memory that the daemon takes, whatever it is given
	$(WITH_POSTGRES) go test -run '^$$' -bench BenchmarkMemory -benchtime 1x -timeout 60m ./cmd/blamepromptd

bench-reports: deps ## measure reports over a million receipts, and over a tenth of them
	$(WITH_POSTGRES) go test -run '^$$' -bench BenchmarkReports -benchtime 1x -timeout 60m ./httpapi/report/compliance

bench-cli: deps ## measure a check of 10 commits, from start to exit
	$(WITH_POSTGRES) go test -run '^$$' -bench . -benchtime 1x -timeout 10m ./cmd/blameprompt-enterprise

bench-ui: deps ## measure every page over a million receipts, and when Chromium paints it
	$(WITH_POSTGRES) go test -run '^$$' -bench BenchmarkPages -benchtime 1x -timeout 60m ./ui

fuzz: deps ## fuzz every target for FUZZTIME (20s) each
	@for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
			echo "$$(dirname $$file) $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$(dirname $$file) || exit 1; \
		done; \
	done

e2e: deps ## run the end-to-end scripts alone, and say what they do
	$(WITH_POSTGRES) go test -run TestScripts -count 1 -v ./cmd/...

load: deps ## let 50 push for two minutes while the daemon is killed three times
	$(WITH_POSTGRES) go test -run TestPushersUnderKills -count 1 -v -timeout 20m ./cmd/blamepromptd \
		-load.time 2m -load.pushers 50 -load.kills 3

build: ## build every program into bin
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/...

# The same commit makes the same bytes: nothing of the machine, the time or the
# owner of files is in it. The hash stands beside it.
DIST = blamepromptd-$(VERSION)-$(shell go env GOOS)-$(shell go env GOARCH)

dist: build ## pack programs, pages and install.sh as they are released, into dist
	@rm -rf dist/$(DIST) && mkdir -p dist/$(DIST)/docs
	@cp -R bin install.sh LICENSE CHANGELOG.md README.md dist/$(DIST)/ && cp -R docs/man dist/$(DIST)/docs/
	@tar --sort=name --mtime=@$(shell git log -1 --format=%ct) --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		-C dist -cf - $(DIST) | gzip -9n >dist/$(DIST).tar.gz
	@rm -rf dist/$(DIST)
	@cd dist && sha256sum $(DIST).tar.gz >$(DIST).tar.gz.sha256 && cat $(DIST).tar.gz.sha256

install: build ## install the programs into PREFIX/bin
	./install.sh

clean: ## remove what was built; data stays
	rm -rf bin dist coverage.out
