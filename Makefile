# The front of the build; CMake does the work. `make` builds, `make demo` shows, `make test` tests.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CMAKE_FLAGS ?=
GENERATOR := $(if $(shell command -v ninja),-G Ninja)

all: $(BUILD)/CMakeCache.txt
	@cmake --build $(BUILD) -j $(JOBS) --target semsearch semsearch-extract

$(BUILD)/CMakeCache.txt:
	@cmake -S . -B $(BUILD) $(GENERATOR) -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_FLAGS) > /dev/null

setup:
	@scripts/setup

# A fresh machine: packages, model, build, a real folder indexed, three questions answered.
demo: setup
	@$(MAKE) --no-print-directory all
	@scripts/demo $(BUILD)

# Packages and all tests. The model is not needed: tests that want it say so and are skipped.
test:
	@scripts/setup packages
	@$(MAKE) --no-print-directory $(BUILD)/CMakeCache.txt
	@cmake --build $(BUILD) -j $(JOBS)
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

# The tests once more under AddressSanitizer and UndefinedBehaviorSanitizer, the threaded ones under ThreadSanitizer, and
# every fuzz target for FUZZ_SECONDS.
FUZZ_SECONDS ?= 60
check:
	@scripts/check $(FUZZ_SECONDS)

bench: all
	@scripts/bench $(BUILD)

# Training on real data beside PyTorch: make reproduce DATA=... MODEL=... PYTHON=... OUT=... (see scripts/reproduce)
reproduce: all
	@scripts/reproduce $(BUILD) "$(DATA)" "$(MODEL)" "$(PYTHON)" "$(OUT)" $(NAMES)

install: all
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@git ls-files '*.c' '*.h' '*.inc' '*.cpp' | xargs clang-format -i

clean:
	@rm -rf $(BUILD) build-*

.PHONY: all setup demo test check bench reproduce install format clean
