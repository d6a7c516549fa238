# topicfs. `make help` lists the targets.
#
# One archive a layer; a layer may use those below it only. Sources are listed, never globbed.

comma := ,
B := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
CC := gcc
CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wno-unused-parameter -fno-strict-aliasing $(if $(CI),-Werror)
CPPFLAGS := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314
LDFLAGS :=
ifneq ($(SAN),)
CFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
endif

base_SRC := daemon/base/assert.c daemon/base/buf.c daemon/base/hash.c daemon/base/log.c \
	daemon/base/rfc3339.c
store_SRC := daemon/store/record.c
io_SRC :=
raft_SRC :=
fusefs_SRC :=
daemon_SRC :=

LAYERS := base store io raft fusefs daemon
# Upper layers first, as the linker wants them.
LIBS := -lfuse3 -luring -lzstd -lxxhash -lyajl -lpthread

obj = $(patsubst %.c,$(B)/%.o,$(1))
ARCHIVES := $(foreach l,$(LAYERS),$(B)/lib$(l).a)

.PHONY: all
all: $(B)/topicfs

define layer_rule
$(B)/lib$(1).a: $(call obj,$($(1)_SRC))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/topicfs: $(B)/daemon/main.o $(B)/libdaemon.a $(B)/libfusefs.a $(B)/libraft.a $(B)/libio.a \
		$(B)/libstore.a $(B)/libbase.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# The benchmark: the reference file systems, the one client program, and what compares them.
$(B)/tests/bench/ref: $(B)/tests/bench/ref.o
	$(CC) $(LDFLAGS) -o $@ $^ -lfuse3
$(B)/tests/bench/client: $(B)/tests/bench/client.o $(B)/tests/bench/client_wake.o
	$(CC) $(LDFLAGS) -o $@ $^ -lpthread

.PHONY: bench
bench: $(B)/topicfs $(B)/tests/bench/ref $(B)/tests/bench/client
	B="$(B)" tests/bench/run

.PHONY: clean
clean:
	rm -rf build build-*

-include $(shell find build* -name '*.d' 2>/dev/null)
