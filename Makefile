# topicfs. `make help` lists the targets.
#
# One archive a layer; a layer may use those below it only. Sources are listed, never globbed.
# Every path here is relative, so that the tree may lie in a directory with spaces in its name.

comma := ,
B := build$(if $(COV),-coverage)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
CC := gcc
CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wno-unused-parameter -fno-strict-aliasing $(if $(CI),-Werror)
CPPFLAGS := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314
LDFLAGS :=
ifneq ($(SAN),)
CFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer
# clang alone minds that an empty buffer's NULL + 0 is taken; the fuzzers' inputs lie behind that.
CFLAGS += $(if $(findstring fuzzer,$(SAN)),-fno-sanitize=pointer-overflow)
LDFLAGS += $(if $(filter fuzzer-no-link,$(subst $(comma), ,$(SAN))),-fsanitize=fuzzer) \
	-fsanitize=$(SAN)
endif
ifneq ($(COV),)
CFLAGS += --coverage -O0
LDFLAGS += --coverage
endif

base_SRC := daemon/base/assert.c daemon/base/buf.c daemon/base/fund.c daemon/base/hash.c \
	daemon/base/log.c daemon/base/name.c daemon/base/rfc3339.c daemon/base/sentence.c \
	daemon/base/serials.c daemon/base/utf8.c
store_SRC := daemon/store/record.c daemon/store/json.c daemon/store/json_text.c \
	daemon/store/disk.c daemon/store/format.c daemon/store/debt.c \
	daemon/store/index.c daemon/store/segment.c daemon/store/plog.c \
	daemon/store/plog_owed.c daemon/store/plog_scan.c \
	daemon/store/plog_read.c daemon/store/plog_find.c daemon/store/plog_retain.c \
	daemon/store/plog_open.c daemon/store/plog_clean.c daemon/store/clean.c \
	daemon/store/cleaner.c daemon/store/cleaning.c daemon/store/journal.c \
	daemon/store/kept.c \
	daemon/store/checkpoint.c daemon/store/texts.c daemon/store/files.c \
	daemon/store/recovery.c daemon/store/sync.c daemon/store/journaling.c \
	daemon/store/upkeep.c \
	daemon/store/snapshot.c \
	daemon/store/delete.c daemon/store/unopened.c daemon/store/store.c \
	daemon/store/overlay.c
io_SRC := daemon/io/disk.c daemon/io/ring.c daemon/io/pool.c
raft_SRC := raft/setting.c raft/topic_config.c raft/group_config.c raft/catalog.c \
	raft/metadata_cmd.c raft/metadata.c raft/metadata_check.c raft/metadata_forwarder.c \
	raft/metadata_snapshot.c
groups_SRC := daemon/groups/assign.c daemon/groups/assign_sticky.c daemon/groups/assign_flow.c \
	daemon/groups/group_table.c daemon/groups/group_subs.c daemon/groups/group_shares.c \
	daemon/groups/group_members.c daemon/groups/group_settle.c daemon/groups/group_offsets.c \
	daemon/groups/group.c daemon/groups/group_record.c daemon/groups/pattern.c \
	daemon/groups/request.c
fusefs_SRC := fusefs/errors.c fusefs/lock.c fusefs/view.c fusefs/node.c fusefs/handle.c \
	fusefs/fs.c fusefs/produce.c fusefs/partition.c \
	fusefs/answer.c fusefs/consume.c fusefs/window.c fusefs/text.c \
	fusefs/ops_name.c fusefs/ops_file.c fusefs/group_names.c fusefs/group_files.c \
	fusefs/member.c fusefs/member_span.c fusefs/member_lines.c fusefs/member_window.c \
	fusefs/session.c
daemon_SRC := daemon/config.c daemon/options.c daemon/metalog.c daemon/broker.c \
	daemon/broker_topics.c daemon/coordinator.c daemon/coordinator_access.c \
	daemon/coordinator_ahead.c \
	daemon/coordinator_damage.c daemon/coordinator_log.c daemon/coordinator_member.c \
	daemon/coordinator_offset.c daemon/coordinator_letter.c daemon/coordinator_text.c \
	daemon/coordinator_metrics.c \
	daemon/broker_text.c daemon/metrics.c daemon/round.c daemon/loop.c daemon/walk.c \
	daemon/offline.c daemon/verify.c daemon/verify_segment.c daemon/verify_files.c \
	daemon/dump.c daemon/top.c daemon/bench.c
main_SRC := daemon/main.c

