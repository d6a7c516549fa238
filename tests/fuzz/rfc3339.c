/* RFC 3339 times: le64 milliseconds and back, and the whole input as text. */
#include "daemon/base/rfc3339.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

/* 0000-01-01T00:00:00Z and the last millisecond of 9999. */
#define MIN_MS (-62167219200000LL)
#define MAX_MS 253402300799999LL

static void check_ms(int64_t ms)
{
	char text[RFC3339_LEN + 1];
	int64_t again = 0;

	memset(text, 'x', sizeof(text));
	rfc3339_encode(ms, text);
	CHECK(strnlen(text, sizeof(text)) == RFC3339_LEN);
	CHECK(!rfc3339_decode(text, RFC3339_LEN, &again));
	CHECK(again == MAX(MIN_MS, MIN(MAX_MS, ms)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	char *text = fuzz_copy(data, len);
	int64_t ms = INT64_MIN;
	int err = rfc3339_decode(text, len, &ms);

	CHECK(!err || (err == -EINVAL && ms == INT64_MIN));
	if (!err) {
		/* An offset or a leap second may lead out of these years, by a day at most. */
		CHECK(ms >= MIN_MS - 86400000 && ms <= MAX_MS + 86400000);
		check_ms(ms);
	}
	check_ms((int64_t)fuzz_le64(&in));
	free(text);
	return 0;
}
