# The usual commands; the build itself is CMakeLists.txt with the presets of CMakePresets.json.
CTEST = ctest --output-on-failure --no-tests=error -j $(shell nproc)
SOURCES = find runtime ir passes frontend models backend tools tests bench examples -name '*.[ch]'

.PHONY: all setup demo test asan clang lint format fuzz clean help
.DEFAULT_GOAL := all

# Configures where it has not been, and builds: $(call build,PRESET)
define build
	@test -f build/$(1)/build.ninja || cmake --preset $(1)
	@cmake --build build/$(1)
endef

all: ## release build: build/release/tenon
	$(call build,release)

setup: ## install the Debian packages that are missing
	@scripts/setup.sh

demo: setup ## install what is missing, build, compile the digits model from both of its sources, run it
	$(call build,release)
	@examples/digits/demo.sh build/release build/demo

test: setup ## everything: packages, a build with warnings as errors, all tests
	$(call build,ci)
	@$(CTEST) --test-dir build/ci

asan: ## all tests but lint under AddressSanitizer and UBSan
	$(call build,asan)
	@$(CTEST) --test-dir build/asan -LE 'lint|install'

clang: ## a build with clang, warnings as errors
	@scripts/setup.sh clang
	$(call build,clang)

lint: ## house rules: who includes whom, lengths, exported symbols, layout
	$(call build,ci)
	@$(CTEST) --test-dir build/ci -L lint

format: ## lay out every C file with clang-format
	@$(SOURCES) -print0 | xargs -0 clang-format -i

fuzz: ## build the fuzz targets with clang and run each for a while
	@scripts/setup.sh clang libclang-rt-14-dev
	$(call build,fuzz)
	@$(CTEST) --test-dir build/fuzz -L fuzz

clean: ## remove every build
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16