# Tests: one program for each file, named after it, linked with its own layer and those below.
unit_base_TESTS := tests/unit/test_blockpool.c tests/unit/test_buf.c tests/unit/test_hash.c \
	tests/unit/test_name.c tests/unit/test_rfc3339.c tests/unit/test_serials.c \
	tests/unit/test_utf8.c
unit_store_TESTS := tests/unit/test_json.c tests/unit/test_debt.c tests/unit/test_cleaning.c \
	tests/unit/test_format.c \
	tests/unit/test_index.c tests/unit/test_plog.c \
	tests/unit/test_plog_damage.c tests/unit/test_clean.c tests/unit/test_journal.c \
	tests/unit/test_kept.c tests/unit/test_owed.c \
	tests/unit/test_checkpoint.c tests/unit/test_store.c tests/unit/test_store_end.c \
	tests/unit/test_unopened.c tests/unit/test_clean_damage.c
unit_io_TESTS := tests/unit/test_overlay.c tests/unit/test_io_disk.c
unit_raft_TESTS := tests/unit/test_topic_config.c tests/unit/test_group_config.c \
	tests/unit/test_metadata.c tests/unit/test_metadata_group.c
unit_groups_TESTS := tests/unit/test_assign.c tests/unit/test_assign_sticky.c \
	tests/unit/test_group.c tests/unit/test_group_members.c tests/unit/test_group_offsets.c \
	tests/unit/test_group_record.c tests/unit/test_pattern.c tests/unit/test_request.c
unit_fusefs_TESTS := tests/unit/test_errors.c tests/unit/test_lock.c tests/unit/test_view.c
unit_daemon_TESTS := tests/unit/test_config.c tests/unit/test_options.c \
	tests/unit/test_metalog.c tests/unit/test_verify.c
# These are linked with all layers.
sim_TESTS := tests/sim/model_plog.c tests/sim/model_groups.c
fault_TESTS := tests/fault/sweep_store.c tests/fault/sweep_clean.c tests/fault/sweep_topics.c \
	tests/fault/sweep_broker.c tests/fault/sweep_full.c tests/fault/sweep_groups.c \
	tests/fault/same_calls.c tests/fault/group_memory.c tests/fault/turns.c
fuzz_TESTS := tests/fuzz/batch.c tests/fuzz/broker_config.c tests/fuzz/checkpoint.c \
	tests/fuzz/debt.c tests/fuzz/group_config.c tests/fuzz/group_record.c \
	tests/fuzz/headers.c tests/fuzz/index.c \
	tests/fuzz/journal.c tests/fuzz/json.c tests/fuzz/json_text.c tests/fuzz/metadata_cmd.c \
	tests/fuzz/metadata_snapshot.c tests/fuzz/name.c tests/fuzz/plog.c tests/fuzz/request.c \
	tests/fuzz/rfc3339.c tests/fuzz/segment_head.c tests/fuzz/texts.c \
	tests/fuzz/topic_config.c \
	tests/fuzz/view.c
# What several tests share; linked into each that uses it.
testlib_SRC := tests/lib/simdisk.c tests/lib/simdisk_crash.c tests/lib/simdisk_file.c \
	tests/lib/fuzz.c tests/lib/seeds.c tests/lib/tracedisk.c
# Large blocks are used again where the sanitizer would map them anew (tests/lib/blockpool.h).
pool_SRC := tests/lib/blockpool.c
# What stands in for daemon/io and the kernel under a whole broker.
simworld_SRC := tests/lib/simmount.c tests/lib/simworld.c tests/lib/simworld_check.c \
	tests/lib/simworld_group.c tests/lib/simworld_kept.c tests/lib/simmemory.c
# What sweeps over it share.
simsweep_SRC := tests/lib/simsweep.c
# The other half of the model of a log.
model_SRC := tests/sim/model_clean.c tests/sim/model_journal.c
# Programs that mount cases run beside the binary.
mount_SRC := tests/mount/traced.c tests/mount/simulated.c
# The world of a group.
simgroup_SRC := tests/lib/simgroup.c tests/lib/simgroup_client.c
# What makes the files of tests/golden.
golden_SRC := tests/golden/make_golden.c
# The programs of tests/bench.
bench_SRC := tests/bench/ref.c tests/bench/client.c tests/bench/client_wake.c \
	tests/bench/client_group.c tests/bench/fill.c

