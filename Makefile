# make demo and make test are the two to start with; README.md tells the rest.
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X github.com/cosmos/cosmos-sdk/version.Name=tssbackup \
           -X github.com/cosmos/cosmos-sdk/version.AppName=tssbackupd \
           -X github.com/cosmos/cosmos-sdk/version.Version=$(VERSION) \
           -X main.version=$(VERSION)
BINARIES := ./cmd/tssbackupd ./cmd/bifrost ./cmd/recover-keyshares ./cmd/tssbackup-watch
TOOLS := $(CURDIR)/build/tools
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# The packages without the SDK: fast enough for the race detector and fuzzing.
PURE := ./sanity/... ./verenc/... ./bifrost/envelope/... ./bifrost/keystore/... ./bifrost/keyshare/... \
	./bifrost/legacy/... ./bifrost/rebuild/... ./bifrost/outbox/... ./bifrost/rotation/... ./internal/...
# The modules beside this one, which ./... leaves out, as patterns: those of go.work.
NESTED := $(shell sed -n 's,^\t\(\./.*\),\1/...,p' go.work)
FUZZTIME ?= 20s
MEMBERS ?= 7,10
# The servers that sinks are tested with.
VERSITYGW := github.com/versity/versitygw/cmd/versitygw@v1.8.0
MAILPIT := github.com/axllent/mailpit@v1.33.1
# What the chart is checked with.
HELM := helm.sh/helm/v3/cmd/helm@v3.22.0
KUBERNETES := k8s.io/kubernetes@v1.34.2
MONITORS := github.com/prometheus-operator/prometheus-operator@v0.85.0

.PHONY: help demo demo-watch demo-reshare test test-sinks test-page test-processes test-large test-race consumer build install dist dist-check dist-check-quick lint proto proto-check bench bench-once fuzz calibrate stock-tools memory alerts dashboards chart man clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

demo: build ## four validators churn, back up, lose a signer, recover it and sign
	go run ./testutil/demo

demo-watch: build ## the same, with the public page live beside it until ^C
	go run ./testutil/demo -watch

demo-reshare: build ## a vault is handed on to other members, loses a host, and signs with its keys
	go run ./testutil/demo -reshare

# The longest ones first, so that nothing waits for them in the end, and one package more at a time than there are cores: some wait for
# blocks more than they compute.
test: ## every test
	go test -p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -timeout 30m ./bifrost/tss ./cmd/recover-keyshares ./cmd/bifrost ./verenc/... \
		./... $(NESTED)

test-sinks: $(TOOLS)/versitygw $(TOOLS)/mailpit $(TOOLS)/ipfs ## sinks against real servers, which it installs
	go test -tags sinks -timeout 10m -run '^TestAReal' ./bifrost/sink ./cmd/recover-keyshares -tools $(TOOLS)

$(TOOLS)/versitygw:
	GOBIN=$(TOOLS) go install $(VERSITYGW)

$(TOOLS)/mailpit:
	GOBIN=$(TOOLS) go install $(MAILPIT)

# It needs other versions of two modules than it asks for, so it has a module of its own.
$(TOOLS)/ipfs:
	cd testutil/tools && GOWORK=off GOBIN=$(TOOLS) go install tool

# Debian's browser, when there is none. What runs in it is pinned by its hash.
test-page: $(TOOLS)/axe.min.js ## the public page in a browser, which it installs
	@command -v chromium >/dev/null || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }
	go test -tags page -timeout 5m -run '^TestThePage' ./cmd/tssbackup-watch -axe $(TOOLS)/axe.min.js $(PICTURES)

$(TOOLS)/axe.min.js:
	scripts/axe.sh $@

test-processes: $(TOOLS)/versitygw ## a network of processes: crashes at any time, a malicious signer, a lost host
	go test -tags processes -timeout 40m -v ./testutil/processes -tools $(TOOLS)

