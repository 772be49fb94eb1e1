# vlkit -- make help says what there is.
CC     ?= cc
BUILD  ?= build
ARCH   ?= native
PREFIX ?= /usr/local
SAN    ?=

PKGS    := libzstd libxxhash libjpeg libpng openblas jansson libutf8proc libcrypto
STD     := -std=c11 -D_GNU_SOURCE -pthread
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Werror
OPT     := -O3 -g -march=$(ARCH)
PKGC    := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKGL    := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
ifneq ($(SAN),)
OPT     := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
endif
CFLAGS  += $(STD) $(WARN) $(OPT) -I. $(PKGC)
LDLIBS  += $(PKGL) -lm

LIB_SRC  := $(wildcard formats/*.c pipeline/*.c distill/*.c)
CLI_SRC  := $(filter-out cli/vl%.c,$(wildcard cli/*.c))
TOOL_SRC := $(wildcard cli/vl*.c)
TOOLS    := $(patsubst cli/%.c,$(BUILD)/bin/%,$(subst _,-,$(TOOL_SRC)))
# Unit programs: tests/t_*.c link the float library, tests/t64_*.c the double one.
T_SRC    := $(wildcard tests/t_*.c)
T64_SRC  := $(wildcard tests/t64_*.c)
B_SRC    := $(wildcard tests/bench/b_*.c)
TESTS    := $(T_SRC:tests/%.c=$(BUILD)/tests/%) $(T64_SRC:tests/%.c=$(BUILD)/tests/%)
BENCHES  := $(B_SRC:tests/bench/%.c=$(BUILD)/bench/%)

.PHONY: all check check-long bench demo install deps help clean
all: $(TOOLS)

# The engine is compiled twice, for float and for double (vl_real); file names are unique in the tree.
$(BUILD)/f32/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/f64/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DVL_REAL_DOUBLE -MMD -MP -c -o $@ $<
$(BUILD)/f32/libvlkit.a: $(LIB_SRC:%.c=$(BUILD)/f32/%.o)
	@rm -f $@
	ar rcs $@ $^
$(BUILD)/f64/libvlkit.a: $(LIB_SRC:%.c=$(BUILD)/f64/%.o)
	@rm -f $@
	ar rcs $@ $^
$(BUILD)/f32/libcli.a: $(CLI_SRC:%.c=$(BUILD)/f32/%.o)
	@rm -f $@
	ar rcs $@ $^

.SECONDEXPANSION:
$(TOOLS): $(BUILD)/bin/%: $(BUILD)/f32/cli/$$(subst -,_,$$*).o $(BUILD)/f32/libcli.a $(BUILD)/f32/libvlkit.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/t_%: $(BUILD)/f32/tests/t_%.o $(BUILD)/f32/libcli.a $(BUILD)/f32/libvlkit.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(BUILD)/tests/t64_%: $(BUILD)/f64/tests/t64_%.o $(BUILD)/f64/libvlkit.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DVL_REAL_DOUBLE -o $@ $^ $(LDLIBS) -lcmocka
$(BUILD)/bench/b_%: $(BUILD)/f32/tests/bench/b_%.o $(BUILD)/f32/libcli.a $(BUILD)/f32/libvlkit.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)
.PRECIOUS: $(BUILD)/f32/%.o $(BUILD)/f64/%.o

check: all $(TESTS)
	BIN=$(CURDIR)/$(BUILD)/bin prove $(TESTS) $(wildcard tests/*.sh tests/cli/*-*.sh)

bench: all $(BENCHES)
	@for b in $(BENCHES); do echo "== $$(basename $$b)"; $$b || exit 1; done

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
