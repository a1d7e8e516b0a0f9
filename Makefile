.DEFAULT_GOAL := help
GO ?= go
# The race detector needs a C compiler; Go says 0 where the machine has none.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)

.PHONY: help docs demo test chaos switches matrix mutants bench isolation outage latency hot idle memory growth scale micro build deps lint fmt up

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

demo: deps build ## a day's trade of a shop, from JetStream to the vendor, with all that it needs
	bin/syncworker dev --demo

test: deps ## all tests, against real NATS and Postgres
	$(GO) test -p 2 $(RACE) -shuffle=on -count=1 -timeout 15m ./...
	$(GO) test $(RACE) -shuffle=on -count=1 -tags failpoints ./internal/failpoint

chaos: deps ## workers under every fault, and a proof that they were right; SEED=7, ARGS="-duration 10m -cluster"
	$(GO) run ./test/chaos run $(if $(SEED),-seed $(SEED)) $(ARGS)

switches: deps ## the same, shortly, for each vendor that the documents allow: ten minutes; ARGS="-settings probed"
	$(GO) run ./test/chaos switches $(ARGS)

bench: deps build ## the worker beside the bare ideal, River, Watermill and a naive loop; FULL=1 for the published table
	cd bench && $(GO) run . -worker ../bin/syncworker $(if $(FULL),-full)

isolation: deps build ## what one bad order, member, account or event costs the others
	cd bench && $(GO) run . -worker ../bin/syncworker -isolation -events 100 -out isolation.json

outage: deps build ## a vendor that is away, and the backlog behind it; DOWN=10m
	cd bench && $(GO) run . -worker ../bin/syncworker -outage $(if $(DOWN),-down $(DOWN)) -out outage.json

latency: deps build ## from the publisher to the vendor at 10, 100 and 1,000 events a second; FULL=1 for longer
	cd bench && $(GO) run . -worker ../bin/syncworker -latency $(if $(FULL),-full) -events 100 -out latency.json

hot: deps build ## what order allows: twenty busy members, and one with 100,000 events
	cd bench && $(GO) run . -worker ../bin/syncworker -hot $(if $(FULL),-full) -out hot.json

idle: deps build ## what a worker costs that has nothing to do
	cd bench && $(GO) run . -worker ../bin/syncworker -idle -events 100 -out idle.json

memory: deps build ## the worker's memory with more than a million events queued
	cd bench && $(GO) run . -worker ../bin/syncworker -memory -events 100 -out memory.json

growth: deps build ## tables that have grown, and a backlog, beside empty ones; FULL=1 for ten million, half an hour and 20 GB
	cd bench && $(GO) run . -worker ../bin/syncworker -growth $(if $(FULL),-full) -out growth.json

scale: deps build ## one, two and four workers, an account's limits over them, a NATS cluster; FULL=1
	cd bench && $(GO) run . -worker ../bin/syncworker -scale $(if $(FULL),-full) -out scale.json

micro: deps ## decode, hash, encode, claim, settle beside those of another commit, by benchstat; OLD=HEAD~1
	GO="$(GO)" sh scripts/micro.sh $(or $(OLD),HEAD)

matrix: deps ## a worker that dies, freezes or fails at every step of every write: some ten minutes
	$(GO) test -count=1 -timeout 40m ./test/killmatrix -all

mutants: deps ## break the program in 26 ways; each has to be caught by a test
	$(GO) run ./test/mutants

build: ## bin/syncworker, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/syncworker ./cmd/syncworker

deps: ## Postgres server binaries, where the machine has none
	@sh scripts/deps.sh

docs: ## docs/events.md, contracts/asyncapi.yaml and the table of docs/vendors.md, from schemas and code
	$(GO) run ./docs/gen

lint: ## golangci-lint; its first run builds it, which takes some minutes
	$(GO) tool -modfile=tools/go.mod golangci-lint run ./...

fmt: ## gofumpt
	$(GO) tool -modfile=tools/go.mod gofumpt -modpath syncworker -w $$(git ls-files '*.go')

up: ## NATS, Postgres, the simulated vendor and a worker, with Docker Compose
	sh deploy/secrets.sh
	docker compose up --build --detach