LAYERS := base store io raft groups fusefs daemon
# The archives of a layer's programs and what they need, upper ones first, as the linker wants it.
base_NEEDS := base
store_NEEDS := store base
io_NEEDS := io store base
raft_NEEDS := raft store base
groups_NEEDS := groups base
fusefs_NEEDS := fusefs store base
daemon_NEEDS := daemon fusefs groups raft io store base
base_LIBS := -lxxhash
store_LIBS := -lyajl -lzstd
io_LIBS := -luring -lpthread
raft_LIBS :=
groups_LIBS := -lpcre2-8
fusefs_LIBS := -lfuse3
daemon_LIBS :=

obj = $(patsubst %.c,$(B)/%.o,$(1))
bin = $(patsubst %.c,$(B)/%,$(1))
archives = $(patsubst %,$(B)/lib%.a,$($(1)_NEEDS))
libs = $(foreach l,$($(1)_NEEDS),$($(l)_LIBS))

unit_TESTS := $(foreach l,$(LAYERS),$(unit_$(l)_TESTS))
all_SRC := $(foreach l,$(LAYERS),$($(l)_SRC)) $(main_SRC) $(testlib_SRC) $(simworld_SRC) \
	$(simsweep_SRC) $(model_SRC) $(golden_SRC) $(bench_SRC) $(mount_SRC) $(simgroup_SRC) \
	$(pool_SRC)
all_TESTS := $(unit_TESTS) $(sim_TESTS) $(fault_TESTS) $(fuzz_TESTS)

# A failed recipe leaves no half-written target.
.DELETE_ON_ERROR:

.PHONY: all
all: $(B)/topicfs ## build build/topicfs (SAN=address,undefined or SAN=thread: in build-...)

define layer_rule
$(B)/lib$(1).a: $(call obj,$($(1)_SRC))
	@mkdir -p $(B)
	@rm -f $$@
	ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(LAYERS) testlib,$(eval $(call layer_rule,$(l))))

define test_rule
$(call bin,$(2)): $(B)/%: $(B)/%.o $(B)/libtestlib.a $(call archives,$(1))
	$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(filter %.a,$$^) -lcmocka $(call libs,$(1))
endef
$(foreach l,$(LAYERS),$(if $(unit_$(l)_TESTS),$(eval $(call test_rule,$(l),$(unit_$(l)_TESTS)))))
world_TESTS := tests/fault/sweep_broker.c tests/fault/sweep_full.c tests/fault/sweep_groups.c \
	tests/fault/turns.c
memory_TESTS := tests/fault/group_memory.c
pool_TESTS := $(unit_TESTS) $(sim_TESTS) $(fault_TESTS)
plain_TESTS := $(sim_TESTS) $(filter-out $(world_TESTS) $(memory_TESTS),$(fault_TESTS))
$(eval $(call test_rule,daemon,$(plain_TESTS)))

pool_WRAPS := malloc calloc aligned_alloc realloc reallocarray free
ifneq ($(findstring address,$(SAN)),)
$(call bin,$(pool_TESTS)): LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(pool_WRAPS))
$(call bin,$(pool_TESTS)): $(call obj,$(pool_SRC))
endif

# The same archives, but what they allocate can be refused (tests/lib/simmemory.h).
ALLOCATES := malloc calloc realloc reallocarray aligned_alloc strdup strndup
world_archives = $(patsubst %,$(B)/world/lib%.a,$(daemon_NEEDS))
$(B)/world/lib%.a: $(B)/lib%.a
	@mkdir -p "$(@D)"
	objcopy $(foreach f,$(ALLOCATES),--redefine-sym $(f)=simmemory_$(f)) $< $@

$(call bin,$(world_TESTS)): $(B)/%: $(B)/%.o $(call obj,$(simworld_SRC) $(simsweep_SRC)) \
		$(B)/libtestlib.a $(world_archives)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(call libs,daemon)
$(call bin,$(memory_TESTS)): $(B)/%: $(B)/%.o $(B)/tests/lib/simmemory.o \
		$(patsubst %,$(B)/world/lib%.a,$(groups_NEEDS))
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(call libs,groups)

# The binary, with a disk that notes its calls; and the same over a simulated disk and mount.
$(B)/tests/mount/traced: $(call obj,$(main_SRC) tests/mount/traced.c) $(B)/libtestlib.a \
		$(call archives,daemon)
	$(CC) $(LDFLAGS) -Wl,--wrap=io_disk_open -o $@ $(filter %.o,$^) $(filter %.a,$^) \
		$(call libs,daemon)
$(B)/tests/mount/simulated: $(B)/tests/mount/simulated.o $(call obj,$(simworld_SRC)) \
		$(B)/libtestlib.a $(world_archives)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(call libs,daemon)
