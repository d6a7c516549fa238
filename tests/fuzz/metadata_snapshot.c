/* Snapshots of the metadata, as they are and with a checksum that fits, in either version: one
 * state has one encoding, so what decodes encodes to the same bytes; from version 1 it does after
 * the first time. */
#include "daemon/base/hash.h"
#include "raft/metadata.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

#define HEAD_LEN 16U
#define SUM_LEN 8U

static void check_finds(const struct metadata *md)
{
	const struct metadata_topic *last = NULL;

	for (uint32_t i = 0; i < metadata_topic_cnt(md); i++) {
		const struct metadata_topic *t = metadata_topic_at(md, i);

		CHECK(metadata_find_topic(md, t->name) == t);
		CHECK(metadata_find_topic_id(md, t->id) == t);
		CHECK(!last || strcmp(last->name, t->name) < 0);
		last = t;
	}
	CHECK(!metadata_topic_at(md, metadata_topic_cnt(md)));
	for (uint32_t i = 0; i < metadata_group_cnt(md); i++) {
		const struct metadata_group *g = metadata_group_at(md, i);

		CHECK(metadata_find_group(md, g->name) == g);
		CHECK(metadata_find_group_id(md, g->id) == g);
		CHECK(!i || strcmp(metadata_group_at(md, i - 1)->name, g->name) < 0);
	}
	for (uint32_t i = 0; metadata_broker_at(md, i); i++) {
		const struct metadata_broker *b = metadata_broker_at(md, i);

		CHECK(metadata_find_broker(md, b->node) == b);
	}
}

static void try_snapshot(const uint8_t *data, size_t len)
{
	uint8_t *copy = fuzz_copy(data, len);
	struct metadata *md = NULL;
	int err = metadata_decode(copy, len, &md);
	struct buf b;

	CHECK(!err == (md != NULL));
	CHECK(!err || err == -EBADMSG || err == -EPROTONOSUPPORT);
	if (!err) {
		check_finds(md);
		buf_init(&b);
		metadata_encode(md, &b);
		CHECK(!buf_err(&b));
		if (le32_load(copy + 4) > 1)
			CHECK(fuzz_equal(b.data, b.len, copy, len));
		else
			try_snapshot(b.data, b.len);
		buf_fini(&b);
		metadata_free(md);
	}
	free(copy);
}

/* The input is the payload, and gets its envelope. */
static void try_payload(uint32_t version, const uint8_t *data, size_t len)
{
	struct buf b;

	buf_init(&b);
	buf_put_str(&b, "TFMD");
	buf_put_le32(&b, version);
	buf_put_le64(&b, len);
	buf_put(&b, data, len);
	CHECK(!buf_err(&b));
	buf_put_le64(&b, hash_xxh3(b.data, b.len));
	CHECK(!buf_err(&b));
	try_snapshot(b.data, b.len);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_snapshot(data, len);
	if (len > HEAD_LEN + SUM_LEN && !memcmp(data, "TFMD", 4)) {
		data += HEAD_LEN;
		len -= HEAD_LEN + SUM_LEN;
	}
	try_payload(1, data, len);
	try_payload(2, data, len);
	return 0;
}
