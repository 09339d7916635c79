# Targets with a "##" text are for people: "make help" lists them.

GOLANGCI_VERSION := v2.15.0
GOLANGCI := bin/tools/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK_VERSION := v1.9.0
GOVULNCHECK := bin/tools/govulncheck-$(GOVULNCHECK_VERSION)
NFPM_VERSION := v2.43.4
NFPM := bin/tools/nfpm-$(NFPM_VERSION)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w \
	-X github.com/isonet/isonet/internal/version.version=$(VERSION) \
	-X github.com/isonet/isonet/internal/version.commit=$(COMMIT)

SCRIPTS := .ci/run $(wildcard docs/examples/*.sh) $(shell find scripts -type f ! -name '*.*' ! -name Dockerfile)
# The tests with dependencies of their own.
MODULES := $(patsubst %/go.mod,%,$(wildcard test/*/go.mod))
# The default timeout is too short for a cold cache on a small machine.
LINT_FLAGS := --timeout 10m --allow-parallel-runners

# The Debian releases that tests run on; the first one is the default.
RELEASES := $(shell awk '/^[a-z]/ {print $$1}' test/releases)
RELEASE ?= $(firstword $(RELEASES))
E2E := $(addprefix e2e-,$(RELEASES))
# Sid changes by the day: what it breaks is no fault of the change under test.
TESTED := $(filter-out e2e-sid,$(E2E))

.DEFAULT_GOAL := build

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build static bin/isonetd and bin/isonet
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/isonetd ./cmd/isonet

.PHONY: packages
packages: build $(NFPM) ## pack bin as dist/*.deb and dist/*.rpm
	scripts/packaging/build $(NFPM) '$(VERSION)' dist

$(NFPM):
	GOBIN=$(CURDIR)/bin/tools/build go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv bin/tools/build/nfpm $@

.PHONY: run
run: build ## run the daemon against this machine's Open vSwitch, with its state in .state (root)
	bin/isonetd --state-dir $(CURDIR)/.state --socket $(CURDIR)/.state/isonetd.sock --log-level debug

.PHONY: demo
demo: build ## show two isolated networks on a private Open vSwitch, with packets (root, under a minute)
	scripts/demo

.PHONY: demo-fleet
demo-fleet: build ## show three hosts on a cluster that loses its leader, with packets (root, under 90 seconds)
	scripts/demo-fleet

.PHONY: test
test: unit clients peers ## run every test: unit and integration, each fuzz target for a moment, oVirt's clients, Prometheus, end to end, and the core of those on the kernel's datapath
	$(MAKE) --jobs=2 --output-sync=target containers processors

# What an emulated machine and fuzzing leave of the processors is enough for containers,
# which wait most of the time.
.PHONY: processors
processors: build
	$(MAKE) --jobs=1 kernel-core
	$(MAKE) --jobs=1 fuzz

.PHONY: containers
containers: build
	$(MAKE) --jobs=1 e2e $(TESTED)

.PHONY: unit
unit: ## run the unit and integration tests with the race detector, against real Open vSwitch processes
	scripts/install-deps ethtool gcc ip nft ovs-vswitchd ping
	go test -race ./...

FUZZTIME ?= 3s

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

.PHONY: clients
clients: build ## drive isonetd with oVirt's clients and run the examples of docs/ovirt-tools.md (root)
	scripts/install-deps ansible-playbook curl ip jq libgovirt ovs-vswitchd ping
	cd test/clients && go test -count=1 -timeout 10m ./...

.PHONY: peers
peers: build ## let Prometheus scrape isonetd while frames flow, and check what contrib ships (root)
	scripts/install-deps ethtool ip ovs-vswitchd ping prometheus
	cd test/peers && go test -count=1 -parallel 4 -timeout 10m ./...

.PHONY: e2e
e2e: e2e-$(RELEASE) ## run the end-to-end tests in containers of a Debian RELEASE, and the demos
	scripts/demo
	scripts/demo-fleet

.PHONY: $(E2E)
$(E2E): e2e-%: build $(NFPM)
	cd test/e2e && ISONET_RELEASE=$* go test -count=1 -timeout 15m ./...

.PHONY: releases
releases: ## run the tests on each Debian release and its kernel, and write docs/releases.md (root, hours without KVM)
	scripts/releases

KERNEL_PART ?= all
KERNEL_TIMEOUT ?= 3h

