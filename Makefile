# SPDX-License-Identifier: MIT
# vlkit -- `make help` says what there is.
#
# A bare Debian 12 with git and make can run `make check` and `make demo`: these look for missing
# packages first (tests/deps.sh) and then start make again, so that pkg-config is asked afterwards.

ARCH   ?= native
SAN    ?=
PREFIX ?= /usr/local
JOBS   ?= 2
comma  := ,
BUILD  ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))

VERSION := $(shell sed -n 's/^.define VL_VERSION "\(.*\)".*/\1/p' formats/version.h)

PKGS := libzstd libxxhash libjpeg libpng libwebp zlib openblas jansson libutf8proc libcrypto libarchive
PKGC := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKGL := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
STD  := -std=c11 -ffp-contract=off -D_GNU_SOURCE -pthread
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Werror
ifneq ($(SAN),)
# clang warns of loops marked for vectors that it leaves alone at -O1.
OPT  := -O1 -g -march=$(ARCH) -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all -Wno-pass-failed
else
OPT  := -O3 -g -march=$(ARCH)
endif
ifneq ($(FUZZ),)
OPT  += -fsanitize=fuzzer-no-link
endif
FLAGS  := $(STD) $(WARN) $(OPT) -I. $(PKGC) $(CPPFLAGS) $(CFLAGS)
LDLIBS += -Wl,--as-needed $(PKGL) -lm

