#include "daemon/store/texts.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_VERSION 1

static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_id(const uint8_t id[16], char ret[TEXTS_ID_LEN + 1])
{
	uint32_t acc = 0;
	unsigned bits = 0, n = 0;

	for (unsigned i = 0; i < 16; i++) {
		acc = acc << 8 | id[i];
		for (bits += 8; bits >= 6; bits -= 6)
			ret[n++] = BASE64URL[acc >> (bits - 6) & 63];
	}
	ret[n++] = BASE64URL[acc << (6 - bits) & 63];
	ret[n] = '\0';
	POST(n == TEXTS_ID_LEN);
}

int texts_get_id(const char *text, size_t len, uint8_t ret[16])
{
	uint8_t id[16];
	uint32_t acc = 0;
	unsigned bits = 0, n = 0;

	if (len != TEXTS_ID_LEN)
		return -EBADMSG;
	for (size_t i = 0; i < len; i++) {
		const char *at = text[i] ? strchr(BASE64URL, text[i]) : NULL;

		if (!at)
			return -EBADMSG;
		acc = acc << 6 | (uint32_t)(at - BASE64URL);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			id[n++] = (uint8_t)(acc >> bits);
		}
	}
	if (acc & 0xf)
		return -EBADMSG;
	memcpy(ret, id, 16);
	return 0;
}

/* A text that is read from its begin. */
struct reader {
	const char *text;
	size_t len, pos;
};

static bool take(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if (r->len - r->pos < len || memcmp(r->text + r->pos, word, len) != 0)
		return false;
	r->pos += len;
	return true;
}

/* "NAMEID\n", or nothing is taken. */
static bool take_id_line(struct reader *r, const char *name, uint8_t ret[16])
{
	struct reader at = *r;

	if (!take(&at, name) || at.len - at.pos < TEXTS_ID_LEN ||
	    texts_get_id(at.text + at.pos, TEXTS_ID_LEN, ret))
		return false;
	at.pos += TEXTS_ID_LEN;
	if (!take(&at, "\n"))
		return false;
	*r = at;
	return true;
}

/* A number without leading zeros. */
static bool take_number(struct reader *r, uint64_t *ret)
{
	size_t begin = r->pos;
	uint64_t n = 0;

	for (; r->pos < r->len && r->text[r->pos] >= '0' && r->text[r->pos] <= '9'; r->pos++)
		if (__builtin_mul_overflow(n, 10U, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(r->text[r->pos] - '0'), &n))
			return false;
	*ret = n;
	return r->pos > begin && (r->text[begin] != '0' || r->pos == begin + 1);
}

size_t texts_put_meta(const struct meta_text *m, char ret[TEXTS_MAX])
{
	char cluster[TEXTS_ID_LEN + 1], directory[TEXTS_ID_LEN + 1];
	int n;

	put_id(m->cluster_id, cluster);
	put_id(m->directory_id, directory);
	n = snprintf(ret, TEXTS_MAX, "version=%d\ncluster.id=%s\ndirectory.id=%s\n", META_VERSION,
		     cluster, directory);
	n += snprintf(ret + n, TEXTS_MAX - (size_t)n, "checksum=%016llx\n",
		      (unsigned long long)hash_xxh3(ret, (size_t)n));
	POST(n > 0 && (size_t)n < TEXTS_MAX);
	return (size_t)n;
}

int texts_get_meta(const char *text, size_t len, struct meta_text *ret, size_t *ret_pos)
{
	struct reader r = { text, len, 0 };
	char sum[32];
	uint64_t version;

	*ret_pos = 0;
	if (!take(&r, "version=") || !take_number(&r, &version) || !version)
		return -EBADMSG;
	ret->version = version > UINT32_MAX ? UINT32_MAX : (unsigned)version;
	if (version > META_VERSION)
		return -EPROTONOSUPPORT;
	if (!take(&r, "\n"))
		return -EBADMSG;
	*ret_pos = r.pos;
	if (!take_id_line(&r, "cluster.id=", ret->cluster_id))
		return -EBADMSG;
	*ret_pos = r.pos;
	if (!take_id_line(&r, "directory.id=", ret->directory_id))
		return -EBADMSG;
	*ret_pos = r.pos;
	snprintf(sum, sizeof(sum), "checksum=%016llx\n",
		 (unsigned long long)hash_xxh3(text, r.pos));
	return r.pos == len || (take(&r, sum) && r.pos == len) ? 0 : -EBADMSG;
}

size_t texts_put_marker(const struct marker_text *m, char ret[TEXTS_MAX])
{
	int n = snprintf(ret, TEXTS_MAX,
			 "incarnation=%llu\nboot.id=", (unsigned long long)m->incarnation);

	for (unsigned i = 0; i < 16; i++)
		n += snprintf(ret + n, TEXTS_MAX - (size_t)n, "%02x", m->boot_id[i]);
	n += snprintf(ret + n, TEXTS_MAX - (size_t)n, "\n");
	POST(n > 0 && (size_t)n < TEXTS_MAX);
	return (size_t)n;
}

static bool take_hex(struct reader *r, uint8_t ret[16])
{
	static const char DIGITS[] = "0123456789abcdef";

	for (unsigned i = 0; i < 32; i++, r->pos++) {
		const char *at;

		if (r->pos == r->len || !r->text[r->pos])
			return false;
		at = strchr(DIGITS, r->text[r->pos]);
		if (!at)
			return false;
		ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | (at - DIGITS));
	}
	return true;
}

int texts_get_marker(const char *text, size_t len, struct marker_text *ret)
{
	struct reader r = { text, len, 0 };

	if (!take(&r, "incarnation=") || !take_number(&r, &ret->incarnation) ||
	    !take(&r, "\nboot.id=") || !take_hex(&r, ret->boot_id) || !take(&r, "\n"))
		return -EBADMSG;
	return r.pos == len ? 0 : -EBADMSG;
}

size_t texts_put_partition(const uint8_t topic_id[16], char ret[TEXTS_MAX])
{
	char id[TEXTS_ID_LEN + 1];
	int n;

	put_id(topic_id, id);
	n = snprintf(ret, TEXTS_MAX, "version: 0\ntopic_id: %s\n", id);
	POST(n > 0 && (size_t)n < TEXTS_MAX);
	return (size_t)n;
}

int texts_get_partition(const char *text, size_t len, uint8_t ret_topic_id[16])
{
	struct reader r = { text, len, 0 };

	if (!take(&r, "version: 0\n") || !take_id_line(&r, "topic_id: ", ret_topic_id))
		return -EBADMSG;
	return r.pos == len ? 0 : -EBADMSG;
}

bool texts_get_dir(const char *name, char ret_topic[TOPIC_NAME_MAX + 1], uint32_t *ret_partition)
{
	const char *dash = strrchr(name, '-');
	char *end;
	unsigned long n;

	if (!dash || dash == name || dash[1] < '0' || dash[1] > '9' ||
	    (dash[1] == '0' && dash[2]) || dash - name > TOPIC_NAME_MAX)
		return false;
	n = strtoul(dash + 1, &end, 10);
	if (*end || n >= PARTITION_CNT_MAX)
		return false;
	memcpy(ret_topic, name, (size_t)(dash - name));
	ret_topic[dash - name] = '\0';
	*ret_partition = (uint32_t)n;
	return true;
}