.PHONY: kernel kernel-core
kernel: ## run the packet tests on the kernel's datapath, in an emulated machine of Debian's RELEASE (root, an hour without KVM)
kernel-core: ## run the core of them (root, minutes)
kernel-core: KERNEL_PART = core
kernel-core: KERNEL_TIMEOUT = 15m
kernel: KERNEL_TESTS = ./...
kernel-core: KERNEL_TESTS = .
kernel kernel-core: build
	scripts/install-deps bsdtar qemu-system-x86_64
	cd test/kernel && ISONET_KERNEL_PART='$(KERNEL_PART)' ISONET_RELEASE=$(RELEASE) go test -count=1 -v -timeout $(KERNEL_TIMEOUT) $(KERNEL_TESTS)

.PHONY: lint
lint: $(GOLANGCI) $(GOVULNCHECK) check-generated ## check the code, the scripts, the generated files and the messages of new commits
	$(GOLANGCI) run $(LINT_FLAGS)
	for module in $(MODULES); do (cd $$module && ../../$(GOLANGCI) run $(LINT_FLAGS) --config ../../.golangci.yml) || exit; done
	scripts/install-deps shellcheck
	shellcheck $(SCRIPTS)
	scripts/vulncheck $(GOVULNCHECK) . $(MODULES)
	scripts/check-commits

$(GOLANGCI):
	GOBIN=$(CURDIR)/bin/tools/build go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/tools/build/golangci-lint $@

$(GOVULNCHECK):
	GOBIN=$(CURDIR)/bin/tools/build go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv bin/tools/build/govulncheck $@

.PHONY: fmt
fmt: $(GOLANGCI) ## format the Go code
	$(GOLANGCI) fmt
	for module in $(MODULES); do (cd $$module && ../../$(GOLANGCI) fmt --config ../../.golangci.yml) || exit; done

.PHONY: generate
generate: ## write the generated files anew
	go generate ./...

.PHONY: check-generated
check-generated: ## fail if "make generate" would change anything
	scripts/check-generated

NETWORKS ?= 1,10,100,500,1000
ROUNDS ?= 5

.PHONY: bench
bench: ## measure network set-up, scrapes, what an uplink lets out and what strict costs, on a real Open vSwitch (root)
	scripts/install-deps ethtool ip ovs-vswitchd ping prometheus-node-exporter
	ISONET_BENCH_NETWORKS=$(NETWORKS) go test -run '^$$' -bench . -benchtime $(ROUNDS)x -timeout 1h ./test/bench

HOSTS ?= 10,100,300,1000

.PHONY: bench-fleet
bench-fleet: ## measure a fleet of simulated hosts on a cluster with relays; HOSTS says how many
	scripts/install-deps ovs-vswitchd
	ISONET_BENCH_HOSTS=$(HOSTS) go test -run '^$$' -bench Fleet -benchtime 1x -timeout 1h ./test/fleet-bench

BENCH ?= .

.PHONY: kernel-bench
kernel-bench: build ## measure the same on the kernel's datapath, in an emulated machine; BENCH chooses (root)
	scripts/install-deps bsdtar qemu-system-x86_64
	cd test/kernel && ISONET_RELEASE=$(RELEASE) ISONET_BENCH_NETWORKS=$(NETWORKS) ISONET_KERNEL_BENCH='$(BENCH)' ISONET_KERNEL_ROUNDS=$(ROUNDS) \
		go test -run '^$$' -bench . -benchtime 1x -timeout 3h .

STEPS ?= 2000
SEED ?= $(shell date +%s)

.PHONY: soak
soak: ## let STEPS random operations and faults happen to one isonetd; SEED repeats them (root, 2000 take about an hour)
	scripts/install-deps ethtool ip nft ovs-vswitchd ping
	ISONET_SOAK_STEPS=$(STEPS) ISONET_SOAK_SEED=$(SEED) go test -count=1 -v -timeout 24h -run '^TestSoak$$' ./test/faults

.PHONY: soak-fleet
soak-fleet: ## let every fault happen to a fleet of ten hosts, of which make unit has some; SEED repeats it (root, minutes)
	scripts/install-deps ethtool ip nft ovs-vswitchd
	ISONET_FLEET_FAULTS=all ISONET_FLEET_SEED=$(SEED) go test -count=1 -v -timeout 2h -run '^TestFleet$$' ./test/fleet

.PHONY: clean
clean: ## remove what was built and cached, and the images of the tests
	rm -rf bin dist .cache .state
	scripts/clean-images
