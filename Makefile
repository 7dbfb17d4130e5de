# vmta's one Makefile: nothing recurses, nothing is generated, sources are
# found by wildcard.
#
#	make			the tools, in bin/
#	make demo		build, and watch a batch leave
#	make test		build, and run all tests
#	make check		the quick tests, and lint
#	make lint asan cov	what .ci/run runs beside the tests; coverage
#	make fuzz		libFuzzer, FUZZ_TIME=60 seconds a target of t/fuzz/
#	make crash		kills, faults, full disks and power failures, all
#				of them (make test has a sample); CRASH_TIMES=10
#				repeats it until one fails
#	make valgrind int	the fuzz corpora and unit tests under memcheck,
#				and with clang's integer sanitizer
#	make bench		vmta beside tuned Postfix, into
#				share/doc/BENCHMARKS.md; as root, 10 minutes
#	make perfcheck		instructions a message, by callgrind
#	make format		clang-format everything
#	make install		DESTDIR= PREFIX=/opt/vmta; see share/files
#	make deps clean dist
#
# Everything that is built lies in build/VARIANT/ (release, clang, asan, cov,
# fuzz, int); the tools of the release and clang variants are linked into bin/
# too.
#
#	lib/LAYER/*.c		-> build/V/libvmta.a
#	lib/api/*.c		-> build/V/lib/libvmta-submit.{a,so.0}
#	bin/TOOL.c bin/TOOL-*.c	-> build/V/bin/TOOL
#	t/unit/X.c		-> build/V/t/unit/X	(cmocka, TAP)
#	t/crash/X.c		-> build/V/t/crash/X	(the same)
#	t/fuzz/X.c		-> build/V/t/fuzz/X	(a fuzz target; replays
#						files unless V=fuzz)
#	t/helper/X.c		-> build/V/t/helper/X
#	t/helper/X/*.c		-> build/V/t/helper/X
#	t/preload/X.c		-> build/V/t/preload/X.so
#
# Useful variables: CC=clang, TEST_FILES='t/2*.bats build/release/t/unit/x',
# TEST_JOBS=2, COV_MIN=80, VERBOSE=1.

VERSION := 0.1
PREFIX ?= /opt/vmta
DESTDIR ?=
COV_MIN ?= 80
TEST_JOBS ?= 2

ifeq ($(origin CC),default)
CC := $(if $(filter fuzz int,$V),clang,gcc)
endif
V ?= $(if $(findstring clang,$(CC)),clang,release)
B := build/$V
Q := $(if $(VERBOSE),,@)

MAKEFLAGS += --no-builtin-rules --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j2
endif
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

# Flags ----------------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wformat=2 \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wvla -Wwrite-strings -Wcast-qual -Wundef
HARD := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
ifeq ($(shell uname -m),x86_64)
HARD += -fcf-protection
endif
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

OPT_release := -O2 -g $(HARD)
OPT_clang := $(OPT_release)
OPT_asan := -O1 -g -fno-omit-frame-pointer $(SAN)
# Atomic: threads and killed processes must not leave negative counts.
OPT_cov := -O0 -g --coverage -fprofile-update=atomic
# The library and the targets are instrumented, mains are libFuzzer's.
OPT_fuzz := -O1 -g -fno-omit-frame-pointer $(SAN) -fsanitize=fuzzer-no-link
# What wraps or loses bits without a cast, but for what int.ignore names.
INT := -fsanitize=integer,implicit-conversion,bounds \
	-fsanitize-ignorelist=t/fuzz/int.ignore -fno-sanitize-recover=all
OPT_int := -O1 -g -fno-omit-frame-pointer $(INT)
LINK_fuzz := $(SAN)
LINK_int := $(INT)
LINK_asan := $(SAN)
LINK_cov := --coverage

ALL_CPPFLAGS := -D_GNU_SOURCE -DVMTA_VERSION='"$(VERSION)"' -Ilib $(CPPFLAGS)
ALL_CFLAGS := -std=c17 $(WARN) $(OPT_$V) -fPIE $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LINK_$V) $(LDFLAGS)