$(B)/tests/sim/model_plog: $(call obj,$(model_SRC))
$(B)/tests/sim/model_groups: $(call obj,$(simgroup_SRC))

$(if $(fuzz_TESTS),$(call bin,$(fuzz_TESTS))): $(B)/%: $(B)/%.o $(B)/libtestlib.a \
		$(call archives,daemon)
	$(CC) $(LDFLAGS) -o $@ $^ $(call libs,daemon)

$(B)/%.o: %.c $(B)/flags
	@mkdir -p "$(@D)"
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/topicfs: $(call obj,$(main_SRC)) $(call archives,daemon)
	$(CC) $(LDFLAGS) -o $@ $^ $(call libs,daemon)

$(B)/tests/golden/make_golden: $(B)/tests/golden/make_golden.o $(call archives,daemon)
	$(CC) $(LDFLAGS) -o $@ $^ $(call libs,daemon)

$(B)/tests/bench/ref: $(B)/tests/bench/ref.o
	$(CC) $(LDFLAGS) -o $@ $^ -lfuse3
$(B)/tests/bench/fill: $(B)/tests/bench/fill.o $(call archives,daemon)
	$(CC) $(LDFLAGS) -o $@ $^ $(call libs,daemon)
$(B)/tests/bench/client: $(B)/tests/bench/client.o $(B)/tests/bench/client_wake.o \
		$(B)/tests/bench/client_group.o
	$(CC) $(LDFLAGS) -o $@ $^ -lpthread

# Other flags (CI=true, another compiler) build everything again.
flags := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(B)/flags: always
	@mkdir -p $(B)
	@printf '%s\n' '$(flags)' | cmp -s - $@ || printf '%s\n' '$(flags)' >$@

.PHONY: always
always:

# ---- Running ----

.PHONY: setup setup-test
setup: ## install the Debian packages that building and running need
	@tools/setup build
setup-test:
	@tools/setup build test

.PHONY: run
run: setup ## build, then a broker in the foreground: data in ./data, mounted on ./mnt
	@$(MAKE) --no-print-directory -s all
	@tools/run $(B)/topicfs mnt data

.PHONY: demo
demo: setup ## a guided tour on this machine's own package log
	@tools/need examples/demo 'there is no tour to play'
	@$(MAKE) --no-print-directory -s all
	@TOPICFS=$(B)/topicfs examples/demo

.PHONY: bench
bench: setup-test ## figures beside the native file system's
	@tools/need tests/bench/run 'there is no benchmark to run'
	@$(MAKE) --no-print-directory -s all $(B)/tests/bench/ref $(B)/tests/bench/client \
		$(B)/tests/bench/fill
	@B='$(B)' tests/bench/run

# ---- Testing: docs/testing.md ----

SUITE = tests/lib/suite --make '$(MAKE)'
# The layers of `make test`, in order; "mount-refused" is mount without io_uring, O_DIRECT, splice.
test_LAYERS := tidy unit $(if $(fuzz_TESTS),fuzz) $(if $(sim_TESTS),sim) \
	$(if $(fault_TESTS),fault) mount mount-refused $(if $(wildcard tests/golden/cases),golden)

.PHONY: test
test: setup-test ## everything that CI runs
	@$(SUITE) $(test_LAYERS)

.PHONY: check
check: setup-test ## under a minute: tidy, unit tests, a few mount cases
	@$(SUITE) tidy unit mount-quick

.PHONY: check-unit
check-unit: setup-test ## unit tests, [CASE=test_NOUN] one of them
	@$(SUITE) $(if $(CASE),--case '$(CASE)') unit

.PHONY: check-mount
check-mount: setup-test ## mount cases, [CASE=name] one of them, [REFUSE=io_uring,...] without these
	@$(SUITE) $(if $(CASE),--case '$(CASE)') $(if $(SAN),--san '$(SAN)') \
		$(if $(REFUSE),--refuse '$(REFUSE)') mount

.PHONY: check-long
check-long: setup-test ## simulation, faults, kills for long, [SEED=n] again as printed
	@$(SUITE) --long $(if $(SEED),--seed '$(SEED)') sim fault mount-long

.PHONY: fuzz
fuzz: setup-test ## each fuzzer for [SECONDS=60], [CASE=name] one of them
	@$(SUITE) $(if $(CASE),--case '$(CASE)') --fuzz-seconds '$(or $(SECONDS),60)' fuzz

.PHONY: soak
soak: setup-test ## load, kills and checks for [MINUTES=10]
	@tools/need tests/soak/run 'there is no soak test to run'
	@$(MAKE) --no-print-directory -s all
	@TOPICFS=$(B)/topicfs tests/soak/run '$(or $(MINUTES),10)'