test-large: ## vaults of MEMBERS members over loopback, and what they take: 7,10 by default; reshares
	go test -tags large -timeout 3h -v -run '^TestLarge' ./bifrost/tss -members '$(MEMBERS)'

test-race: ## the race detector, on the packages without the SDK
	go test -race -timeout 30m $(PURE)

consumer: ## a signer on an older SDK imports the modules without the SDK, and no version of its own moves
	scripts/consumer.sh

# Without cgo, as releases are: a process that does nothing has 59 MB then, not 70 to 78. grpc's traces show themselves by templates,
# which call methods by names that nobody knows before, so that the linker would leave every method in.
build: ## the four binaries, into build/
	CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags '$(LDFLAGS)' -o build/ $(BINARIES)

install: ## the four binaries, into GOBIN
	CGO_ENABLED=0 go install -trimpath -tags grpcnotrace -ldflags '$(LDFLAGS)' $(BINARIES)

dist: ## what is shipped, into build/dist: archives, packages, images, sums
	scripts/dist.sh build/dist

dist-check: ## that what is shipped is reproducible, and runs where it should: as root, on Debian
	scripts/dist-check.sh

dist-check-quick: ## the part of it that runs nothing, of two packages
	scripts/dist-check.sh quick

lint: $(TOOLS)/golangci-lint ## style, import table, protos
	$(TOOLS)/golangci-lint run ./... $(NESTED)
	scripts/proto.sh lint

$(TOOLS)/golangci-lint:
	GOBIN=$(TOOLS) go install $(GOLANGCI_LINT)

proto: ## generate the Go code of proto/, offline
	scripts/proto.sh gen

proto-check: proto ## the committed code is what proto/ gives
	git diff --exit-code -- x/tssbackup/types x/tssbackup/openapi

bench: ## sizes, times and ratios
	go test -run '^$$' -bench . -benchmem ./sanity ./internal/durable ./bifrost/envelope ./x/tssbackup/keeper ./x/tssbackup/archive ./verenc ./bifrost/restore ./bifrost/homebackup ./bifrost/tss/... ./app ./cmd/tssbackup-watch

bench-once: ## every benchmark of the repository, once: that none of them is broken
	scripts/bench-once.sh

fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz.sh $(FUZZTIME) $(PURE) ./bifrost/tss ./bifrost/audit ./bifrost/homebackup ./bifrost/vault ./bifrost/held ./x/tssbackup/types

calibrate: ## entropy of 10^8 random mnemonics, about two minutes
	go run ./sanity/calibrate

stock-tools: build ## envelopes, homes and their backups against Debian's tools
	scripts/stock-tools.sh

memory: build ## what sealing and opening take of it, at the real work factor
	scripts/memory.sh

alerts: ## the alerts for Prometheus, on series of theirs, with promtool, and the dashboards
	scripts/alerts.sh

# helm, and the modules in which Kubernetes and Prometheus publish the schemas of their objects.
chart: $(TOOLS)/helm ## the Helm chart: lint, what it renders against those schemas, and against what bifrost is
	go test -tags chart -run 'Chart' ./cmd/bifrost -helm $(TOOLS)/helm \
		-kubernetes "$$(GOWORK=off go mod download -json $(KUBERNETES) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')" \
		-monitors "$$(GOWORK=off go mod download -json $(MONITORS) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')"

$(TOOLS)/helm:
	GOWORK=off GOFLAGS= GOBIN=$(TOOLS) go install $(HELM)

dashboards: ## the demo with its page, and each expression of the dashboards asked of a Prometheus that scrapes both
	scripts/dashboards.sh

man: ## write docs/man anew; a test compares it with the commands
	go test ./cmd/bifrost ./cmd/recover-keyshares ./cmd/tssbackup-watch -run '^TestThatPagesTellOfEveryCommand$$' -write-pages

clean: ## remove what was built
	rm -rf build .demo