LIB_SRC  := $(wildcard formats/*.c pipeline/*.c distill/*.c)
CLI_SRC  := $(filter-out cli/vl%.c,$(wildcard cli/*.c))
TOOL_SRC := $(wildcard cli/vl*.c)
TOOLS    := $(patsubst cli/%.c,$(BUILD)/bin/%,$(subst _,-,$(TOOL_SRC)))
# Unit programs: tests/t_*.c link the float library, tests/t64_*.c the double one.
T_SRC    := $(wildcard tests/t_*.c)
T64_SRC  := $(wildcard tests/t64_*.c)
B_SRC    := $(wildcard tests/bench/b_*.c)
# Fuzz targets; linked with tests/fuzz/driver.c, under `make fuzz` with libFuzzer instead.
FUZZ_SRC := $(wildcard tests/fuzz/f_*.c)
FUZZERS  := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
UNITS    := $(T_SRC:tests/%.c=$(BUILD)/tests/%) $(T64_SRC:tests/%.c=$(BUILD)/tests/%)
BENCHES  := $(B_SRC:tests/bench/%.c=$(BUILD)/bench/%)
# What shell tests call: tests/mk_*.c become $(BUILD)/tests/mk_*, tests/data/*.c $(BUILD)/data/*.
MK_SRC   := $(wildcard tests/mk_*.c)
DATA_SRC := $(wildcard tests/data/*.c)
MAKERS   := $(MK_SRC:tests/%.c=$(BUILD)/tests/%) $(DATA_SRC:tests/data/%.c=$(BUILD)/data/%)
SCRIPTS  := $(filter-out tests/deps.sh,$(wildcard tests/*.sh)) $(wildcard tests/cli/*-*.sh)

F32_SRC := $(LIB_SRC) $(CLI_SRC) $(TOOL_SRC) $(T_SRC) $(MK_SRC) $(DATA_SRC) $(B_SRC) $(FUZZ_SRC) tests/fuzz/driver.c
F32_OBJ := $(F32_SRC:%.c=$(BUILD)/f32/%.o)
F64_OBJ := $(patsubst %.c,$(BUILD)/f64/%.o,$(LIB_SRC) $(T64_SRC))

.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SECONDARY: $(F32_OBJ) $(F64_OBJ)
.PHONY: all units fuzzers fuzz check check-long bench demo install deps help clean format run-check run-demo force

# One short line a step; V=1 shows the commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,@echo '  $(1)')

all: $(TOOLS)
units: $(UNITS) $(MAKERS) $(FUZZERS)
fuzzers: $(FUZZERS)

# ---- objects -----------------------------------------------------------------------------------
# Everything is built again when the compiler or its flags change.
BUILT_WITH := $(CC) $(FLAGS) $(LDFLAGS) $(LDLIBS)
$(BUILD)/flags: force
	@pkg-config --exists --print-errors $(PKGS) || { echo "packages are missing: see 'make deps'"; exit 1; }
	@mkdir -p $(@D)
	@echo '$(BUILT_WITH)' | cmp -s - $@ || echo '$(BUILT_WITH)' >$@

# The engine is compiled twice, for float and for double (vl_real); file names are unique in the tree.
$(F32_OBJ): $(BUILD)/f32/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC   $@)
	$(Q)$(CC) $(FLAGS) -MMD -MP -c -o $@ $<
$(F64_OBJ): $(BUILD)/f64/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC   $@)
	$(Q)$(CC) $(FLAGS) -DVL_REAL_DOUBLE -MMD -MP -c -o $@ $<

$(BUILD)/f32/libvlkit.a: $(LIB_SRC:%.c=$(BUILD)/f32/%.o)
$(BUILD)/f64/libvlkit.a: $(LIB_SRC:%.c=$(BUILD)/f64/%.o)
$(BUILD)/f32/libcli.a: $(CLI_SRC:%.c=$(BUILD)/f32/%.o)
$(BUILD)/f32/libvlkit.a $(BUILD)/f64/libvlkit.a $(BUILD)/f32/libcli.a:
	@rm -f $@
	$(call say,AR   $@)
	$(Q)$(AR) rcs $@ $^

F32_LIBS := $(BUILD)/f32/libcli.a $(BUILD)/f32/libvlkit.a
$(TOOLS): $(BUILD)/bin/%: $(BUILD)/f32/cli/$$(subst -,_,$$*).o $(F32_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/t_%: $(BUILD)/f32/tests/t_%.o $(F32_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(BUILD)/tests/t64_%: $(BUILD)/f64/tests/t64_%.o $(BUILD)/f64/libvlkit.a
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(BUILD)/data/%: $(BUILD)/f32/tests/data/%.o $(F32_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/mk_%: $(BUILD)/f32/tests/mk_%.o $(F32_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
FUZZ_MAIN := $(if $(FUZZ),,$(BUILD)/f32/tests/fuzz/driver.o)
$(BUILD)/fuzz/f_%: $(BUILD)/f32/tests/fuzz/f_%.o $(FUZZ_MAIN) $(F32_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(FLAGS) $(if $(FUZZ),-fsanitize=fuzzer) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/bench/b_%: $(BUILD)/f32/tests/bench/b_%.o $(F32_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# ---- tests -------------------------------------------------------------------------------------
check:
	@sh tests/deps.sh install build test
	@$(MAKE) --no-print-directory run-check

# prove fails when a test fails or has no plan; a tree without tests must fail, too.
run-check: all $(UNITS) $(MAKERS) $(FUZZERS)
	@test -n '$(strip $(UNITS))' -a -n '$(strip $(SCRIPTS))'
	@unset MAKEFLAGS MFLAGS MAKELEVEL; CC='$(CC)' BUILD='$(abspath $(BUILD))' BIN='$(abspath $(BUILD))/bin' \
	CMOCKA_MESSAGE_OUTPUT=TAP prove -j$(JOBS) $(UNITS) $(SCRIPTS)

# The big vectors are read once: the sanitizers keep their shadow of a gigabyte, clang adds nothing.
check-long: export KILLS := 50
check-long: export BIG := 1
check-long: check format
	@$(MAKE) --no-print-directory check SAN=address,undefined BIG=
	@$(MAKE) --no-print-directory check CC=clang BUILD=build-clang BIG=

# Each target in turn for FUZZ_SECONDS; what it finds lies in build-fuzz/found, new inputs in build-fuzz/corpus.
FUZZ_SECONDS ?= 60
fuzz:
	@$(MAKE) --no-print-directory CC=clang BUILD=build-fuzz SAN=address,undefined FUZZ=1 fuzzers
	@tests/fuzz/run.sh build-fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

bench: all $(BENCHES)
	@test -n '$(strip $(BENCHES))' || { echo 'no benchmark in tests/bench'; exit 1; }
	@for b in $(BENCHES); do echo "== $$(basename $$b)"; BIN='$(abspath $(BUILD))/bin' $$b || exit 1; done

demo:
	@sh tests/deps.sh install build demo
	@$(MAKE) --no-print-directory run-demo
run-demo: all
	BIN='$(abspath $(BUILD))/bin' tests/experiments/demo/run.sh

format:
	clang-format --dry-run -Werror $(wildcard $(addsuffix /*.[ch],formats pipeline distill cli tests tests/data tests/bench tests/fuzz))

# ---- the rest ----------------------------------------------------------------------------------
deps:
	@sh tests/deps.sh install build test demo

install: all
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/man/man1' '$(DESTDIR)$(PREFIX)/share/man/man5'
	install -m 755 $(TOOLS) '$(DESTDIR)$(PREFIX)/bin'
	for p in cli/man/*.1; do install -m 644 "$$p" '$(DESTDIR)$(PREFIX)/share/man/man1' || exit 1; done
	for p in cli/man/*.5; do test ! -e "$$p" || install -m 644 "$$p" '$(DESTDIR)$(PREFIX)/share/man/man5' || exit 1; done

clean:
	rm -rf build build-*

help:
	@echo 'vlkit $(VERSION): vision-language dataset distillation as Unix tools'
	@echo
	@echo '  make              build the tools into $(BUILD)/bin'
	@echo '  make check        all tests, minutes; installs missing packages first'
	@echo '  make check SAN=address,undefined    the same under sanitizers, in a folder of its own'
	@echo '  make check-long   check, then the sanitizers, then clang'
	@echo '  make demo         fetch real data, distil 100 pairs, print the table, write the report'
	@echo '  make fuzz         each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) with clang; FUZZ_TARGETS="npy pt" for some'
	@echo '  make bench        the benchmarks of tests/bench'
	@echo '  make install      tools and man pages to $$DESTDIR$$PREFIX [$(PREFIX)]'
	@echo '  make deps         install the Debian packages for all of this, or print the line that does'
	@echo '  make format       is every source formatted as .clang-format says?'
	@echo '  make clean        remove the build folders'
	@echo
	@echo '  ARCH=$(ARCH)       for -march; CC, CFLAGS, LDFLAGS, BUILD as usual; V=1 shows commands; JOBS=$(JOBS) tests at a time'

-include $(F32_OBJ:.o=.d) $(F64_OBJ:.o=.d)