# --as-needed and one archive: a tool is linked with what it uses and no more
# (t/lint/links.sh checks that vmta-inject has neither DNS nor TLS).
LIBS := -l:libcdb.a -lconfuse -lidn2 -lpcre2-8 -lunistring -luv -lunbound \
	-lxxhash -lpthread
TEST_LIBS := -lcmocka

# vmta-inject runs once a message, and a good part of its start was looking for
# libraries: those that it uses are part of it. INJECT_SHARED=1 links
# them like others (a distribution may want that).
ifeq ($(INJECT_SHARED),)
INJECT_LIBS := -Wl,-Bstatic -lcdb -lconfuse -lidn2 -lunistring -lpcre2-8 -lxxhash \
	-Wl,-Bdynamic -luv -lunbound -lpthread
else
INJECT_LIBS := $(LIBS)
endif

# What there is ---------------------------------------------------------------

API_SRC := $(sort $(wildcard lib/api/*.c))
API_OBJ := $(API_SRC:%.c=$B/obj/%.o)
API_NAME := libvmta-submit.so.0
API := $B/lib/$(API_NAME) $B/lib/libvmta-submit.so $B/lib/libvmta-submit.a
LIB_SRC := $(filter-out $(API_SRC),$(sort $(wildcard lib/*/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$B/obj/%.o)
LIB := $B/libvmta.a

# bin/vmta-X.c is a tool, bin/vmta-X-PART.c a part of it.
BIN_SRC := $(sort $(wildcard bin/vmta-*.c))
TOOLS := $(foreach s,$(BIN_SRC:bin/%.c=%),\
	$(if $(word 3,$(subst -, ,$s)),,$s))
UNIT := $(patsubst %.c,$B/%,$(sort $(wildcard t/unit/*.c t/crash/*.c)))
FUZZ_MAIN := t/fuzz/replay.c
FUZZ := $(patsubst %.c,$B/%,$(filter-out $(FUZZ_MAIN),\
	$(sort $(wildcard t/fuzz/*.c))))
HELPER_ONE := $(patsubst %.c,$B/%,$(sort $(wildcard t/helper/*.c)))
HELPER_DIR := $(addprefix $B/,$(sort $(patsubst %/,%,\
	$(dir $(wildcard t/helper/*/*.c)))))
