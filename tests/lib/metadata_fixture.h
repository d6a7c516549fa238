/*
 * A state machine of metadata, and commands applied to it as they are stored, for unit tests.
 */
#ifndef TOPICFS_TESTS_LIB_METADATA_FIXTURE_H
#define TOPICFS_TESTS_LIB_METADATA_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/hash.h"
#include "raft/metadata.h"

#define NOW_MS 1770028200123LL

static const uint8_t cluster_id[16] = "the cluster's id";
static struct metadata_result result;
static uint64_t next_index;

static inline struct metadata *fresh(void)
{
	next_index = 1;
	return metadata_new(cluster_id);
}

static inline int apply(struct metadata *md, const struct metadata_cmd *cmd)
{
	struct buf b;

	buf_init(&b);
	metadata_cmd_encode(cmd, &b);
	assert_int_equal(buf_err(&b), 0);
	metadata_apply(md, next_index++, 1, b.data, b.len, &result);
	buf_fini(&b);
	assert_true(!result.err == !*result.sentence);
	return result.err;
}

#endif
