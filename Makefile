# Epimetheus. `make` builds, `make run` shows it at work, `make test` runs everything. Meson does the building; this file knows the
# folders and what each target needs installed (tools/deps). `make help` lists the targets.
#
# Folders: build/release (what is used), build/debug (gcc, lock ranks, fault points), build/asan (clang, address + undefined, libFuzzer),
# build/tsan (clang, thread), build/coverage.

BUILD := build
JOBS ?= $(shell nproc)
export EPI_SHARED ?= $(abspath $(CURDIR)/../shared)
GOLDEN ?= $(EPI_SHARED)/golden
CONFORMANCE ?= $(EPI_SHARED)/conformance
FUZZ_S ?= 60
export JOBS

CLANG := CC=clang-14 CXX=clang++-14
CHECKED := -Dbuildtype=debug -Ddebug_locks=true -Dfaults=true -Djemalloc=false
NINJA := ninja --quiet -j$(JOBS)

.PHONY: all run check unit tidy san tsan fuzz-smoke fuzz-diff fuzz-kept e2e golden conformance test bench fuzz format coverage clean help \
    deps-build deps-clang debug asan
.DEFAULT_GOAL := all

all: deps-build $(BUILD)/release/build.ninja  ## build build/epimetheus and build/epitool (release)
	@$(NINJA) -C $(BUILD)/release epimetheus epitool
	@for p in epimetheus epitool; do if [ -e $(BUILD)/release/$$p ]; then ln -sf release/$$p $(BUILD)/$$p; fi; done

run: all  ## watch this machine: node_exporter and epimetheus, until Ctrl-C
	@tools/run

check: unit tidy  ## unit tests (gcc, lock ranks, fault points) and tidy

unit: debug  ## unit tests alone (T=ROOM: only of that one)
	@tools/unit $(BUILD)/debug $(T)

tidy: deps-build  ## layers, house rules, and the tests of both tools
	@tools/checks

san: asan  ## unit tests under address and undefined behaviour sanitizers (clang 14)
	@UNIT_SLOW=3 tools/unit $(BUILD)/asan $(T)

tsan: deps-clang $(BUILD)/tsan/build.ninja  ## unit tests under the thread sanitizer (clang 14)
	@$(NINJA) -C $(BUILD)/tsan unit_programs
	@UNIT_SLOW=5 tools/unit $(BUILD)/tsan $(T)

fuzz-smoke: asan  ## each fuzz target for a few seconds
	@tools/fuzz --seconds 3 $(BUILD)/asan $(T)

fuzz: asan  ## each fuzz target for FUZZ_S=60 seconds (T=NAME: only that one)
	@tools/fuzz --seconds $(FUZZ_S) $(BUILD)/asan $(T)

fuzz-diff: debug  ## random queries, the Prometheus module's engine beside ours, for FUZZ_S=60 seconds
	@tests/e2e/promql_differ $(FUZZ_S)

fuzz-kept: debug  ## the same over data that change between questions, with answers that are kept, for FUZZ_S=60 seconds
	@tests/e2e/promql_differ $(FUZZ_S) life

e2e: all debug  ## whole processes, and that the crash tests miss each step of durability: tests/e2e
	@tests/e2e/run $(T)

golden: all  ## data folders that Prometheus wrote, by each backend: GOLDEN=DIR
	@tests/golden/run $(GOLDEN) --io mmap,buffered,direct

conformance: all  ## vectors recorded from Prometheus: CONFORMANCE=DIR
	@tests/conformance/run $(CONFORMANCE) --io mmap,buffered,direct

test: deps-build  ## everything; the last line is "N passed, N failed, N skipped"
	@MAKE="$(MAKE)" tools/suite

bench: all  ## measure: bench/* (T=NAME: only that one)
	@tools/bench $(T)

format:  ## clang-format over the lines that differ from HEAD (SINCE=COMMIT: from that one)
	@tools/deps format
	@git clang-format-14 --binary clang-format-14 --extensions c,h,cc --force $(SINCE)

coverage: deps-build  ## unit tests' line coverage, as text and build/coverage/html
	@tools/deps coverage
	@[ -e $(BUILD)/coverage/build.ninja ] || tools/setup $(BUILD)/coverage $(CHECKED) -Db_coverage=true
	@$(NINJA) -C $(BUILD)/coverage
	@tools/unit $(BUILD)/coverage
	@mkdir -p $(BUILD)/coverage/html
	@gcovr -r . --object-directory $(BUILD)/coverage -e '.*_test\.c' -e 'build/.*' --html-details $(BUILD)/coverage/html/index.html --txt

clean:  ## remove build/
	@rm -rf $(BUILD)

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

deps-build:
	@tools/deps build

deps-clang: deps-build
	@tools/deps clang

debug: deps-build $(BUILD)/debug/build.ninja
	@$(NINJA) -C $(BUILD)/debug

asan: deps-clang $(BUILD)/asan/build.ninja
	@$(NINJA) -C $(BUILD)/asan unit_programs fuzz_programs

$(BUILD)/release/build.ninja: | deps-build
	@tools/setup $(BUILD)/release -Dbuildtype=release

$(BUILD)/debug/build.ninja: | deps-build
	@tools/setup $(BUILD)/debug $(CHECKED)

$(BUILD)/asan/build.ninja: | deps-clang
	@$(CLANG) tools/setup $(BUILD)/asan $(CHECKED) -Doptimization=1 -Db_sanitize=address,undefined -Dfuzzer=true

$(BUILD)/tsan/build.ninja: | deps-clang
	@$(CLANG) tools/setup $(BUILD)/tsan $(CHECKED) -Doptimization=1 -Db_sanitize=thread