PRELOAD := $(patsubst %.c,$B/%.so,$(wildcard t/preload/*.c))
HELPERS := $(HELPER_ONE) $(HELPER_DIR) $(PRELOAD)
BATS := $(sort $(wildcard t/*.bats t/crash/*.bats))

C_FILES = $(sort $(wildcard lib/*/*.[ch] bin/*.[ch] t/*/*.[ch] \
	t/helper/*/*.[ch]))

# Building --------------------------------------------------------------------

.PHONY: all lib api tools units helpers fuzzers test-programs
all: tools api
ifneq ($(filter release clang,$V),)
all: $(TOOLS:%=bin/%) $(API:$B/%=%)
endif
lib: $(LIB)
api: $(API)
tools: $(TOOLS:%=$B/bin/%)
units: $(UNIT)
helpers: $(HELPERS)
fuzzers: $(FUZZ)
test-programs: all units helpers fuzzers
	@:

# The flags of the last build: a change of them (or of CC) builds anew.
FLAGS_NOW := $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS) \
	$(if $(INJECT_SHARED),shared)
ifneq ($(strip $(FLAGS_NOW)),$(strip $(file <$B/flags)))
$(shell mkdir -p $B)
$(file >$B/flags,$(FLAGS_NOW))
endif

$B/obj/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(if $(VERBOSE),,@echo "  CC    $<")
	$Q$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJ) $B/lib.list
	$(if $(VERBOSE),,@echo "  AR    $@")
	$Qrm -f $@ && ar rcs $@ $(LIB_OBJ)

# The archive is made anew when a source has gone.
ifneq ($(strip $(LIB_SRC)),$(strip $(file <$B/lib.list)))
$(file >$B/lib.list,$(LIB_SRC))
endif

# The public library: of its own objects and the C library alone, found by
# where it lies (../bin), or else by PREFIX.
$(API_OBJ): ALL_CFLAGS := $(ALL_CFLAGS:-fPIE=-fPIC) -fvisibility=hidden
$(API_OBJ): ALL_CPPFLAGS += -DVMTA_PREFIX='"$(PREFIX)"'
$B/lib/$(API_NAME): $(API_OBJ) lib/api/vmta-submit.map
	$(if $(VERBOSE),,@echo "  LINK  $@")
	@mkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS:-fPIE=-fPIC) $(filter-out -pie,$(ALL_LDFLAGS)) \
	    -shared -Wl,-soname,$(API_NAME) \
	    -Wl,--version-script,lib/api/vmta-submit.map \
	    -o $@ $(API_OBJ)
$B/lib/libvmta-submit.so: $B/lib/$(API_NAME)
	$Qln -sf $(API_NAME) $@
# One object, in which only vmta_* can be seen.
$B/lib/libvmta-submit.a: $(API_OBJ)
	$(if $(VERBOSE),,@echo "  AR    $@")
	@mkdir -p $(@D)
	$Qrm -f $@ && ld -r -o $@.o $(API_OBJ) && \
	    objcopy --localize-hidden $@.o && ar rcs $@ $@.o && rm $@.o
lib/libvmta-submit%: $B/lib/libvmta-submit%
	$Qcp -Pf $< $@

define link
$(if $(VERBOSE),,@echo "  LINK  $@")
@mkdir -p $(@D)
$Q$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^)
endef

TOOL_LIBS := $(LIBS)
$B/bin/vmta-inject: TOOL_LIBS := $(INJECT_LIBS)

define tool_rule
$B/bin/$1: $(patsubst %.c,$B/obj/%.o,bin/$1.c \
	$(wildcard bin/$1-*.c)) $(LIB)
	$$(link) $$(TOOL_LIBS)
bin/$1: $B/bin/$1
	$Qln -f $$< $$@ 2>/dev/null || cp $$< $$@
endef
$(foreach t,$(TOOLS),$(eval $(call tool_rule,$t)))

$(UNIT): $B/%: $B/obj/%.o $(LIB)
	$(link) $(TEST_LIBS) $(LIBS)
$(HELPER_ONE): $B/%: $B/obj/%.o $(LIB)
	$(link) $(LIBS)
ifeq ($V,fuzz)
$(FUZZ): $B/%: $B/obj/%.o $(LIB)
	$(link) -fsanitize=fuzzer $(LIBS)
else
$(FUZZ): $B/%: $B/obj/%.o $(FUZZ_MAIN:%.c=$B/obj/%.o) $(LIB)
	$(link) $(LIBS)
endif
# Without sanitizers: it comes before all of a program.
$(PRELOAD): $B/%.so: %.c $B/flags
	$(if $(VERBOSE),,@echo "  LINK  $@")
	@mkdir -p $(@D)
	$Q$(CC) $(ALL_CPPFLAGS) -std=c17 $(WARN) -O2 -fPIC -shared -o $@ $<
define helper_rule
$1: $(patsubst %.c,$B/obj/%.o,$(wildcard $(1:$B/%=%)/*.c)) $(LIB)
	$$(link) $(LIBS)
endef
$(foreach h,$(HELPER_DIR),$(eval $(call helper_rule,$h)))

-include $(wildcard $(addprefix $B/obj/,*/*.d */*/*.d */*/*/*.d))

# Dependencies ----------------------------------------------------------------

.PHONY: deps deps-build deps-test deps-lint deps-fuzz
deps: deps-test
deps-build:
	@share/deps/install share/deps/build.txt
deps-test:
	@share/deps/install share/deps/build.txt share/deps/test.txt
deps-fuzz:
	@share/deps/install share/deps/build.txt share/deps/test.txt \
	    share/deps/fuzz.txt
deps-lint:
	@share/deps/install share/deps/build.txt share/deps/test.txt \
	    share/deps/lint.txt

# Demo and tests ----------------------------------------------------------------
# These need packages before anything is built: hence the second make.

.PHONY: demo test check quick asan cov mutants peers run-tests
.PHONY: fuzz valgrind int run-int crash bench perfcheck
demo: deps-build
	@$(MAKE) all helpers
	@VMTA_BUILD=$(CURDIR)/$B share/demo/run

test: deps-test peers
	@$(MAKE) test-programs
	@$(MAKE) run-tests

quick: deps-test
	@$(MAKE) test-programs
	@VMTA_QUICK=1 $(MAKE) run-tests

check: quick
	@$(MAKE) lint

peers: deps-test
	@t/helper/peers.sh

# t/run finds the programs of this variant through VMTA_BUILD.
TEST_FILES ?= $(UNIT) $(BATS)
run-tests:
	@VMTA_BUILD=$(CURDIR)/$B TEST_JOBS=$(TEST_JOBS) t/run $(TEST_FILES)

asan: deps-test peers
	@$(MAKE) V=asan test-programs
	@$(MAKE) V=asan run-tests

CRASH := $(sort $(wildcard t/81*.bats t/3450-*.bats t/1100-*.bats \
	t/crash/*.bats))
CRASH_UNIT = $(patsubst %.c,$B/%,$(sort $(wildcard t/crash/*.c)))
CRASH_TIMES ?= 1
crash: deps-test peers
	@$(MAKE) test-programs
	@VMTA_BUILD=$(CURDIR)/$B t/crash/run $(CRASH_TIMES) $(CRASH_UNIT) \
	    $(CRASH)

# FUZZ_ONLY="reply conf": only these targets.
FUZZ_TIME ?= 60
fuzz: deps-fuzz
	@$(MAKE) V=fuzz fuzzers
	@FUZZ_TIME=$(FUZZ_TIME) t/fuzz/run $(FUZZ_ONLY)

# The unit tests and the corpora, in other company: clang's integer sanitizer;
# valgrind's memcheck (uninitialised octets, which ASan does not see).
UNIT_ONLY = $(patsubst %.c,$B/%,$(sort $(wildcard t/unit/*.c)))
int: deps-fuzz peers
	@$(MAKE) V=int test-programs
	@$(MAKE) V=int run-int
run-int:
	@$(MAKE) TEST_FILES="$(UNIT_ONLY) t/0300-fuzz-corpus.bats" run-tests

valgrind: deps-fuzz
	@$(MAKE) test-programs
	@VMTA_BUILD=$(CURDIR)/$B t/fuzz/valgrind

# Each deliberate defect of t/mutants/ must be noticed by its test.
mutants: deps-test peers
	@t/mutants/run

bench: deps-test peers
	@$(MAKE) tools helpers
	@VMTA_BUILD=$(CURDIR)/$B t/bench/run

# PERFCHECK=--record: these are the counts from now on.
perfcheck: deps-test
	@$(MAKE) tools helpers
	@VMTA_BUILD=$(CURDIR)/$B t/bench/perfcheck $(PERFCHECK)

cov: deps-lint peers
	@$(MAKE) V=cov test-programs
	@find build/cov -name '*.gcda' -delete
	@$(MAKE) V=cov run-tests
	@gcovr --root . --filter 'lib/' --object-directory build/cov \
	    --gcov-ignore-parse-errors \
	    --txt build/cov/lines.txt --print-summary \
	    --fail-under-line $(COV_MIN) build/cov/obj
	@echo "cov: the lines that no test reached are in build/cov/lines.txt"

# Style ---------------------------------------------------------------------------

.PHONY: lint format
lint: deps-lint
	@$(MAKE) all
	@t/lint/run

format:
	@clang-format -i $(C_FILES)

# The rest --------------------------------------------------------------------------

.PHONY: install clean dist
install: all
	@share/install share/files "$(DESTDIR)" "$(PREFIX)"

dist:
	@mkdir -p build
	git archive --prefix=vmta-$(VERSION)/ -o build/vmta-$(VERSION).tar.gz \
	    HEAD

clean:
	rm -rf $(filter-out build/peers,$(wildcard build/*)) $(TOOLS:%=bin/%) \
	    $(API:$B/%=%)
