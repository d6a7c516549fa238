/*
 * The small text files: meta.properties, the clean-shutdown marker, partition.metadata. The first
 * byte says which. What decodes is, to the byte, what is encoded of it.
 */
#include "daemon/store/texts.h"
#include "daemon/base/hash.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void check_meta(const char *text, size_t len)
{
	char again[TEXTS_MAX];
	struct meta_text m;
	size_t pos = SIZE_MAX, put;
	int r = texts_get_meta(text, len, &m, &pos);

	CHECK(pos <= len);
	CHECK(!r || r == -EBADMSG || (r == -EPROTONOSUPPORT && m.version > 1));
	/* Where it does not hold, a line begins. */
	CHECK(!pos || text[pos - 1] == '\n');
	if (r)
		return;
	put = texts_put_meta(&m, again);
	/* Early ones end before the checksum. */
	CHECK(len == pos || len == put);
	CHECK(!memcmp(text, again, len));
}

/* The same with the checksum that fits. */
static void check_meta_summed(const char *text, size_t len)
{
	char *whole = malloc(len + 32);
	int n;

	CHECK(whole);
	memcpy(whole, text, len);
	n = snprintf(whole + len, 32, "checksum=%016llx\n",
		     (unsigned long long)hash_xxh3(text, len));
	check_meta(whole, len + (size_t)n);
	free(whole);
}

static void check_marker(const char *text, size_t len)
{
	char again[TEXTS_MAX];
	struct marker_text m;
	int r = texts_get_marker(text, len, &m);

	CHECK(!r || r == -EBADMSG);
	CHECK(r || fuzz_equal(text, len, again, texts_put_marker(&m, again)));
}

static void check_partition(const char *text, size_t len)
{
	char again[TEXTS_MAX];
	uint8_t id[16];
	int r = texts_get_partition(text, len, id);

	CHECK(!r || r == -EBADMSG);
	CHECK(r || fuzz_equal(text, len, again, texts_put_partition(id, again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	uint8_t kind = fuzz_u8(&in);
	char *text = fuzz_copy(in.data, in.len);

	if (kind % 3 == 0) {
		check_meta(text, in.len);
		check_meta_summed(text, in.len);
	} else if (kind % 3 == 1) {
		check_marker(text, in.len);
	} else {
		check_partition(text, in.len);
	}
	free(text);
	return 0;
}