# Only when the format changes: the stored ones are what older builds wrote.
.PHONY: golden-files
golden-files: $(B)/tests/golden/make_golden
	@for i in clean killed cleaned cleaning; do \
		rm -rf $(B)/golden-$$i; $(B)/tests/golden/make_golden $$i $(B)/golden-$$i; done
	@tests/golden/lib/pack $(B)/v1.tar.xz $(B)/golden-clean clean $(B)/golden-killed killed
	@tests/golden/lib/pack $(B)/v1_cleaned.tar.xz $(B)/golden-cleaned cleaned \
		$(B)/golden-cleaning cleaning
	@for i in v1 v1_cleaned; do cmp $(B)/$$i.tar.xz tests/golden/$$i.tar.xz || \
		echo 'they differ: see docs/disk-format.md'; done

.PHONY: broken
broken: setup-test ## break the code on purpose: the tests must notice
	@tools/need tests/broken/run 'there are no broken variants to try'
	@tests/broken/run

.PHONY: tidy
tidy: setup-test ## layers, banned calls, lengths, format
	@$(SUITE) tidy

.PHONY: format
format: ## clang-format on all C files
	@tests/tidy/tidy --format

# What did not change since its last analysis is not analysed again.
.PHONY: analyze
analyze: $(patsubst %.c,$(B)/%.analyzed,$(wildcard $(all_SRC))) ## gcc -fanalyzer on what changed

$(B)/%.analyzed: %.c $(B)/flags
	@mkdir -p "$(@D)"
	$(CC) $(CPPFLAGS) $(CFLAGS) -Werror -fanalyzer -MMD -MP -MF $@.d -MT $@ -c -o /dev/null $<
	@touch $@

.PHONY: coverage
coverage: setup-test ## lines that the tests without a mount execute, by file
	@$(SUITE) --coverage unit $(if $(sim_TESTS),sim) $(if $(fault_TESTS),fault)
	@tools/coverage build-coverage $(wildcard $(all_SRC))

# For tests/lib/suite and tests/tidy/tidy.
.PHONY: list-sources list-unit list-sim list-fault list-fuzz
list-sources:
	@printf '%s\n' $(all_SRC) $(all_TESTS)
list-unit list-sim list-fault list-fuzz: list-%:
	@printf '%s\n' $(call bin,$($*_TESTS))
.PHONY: build-unit build-sim build-fault build-fuzz
build-unit: $(call bin,$(unit_TESTS))
build-sim: $(call bin,$(sim_TESTS))
build-fault: $(call bin,$(fault_TESTS))
build-fuzz: $(call bin,$(fuzz_TESTS))
.PHONY: build-mount
build-mount: $(B)/topicfs $(call bin,$(mount_SRC))

# ---- Installing ----

PREFIX := /usr/local
DESTDIR :=
BINDIR := $(PREFIX)/bin
MANDIR := $(PREFIX)/share/man
COMPDIR := $(PREFIX)/share/bash-completion/completions
UNITDIR := $(PREFIX)/lib/systemd/system

.PHONY: install
install: all ## binary, man page, completion, systemd unit; PREFIX=/usr/local DESTDIR=
	install -D -m 755 $(B)/topicfs "$(DESTDIR)$(BINDIR)/topicfs"
	install -D -m 644 docs/topicfs.1 "$(DESTDIR)$(MANDIR)/man1/topicfs.1"
	install -D -m 644 docs/topicfs.bash "$(DESTDIR)$(COMPDIR)/topicfs"
	sed 's|@BINDIR@|$(BINDIR)|g' docs/topicfs.service.in >$(B)/topicfs.service
	install -D -m 644 $(B)/topicfs.service "$(DESTDIR)$(UNITDIR)/topicfs.service"

.PHONY: uninstall
uninstall: ## removes what install put there; data and settings stay
	rm -f "$(DESTDIR)$(BINDIR)/topicfs" "$(DESTDIR)$(MANDIR)/man1/topicfs.1" \
		"$(DESTDIR)$(COMPDIR)/topicfs" "$(DESTDIR)$(UNITDIR)/topicfs.service"

.PHONY: clean
clean: ## removes what was built; never ./data, and nothing through a mount
	rm -rf --one-file-system build build-*

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

-include $(patsubst %.c,$(B)/%.d,$(all_SRC) $(all_TESTS))
-include $(patsubst %.c,$(B)/%.analyzed.d,$(all_SRC))
