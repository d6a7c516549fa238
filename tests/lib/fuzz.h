/*
 * What the fuzzers of tests/fuzz share. A fuzzer is one file with LLVMFuzzerTestOneInput(), built
 * by clang with libFuzzer. It states properties by CHECK(), which stay on in every build.
 *
 * Checksums would keep a fuzzer out of what lies behind them. So each target of a format with one
 * tries the bytes as they are, and once more with their checksums made to fit.
 */
#ifndef TOPICFS_TESTS_FUZZ_H
#define TOPICFS_TESTS_FUZZ_H

#include "daemon/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls; data is borrowed. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Prints what did not hold and aborts, so that libFuzzer keeps the input. */
_Noreturn void fuzz_fail(const char *expr, const char *file, int line);

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			fuzz_fail(#x, __FILE__, __LINE__);                                         \
	} while (0)

/* An input that is taken apart from its begin; zeros where it has ended. */
struct fuzz_input {
	const uint8_t *data;
	size_t len;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_le16(struct fuzz_input *in);
uint32_t fuzz_le32(struct fuzz_input *in);
uint64_t fuzz_le64(struct fuzz_input *in);
/* The next bytes, at most len; *ret_len says how many there are. Borrowed. */
const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t len, size_t *ret_len);

/* A copy of exactly len bytes, so that the sanitizer sees every byte read beyond them. Owned by the
 * caller (free); never NULL. */
void *fuzz_copy(const void *data, size_t len);
/* The same with a NUL behind it. */
char *fuzz_string(const void *data, size_t len);
/* Whether the contents are the same. Takes NULL for no bytes. */
bool fuzz_equal(const void *a, size_t a_len, const void *b, size_t b_len);

#endif
