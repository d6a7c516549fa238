/*
 * The small text files of a data directory, as bytes. Pure. Each has one spelling: what decodes
 * encodes to the same bytes, so that a changed byte is found where there is no checksum, too.
 *
 *   meta.properties       version=1\n cluster.id=ID\n directory.id=ID\n checksum=HEX\n
 *                         HEX: XXH3-64 of the lines before it, 16 digits; files of early builds end
 *                         before that line
 *   clean-shutdown        incarnation=N\n boot.id=HEX\n                  32 digits
 *   partition.metadata    version: 0\n topic_id: ID\n                    Kafka's
 *
 * (Without the blanks behind "\n".) An ID is 16 bytes in base64url without padding, 22 characters,
 * as Kafka writes it; the 4 bits that are left over are 0.
 */
#ifndef TOPICFS_STORE_TEXTS_H
#define TOPICFS_STORE_TEXTS_H

#include "daemon/base/buf.h"
#include "daemon/base/limits.h"

#define TEXTS_ID_LEN 22U
/* Room for any of them. */
#define TEXTS_MAX 192U

struct meta_text {
	uint8_t cluster_id[16], directory_id[16];
	unsigned version; /* what the first line says: put by the decoder alone */
};

struct marker_text {
	uint64_t incarnation;
	uint8_t boot_id[16];
};

/* The id of TEXTS_ID_LEN characters. -EBADMSG. */
MUST_CHECK int texts_get_id(const char *text, size_t len, uint8_t ret[16]);

/* Splits the name of a partition's directory, "orders-0". False: it is none. */
bool texts_get_dir(const char *name, char ret_topic[TOPIC_NAME_MAX + 1], uint32_t *ret_partition);

/* Each returns the length; ret ends in a NUL beyond it. */
size_t texts_put_meta(const struct meta_text *m, char ret[TEXTS_MAX]);
size_t texts_put_marker(const struct marker_text *m, char ret[TEXTS_MAX]);
size_t texts_put_partition(const uint8_t topic_id[16], char ret[TEXTS_MAX]);

/*
 * -EPROTONOSUPPORT: of a version above 1, which is in ret->version. -EBADMSG: *ret_pos is where the
 * first line begins that does not hold.
 */
MUST_CHECK int texts_get_meta(const char *text, size_t len, struct meta_text *ret, size_t *ret_pos);
/* -EBADMSG. */
MUST_CHECK int texts_get_marker(const char *text, size_t len, struct marker_text *ret);
MUST_CHECK int texts_get_partition(const char *text, size_t len, uint8_t ret_topic_id[16]);

#endif
